-- why: erasing what is known about a person, on record and with every proof intact
-- breaking: yes
--
-- event_subjects says which entries concern whom: written by the statement that appends, deleted with the erasure.
-- erasures has one row for each record of an erasure, whose event travels with it; erased_entries names the entries
-- whose salt, payload and metadata that record took away.
--
-- Immutability. event_payloads still refuses UPDATE and TRUNCATE. A row may be deleted when erased_entries names it
-- under a record whose event was appended before: nobody, whatever his rights, deletes by DELETE without leaving one.
-- A program that does not know this migration would append entries without their subjects, which no erasure finds, and
-- could not read erased ones: it is breaking.
--
-- Lock order: the erasures of a tenant (advisory, for one transaction) and the row of text_indexes before all else.

CREATE TABLE aureus.event_subjects (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    subject text COLLATE "C" NOT NULL CHECK (subject <> ''),
    entry_no bigint NOT NULL,
    PRIMARY KEY (tenant_id, subject, entry_no)
);

CREATE TABLE aureus.erasures (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    record_id text COLLATE "C" NOT NULL,
    erasure_id text COLLATE "C" NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, record_id)
);

CREATE TABLE aureus.erased_entries (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    entry_no bigint NOT NULL,
    record_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, entry_no),
    FOREIGN KEY (tenant_id, record_id) REFERENCES aureus.erasures (tenant_id, record_id)
);

CREATE FUNCTION aureus.refuse_unrecorded_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_recorded boolean;
BEGIN
    -- Ranges with their order: before a table has statistics, equality may be looked up by a wrong index.
    EXECUTE format(
        'SELECT EXISTS (
            SELECT FROM (
                SELECT x.record_id FROM %1$I.erased_entries AS x
                WHERE x.tenant_id = $1 AND x.entry_no BETWEEN $2 AND $2
                ORDER BY x.entry_no LIMIT 1) AS m
            CROSS JOIN LATERAL (
                SELECT e.type FROM %1$I.events AS e
                WHERE e.tenant_id = $1 AND e.event_id BETWEEN m.record_id AND m.record_id
                ORDER BY e.event_id LIMIT 1) AS r
            WHERE r.type = ''payloads_erased'')', TG_TABLE_SCHEMA)
        INTO is_recorded USING OLD.tenant_id, OLD.entry_no;
    IF NOT is_recorded THEN
        RAISE EXCEPTION 'rows of % are deleted only on record of an erasure', TG_TABLE_NAME
            USING ERRCODE = 'AU003';
    END IF;
    RETURN OLD;
END $$;

-- A segment that is finished kept the last term that it was built to, which may be of a document that is gone. The
-- owner may look beyond one tenant for this once.

ALTER TABLE aureus.text_index_segments NO FORCE ROW LEVEL SECURITY;
UPDATE aureus.text_index_segments SET built_to = '' WHERE status <> 'building' AND built_to <> '';
ALTER TABLE aureus.text_index_segments FORCE ROW LEVEL SECURITY;

-- A value of the world state may go too, on record: its version stays, and says by which.

ALTER TABLE aureus.world_state_versions ADD COLUMN erasure_record_id text COLLATE "C";

CREATE FUNCTION aureus.refuse_unrecorded_value() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_recorded boolean;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (
            SELECT FROM (
                SELECT e.type FROM %I.events AS e
                WHERE e.tenant_id = $1 AND e.event_id BETWEEN $2 AND $2
                ORDER BY e.event_id LIMIT 1) AS r
            WHERE r.type IN (''payloads_erased'', ''subject_erased''))', TG_TABLE_SCHEMA)
        INTO is_recorded USING NEW.tenant_id, NEW.erasure_record_id;
    IF NEW.value IS NOT NULL OR NOT is_recorded THEN
        RAISE EXCEPTION 'values of % are taken away only on record of an erasure', TG_TABLE_NAME
            USING ERRCODE = 'AU003';
    END IF;
    RETURN NEW;
END $$;

DROP TRIGGER world_state_versions_immutable ON aureus.world_state_versions;
CREATE TRIGGER world_state_versions_immutable BEFORE DELETE OR UPDATE OF
    tenant_id, scope, state_key, version, operation_id, created_at
    ON aureus.world_state_versions FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER world_state_versions_recorded BEFORE UPDATE OF value, erasure_record_id
    ON aureus.world_state_versions FOR EACH ROW EXECUTE FUNCTION aureus.refuse_unrecorded_value();

DROP TRIGGER event_payloads_immutable ON aureus.event_payloads;
CREATE TRIGGER event_payloads_immutable BEFORE UPDATE ON aureus.event_payloads
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER event_payloads_recorded BEFORE DELETE ON aureus.event_payloads
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_unrecorded_erasure();
CREATE TRIGGER erasures_immutable BEFORE UPDATE OR DELETE ON aureus.erasures
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER erasures_no_truncate BEFORE TRUNCATE ON aureus.erasures
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER erased_entries_immutable BEFORE UPDATE OR DELETE ON aureus.erased_entries
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER erased_entries_no_truncate BEFORE TRUNCATE ON aureus.erased_entries
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

ALTER TABLE aureus.event_subjects ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.event_subjects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.event_subjects
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.erasures
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.erased_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.erased_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.erased_entries
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
