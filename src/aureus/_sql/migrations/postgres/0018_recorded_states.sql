-- why: lists of memories as they were recorded at a moment go along an index, a page at a time
-- breaking: no
--
-- Only what is replaced or superseded pays for these; an addition does not.

DROP INDEX aureus.memory_versions_recorded;
CREATE INDEX memory_versions_newest ON aureus.memory_versions
    (tenant_id, occurred_at, memory_id, recorded_from_at, recorded_to_at);
CREATE INDEX memory_versions_agent ON aureus.memory_versions
    (tenant_id, agent_id, occurred_at, memory_id, recorded_from_at, recorded_to_at);
CREATE INDEX memories_superseded ON aureus.memories (tenant_id, occurred_at, memory_id)
    WHERE superseded_by <> '' AND deleted_at IS NULL;
CREATE INDEX memories_superseded_agent ON aureus.memories (tenant_id, agent_id, occurred_at, memory_id)
    WHERE superseded_by <> '' AND deleted_at IS NULL;
