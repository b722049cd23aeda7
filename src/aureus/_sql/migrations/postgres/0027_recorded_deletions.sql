-- why: erasing and pruning without planning the same statement for each row
-- breaking: no
--
-- As before, with statements that the server keeps a plan of. They were put together anew for each row; see 0024.
-- Ranges with their order: before a table has statistics, equality may be looked up by a wrong index, and the plan
-- stays.

CREATE OR REPLACE FUNCTION aureus.refuse_unrecorded_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM (
            SELECT x.record_id FROM aureus.erased_entries AS x
            WHERE x.tenant_id = OLD.tenant_id AND x.entry_no BETWEEN OLD.entry_no AND OLD.entry_no
            ORDER BY x.entry_no LIMIT 1) AS m
        CROSS JOIN LATERAL (
            SELECT e.type FROM aureus.events AS e
            WHERE e.tenant_id = OLD.tenant_id AND e.event_id BETWEEN m.record_id AND m.record_id
            ORDER BY e.event_id LIMIT 1) AS r
        WHERE r.type = 'payloads_erased')
    THEN
        RAISE EXCEPTION 'rows of % are deleted only on record of an erasure', TG_TABLE_NAME
            USING ERRCODE = 'AU003';
    END IF;
    RETURN OLD;
END $$;

CREATE OR REPLACE FUNCTION aureus.refuse_unrecorded_value() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.value IS NOT NULL OR NOT EXISTS (
        SELECT FROM (
            SELECT e.type FROM aureus.events AS e
            WHERE e.tenant_id = NEW.tenant_id
              AND e.event_id BETWEEN NEW.erasure_record_id AND NEW.erasure_record_id
            ORDER BY e.event_id LIMIT 1) AS r
        WHERE r.type IN ('payloads_erased', 'subject_erased', 'world_state_pruned'))
    THEN
        RAISE EXCEPTION 'values of % are taken away only on record of an erasure', TG_TABLE_NAME
            USING ERRCODE = 'AU003';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION aureus.refuse_unrecorded_pruning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM (
            SELECT e.type FROM aureus.events AS e
            WHERE e.tenant_id = OLD.tenant_id
              AND e.event_id BETWEEN OLD.erasure_record_id AND OLD.erasure_record_id
            ORDER BY e.event_id LIMIT 1) AS r
        WHERE r.type = 'world_state_pruned')
    THEN
        RAISE EXCEPTION 'rows of % are deleted only on record of pruning', TG_TABLE_NAME USING ERRCODE = 'AU003';
    END IF;
    RETURN OLD;
END $$;
