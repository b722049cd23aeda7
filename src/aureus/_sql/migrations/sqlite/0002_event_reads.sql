-- why: events by type, by category and by time; appending without a second look at every entry
-- breaking: no
--
-- SQLite keeps the foreign key from payloads to entries: its check costs nothing worth a new table. The category is
-- computed when it is read, and stored only in its index.

ALTER TABLE aureus.events
    ADD COLUMN category TEXT GENERATED ALWAYS AS (substr(stream, 1, instr(stream || '/', '/') - 1)) VIRTUAL;

CREATE INDEX events_type ON aureus.events (tenant_id, type, entry_no);
CREATE INDEX events_category ON aureus.events (tenant_id, category, entry_no);
CREATE INDEX events_time ON aureus.events (tenant_id, occurred_at, entry_no);
