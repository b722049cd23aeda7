-- why: old versions of the world state may be pruned, on record
-- breaking: no
--
-- A version is deleted when its value was taken away by a record of pruning, whose event was appended before: nobody
-- deletes one without leaving word of it.

DROP TRIGGER aureus.world_state_versions_recorded;

CREATE TRIGGER world_state_versions_recorded BEFORE UPDATE OF value, erasure_record_id ON aureus.world_state_versions
WHEN NEW.value IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM aureus.events AS e
    WHERE e.tenant_id = NEW.tenant_id AND e.event_id = NEW.erasure_record_id
      AND e.type IN ('payloads_erased', 'subject_erased', 'world_state_pruned'))
BEGIN
    SELECT RAISE(ABORT, 'AU003: values of world_state_versions are taken away only on record of an erasure');
END;

DROP TRIGGER aureus.world_state_versions_no_delete;

CREATE TRIGGER world_state_versions_pruned BEFORE DELETE ON aureus.world_state_versions
WHEN NOT EXISTS (
    SELECT 1 FROM aureus.events AS e
    WHERE e.tenant_id = OLD.tenant_id AND e.event_id = OLD.erasure_record_id AND e.type = 'world_state_pruned')
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of world_state_versions are deleted only on record of pruning');
END;
