-- why: what is looked up by its key is found by its key, also before the first statistics
-- breaking: no
--
-- Without statistics the planner takes a two-hundredth of a table for what a tenant has, and a two-hundredth of that
-- for what an agent has: in a young table one row in either case. So an index that shares no more than the tenant with
-- a search costs the same as the key, and a lookup of one row may read all rows of a tenant. Indexes for lists
-- therefore have a condition that holds for every row: the planner can take one of them only where a statement repeats
-- that condition, as lists do and lookups by a key do not.
--
-- Those by operation or evidence begin with it, so that a range of one in their order is a lookup that no other index
-- could serve. That of replaced versions of memories is new: each change of a memory read the hundred before it.

DROP INDEX aureus.runs_newest;
CREATE INDEX runs_newest ON aureus.runs (tenant_id, created_at, run_id) WHERE workflow_id >= '';
DROP INDEX aureus.runs_workflow;
CREATE INDEX runs_workflow ON aureus.runs (tenant_id, workflow_id, created_at, run_id) WHERE workflow_id >= '';
DROP INDEX aureus.runs_status;
CREATE INDEX runs_status ON aureus.runs (tenant_id, status, created_at, run_id) WHERE workflow_id >= '';

DROP INDEX aureus.memories_newest;
CREATE INDEX memories_newest ON aureus.memories (tenant_id, occurred_at, memory_id)
    WHERE deleted_at IS NULL AND superseded_by = '' AND namespace >= '';
DROP INDEX aureus.memories_superseded;
CREATE INDEX memories_superseded ON aureus.memories (tenant_id, occurred_at, memory_id)
    WHERE superseded_by <> '' AND deleted_at IS NULL AND namespace >= '';
DROP INDEX aureus.memories_tier;
CREATE INDEX memories_tier ON aureus.memories (tenant_id, tier, created_at, memory_id)
    WHERE deleted_at IS NULL AND superseded_by = '' AND tier >= '';
DROP INDEX aureus.memories_key_versions;
CREATE INDEX memories_key_versions ON aureus.memories (tenant_id, agent_id, user_id, namespace, memory_key)
    WHERE memory_key <> '' AND namespace >= '';
DROP INDEX aureus.memory_versions_newest;
CREATE INDEX memory_versions_newest ON aureus.memory_versions
    (tenant_id, occurred_at, memory_id, recorded_from_at, recorded_to_at) WHERE agent_id >= '';
DROP INDEX aureus.memory_versions_agent;
CREATE INDEX memory_versions_agent ON aureus.memory_versions
    (tenant_id, agent_id, occurred_at, memory_id, recorded_from_at, recorded_to_at) WHERE agent_id >= '';
CREATE INDEX memory_versions_operation ON aureus.memory_versions (tenant_id, operation_id, memory_id)
    WHERE operation_id >= '';

DROP INDEX aureus.hypotheses_newest;
CREATE INDEX hypotheses_newest ON aureus.hypotheses (tenant_id, created_at, hypothesis_id) WHERE user_id >= '';
DROP INDEX aureus.hypotheses_of_agent;
CREATE INDEX hypotheses_of_agent ON aureus.hypotheses (tenant_id, agent_id, created_at, hypothesis_id)
    WHERE agent_id >= '';
ALTER TABLE aureus.hypothesis_evidence DROP CONSTRAINT hypothesis_evidence_tenant_id_hypothesis_id_evidence_id_key;
CREATE UNIQUE INDEX hypothesis_evidence_id ON aureus.hypothesis_evidence (tenant_id, evidence_id, hypothesis_id)
    WHERE evidence_id >= '';

DROP INDEX aureus.memory_embeddings_signs;
CREATE INDEX memory_embeddings_signs ON aureus.memory_embeddings (tenant_id, model, dimensions, memory_id)
    INCLUDE (signs) WHERE dimensions > 0;

DROP INDEX aureus.session_facets_session;
CREATE INDEX session_facets_session ON aureus.session_facets (tenant_id, collection, agent_id, session_id)
    WHERE agent_id >= '';

DROP INDEX aureus.world_state_versions_operation;
CREATE UNIQUE INDEX world_state_versions_operation
    ON aureus.world_state_versions (tenant_id, operation_id, scope, state_key) WHERE operation_id >= '';

ALTER TABLE aureus.profile_versions DROP CONSTRAINT profile_versions_tenant_id_user_id_operation_id_key;
CREATE UNIQUE INDEX profile_versions_operation ON aureus.profile_versions (tenant_id, operation_id, user_id)
    WHERE operation_id >= '';

DROP INDEX aureus.snapshots_newest;
CREATE INDEX snapshots_newest ON aureus.snapshots (tenant_id, created_at, snapshot_id) WHERE agent_id >= '';
DROP INDEX aureus.snapshots_agent;
CREATE INDEX snapshots_agent ON aureus.snapshots (tenant_id, agent_id, created_at, snapshot_id)
    WHERE agent_id >= '';
DROP INDEX aureus.rollbacks_newest;
CREATE INDEX rollbacks_newest ON aureus.rollbacks (tenant_id, created_at, rollback_id) WHERE snapshot_id >= '';
DROP INDEX aureus.rollback_approvals_newest;
CREATE INDEX rollback_approvals_newest ON aureus.rollback_approvals (tenant_id, requested_at, approval_id)
    WHERE snapshot_id >= '';

-- As before, but that it names the index of facets.

CREATE OR REPLACE FUNCTION aureus.clear_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.message_count > 0 THEN
        DELETE FROM aureus.session_messages AS m
        WHERE m.tenant_id = NEW.tenant_id AND m.collection = NEW.collection AND m.agent_id = NEW.agent_id
          AND m.session_id = NEW.session_id AND m.generation < NEW.generation;
    END IF;
    DELETE FROM aureus.session_states AS s
    WHERE s.tenant_id = NEW.tenant_id AND s.collection = NEW.collection AND s.agent_id = NEW.agent_id
      AND s.session_id = NEW.session_id AND s.generation < NEW.generation;
    IF NEW.deleted_at IS NOT NULL OR NOT EXISTS (
        SELECT FROM aureus.session_states AS s
        WHERE s.tenant_id = NEW.tenant_id AND s.collection = NEW.collection AND s.agent_id = NEW.agent_id
          AND s.session_id = NEW.session_id)
    THEN
        DELETE FROM aureus.session_facets AS f
        WHERE f.tenant_id = NEW.tenant_id AND f.collection = NEW.collection AND f.agent_id = NEW.agent_id
          AND f.agent_id >= '' AND f.session_id = NEW.session_id;
    END IF;
    RETURN NULL;
END $$;
