-- why: payloads are encrypted under keys of the people they concern, so that an erasure reaches older copies too
-- breaking: yes
--
-- destroyed_keys names the keys whose destruction is on record. What is encrypted under one of them is taken for erased
-- by who reads, and refused when somebody is about to store it: a writer that still has a key in memory must not write
-- what nobody will ever read. A payload that is encrypted begins with '[' and its keys, any other one with '{' (see
-- aureus.subject_keys.envelopes). A program that does not know this migration could not read encrypted payloads: it is
-- breaking.

CREATE TABLE aureus.destroyed_keys (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    key_id TEXT NOT NULL CHECK (key_id <> ''),
    record_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, record_id) REFERENCES aureus.erasures (tenant_id, record_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_payloads_keys BEFORE INSERT ON aureus.event_payloads
WHEN substr(NEW.payload, 1, 1) = x'5b' AND EXISTS (
    SELECT 1
    FROM json_each(substr(CAST(substr(NEW.payload, 1, 2048) AS TEXT), 1,
        instr(CAST(substr(NEW.payload, 1, 2048) AS TEXT), ']'))) AS g
    CROSS JOIN aureus.destroyed_keys AS d ON d.tenant_id = NEW.tenant_id AND d.key_id = g.value)
BEGIN
    SELECT RAISE(ABORT, 'AU004: the key of a person whom the entry concerns was destroyed by an erasure');
END;

CREATE TRIGGER destroyed_keys_no_update BEFORE UPDATE ON aureus.destroyed_keys
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of destroyed_keys are immutable');
END;

CREATE TRIGGER destroyed_keys_no_delete BEFORE DELETE ON aureus.destroyed_keys
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of destroyed_keys are immutable');
END;
