-- why: payloads are encrypted under keys of the people they concern, so that an erasure reaches older copies too
-- breaking: yes
--
-- destroyed_keys names the keys whose destruction is on record. What is encrypted under one of them is taken for erased
-- by who reads, and refused when somebody is about to store it: a writer that still has a key in memory must not write
-- what nobody will ever read. A payload that is encrypted begins with '[' and its keys, any other one with '{' (see
-- aureus.subject_keys.envelopes). A program that does not know this migration could not read encrypted payloads: it is
-- breaking.

CREATE TABLE aureus.destroyed_keys (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    key_id text COLLATE "C" NOT NULL CHECK (key_id <> ''),
    record_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, record_id) REFERENCES aureus.erasures (tenant_id, record_id)
);

CREATE FUNCTION aureus.refuse_destroyed_key() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    header text := pg_catalog.convert_from(substring(NEW.payload FROM 1 FOR 2048), 'UTF8');
    key_ids text[] := pg_catalog.string_to_array(
        pg_catalog.translate(substring(header FROM 2 FOR strpos(header, ']') - 2), '"', ''), ',');
BEGIN
    IF EXISTS (
        SELECT FROM aureus.destroyed_keys AS d WHERE d.tenant_id = NEW.tenant_id AND d.key_id = ANY (key_ids))
    THEN
        RAISE EXCEPTION 'the key of a person whom the entry concerns was destroyed by an erasure'
            USING ERRCODE = 'AU004';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER event_payloads_keys BEFORE INSERT ON aureus.event_payloads
    FOR EACH ROW WHEN (substring(NEW.payload FROM 1 FOR 1) = '\x5b') EXECUTE FUNCTION aureus.refuse_destroyed_key();

CREATE TRIGGER destroyed_keys_immutable BEFORE UPDATE OR DELETE ON aureus.destroyed_keys
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER destroyed_keys_no_truncate BEFORE TRUNCATE ON aureus.destroyed_keys
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

ALTER TABLE aureus.destroyed_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.destroyed_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.destroyed_keys
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
