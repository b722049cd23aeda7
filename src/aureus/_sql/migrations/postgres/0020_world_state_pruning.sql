-- why: old versions of the world state may be pruned, on record
-- breaking: no
--
-- A version is deleted when its value was taken away by a record of pruning, whose event was appended before: nobody
-- deletes one without leaving word of it.

CREATE OR REPLACE FUNCTION aureus.refuse_unrecorded_value() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_recorded boolean;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (
            SELECT FROM (
                SELECT e.type FROM %I.events AS e
                WHERE e.tenant_id = $1 AND e.event_id BETWEEN $2 AND $2
                ORDER BY e.event_id LIMIT 1) AS r
            WHERE r.type IN (''payloads_erased'', ''subject_erased'', ''world_state_pruned''))', TG_TABLE_SCHEMA)
        INTO is_recorded USING NEW.tenant_id, NEW.erasure_record_id;
    IF NEW.value IS NOT NULL OR NOT is_recorded THEN
        RAISE EXCEPTION 'values of % are taken away only on record of an erasure', TG_TABLE_NAME
            USING ERRCODE = 'AU003';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION aureus.refuse_unrecorded_pruning() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_recorded boolean;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (
            SELECT FROM (
                SELECT e.type FROM %I.events AS e
                WHERE e.tenant_id = $1 AND e.event_id BETWEEN $2 AND $2
                ORDER BY e.event_id LIMIT 1) AS r
            WHERE r.type = ''world_state_pruned'')', TG_TABLE_SCHEMA)
        INTO is_recorded USING OLD.tenant_id, OLD.erasure_record_id;
    IF NOT is_recorded THEN
        RAISE EXCEPTION 'rows of % are deleted only on record of pruning', TG_TABLE_NAME USING ERRCODE = 'AU003';
    END IF;
    RETURN OLD;
END $$;

DROP TRIGGER world_state_versions_immutable ON aureus.world_state_versions;
CREATE TRIGGER world_state_versions_immutable BEFORE UPDATE OF
    tenant_id, scope, state_key, version, operation_id, created_at
    ON aureus.world_state_versions FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER world_state_versions_pruned BEFORE DELETE ON aureus.world_state_versions
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_unrecorded_pruning();
