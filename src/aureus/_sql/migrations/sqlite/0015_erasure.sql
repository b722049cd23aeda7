-- why: erasing what is known about a person, on record and with every proof intact
-- breaking: yes
--
-- event_subjects says which entries concern whom: written by the statement that appends, deleted with the erasure.
-- erasures has one row for each record of an erasure, whose event travels with it; erased_entries names the entries
-- whose salt, payload and metadata that record took away.
--
-- Immutability. event_payloads still refuses UPDATE. A row may be deleted when erased_entries names it under a record
-- whose event was appended before. A program that does not know this migration would append entries without their
-- subjects, which no erasure finds, and could not read erased ones: it is breaking.

CREATE TABLE aureus.event_subjects (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    entry_no INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject, entry_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.erasures (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    record_id TEXT NOT NULL,
    erasure_id TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, record_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.erased_entries (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    entry_no INTEGER NOT NULL,
    record_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, entry_no),
    FOREIGN KEY (tenant_id, record_id) REFERENCES aureus.erasures (tenant_id, record_id)
) STRICT, WITHOUT ROWID;

-- A segment that is finished kept the last term that it was built to, which may be of a document that is gone.

UPDATE aureus.text_index_segments SET built_to = '' WHERE status <> 'building' AND built_to <> '';

-- A value of the world state may go too, on record: its version stays, and says by which.

ALTER TABLE aureus.world_state_versions ADD COLUMN erasure_record_id TEXT;

DROP TRIGGER aureus.world_state_versions_no_update;

CREATE TRIGGER world_state_versions_no_update BEFORE UPDATE OF
    tenant_id, scope, state_key, version, operation_id, created_at
    ON aureus.world_state_versions
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of world_state_versions are immutable');
END;

CREATE TRIGGER world_state_versions_recorded BEFORE UPDATE OF value, erasure_record_id ON aureus.world_state_versions
WHEN NEW.value IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM aureus.events AS e
    WHERE e.tenant_id = NEW.tenant_id AND e.event_id = NEW.erasure_record_id
      AND e.type IN ('payloads_erased', 'subject_erased'))
BEGIN
    SELECT RAISE(ABORT, 'AU003: values of world_state_versions are taken away only on record of an erasure');
END;

DROP TRIGGER aureus.event_payloads_no_delete;

CREATE TRIGGER event_payloads_recorded BEFORE DELETE ON aureus.event_payloads
WHEN NOT EXISTS (
    SELECT 1 FROM aureus.erased_entries AS x
    CROSS JOIN aureus.events AS e
        ON e.tenant_id = x.tenant_id AND e.event_id = x.record_id AND e.type = 'payloads_erased'
    WHERE x.tenant_id = OLD.tenant_id AND x.entry_no = OLD.entry_no)
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of event_payloads are deleted only on record of an erasure');
END;

CREATE TRIGGER erasures_no_update BEFORE UPDATE ON aureus.erasures
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of erasures are immutable');
END;

CREATE TRIGGER erasures_no_delete BEFORE DELETE ON aureus.erasures
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of erasures are immutable');
END;

CREATE TRIGGER erased_entries_no_update BEFORE UPDATE ON aureus.erased_entries
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of erased_entries are immutable');
END;

CREATE TRIGGER erased_entries_no_delete BEFORE DELETE ON aureus.erased_entries
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of erased_entries are immutable');
END;
