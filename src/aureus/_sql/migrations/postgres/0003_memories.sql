-- why: memories of agents, their earlier versions, tags and accesses
-- breaking: no
--
-- A memory is live while it is neither deleted nor superseded; expiry is compared with the time of each call. For what
-- may be left out, such as a user, the empty text stands for none, so that one index serves both. Every replaced
-- version lies in memory_versions with the interval in which it was the recorded truth.
--
-- Immutability. memory_versions refuses UPDATE and TRUNCATE (AU003); rows are deleted only with their memory.
-- Lock order: a key (advisory, for one transaction), then memories, then the stream of agent and user.

CREATE SEQUENCE aureus.memory_no AS bigint CACHE 1;

CREATE TABLE aureus.memories (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    memory_no bigint NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    namespace text COLLATE "C" NOT NULL,
    memory_key text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    subject text COLLATE "C" NOT NULL,
    text_language text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    step_id text COLLATE "C" NOT NULL,
    source_event_id text COLLATE "C" NOT NULL,
    provenance_at timestamptz,
    is_shared boolean NOT NULL,
    tier text COLLATE "C" NOT NULL CHECK (tier IN ('hot', 'warm', 'cold', 'archived')),
    occurred_at timestamptz NOT NULL,
    valid_from_at timestamptz,
    valid_to_at timestamptz,
    expires_at timestamptz,
    deleted_at timestamptz,
    superseded_by text COLLATE "C" NOT NULL,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    tags json NOT NULL,
    metadata json NOT NULL,
    sources json NOT NULL,
    text text NOT NULL,
    content json,
    PRIMARY KEY (tenant_id, memory_id)
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX memories_key ON aureus.memories (tenant_id, agent_id, user_id, namespace, memory_key)
    WHERE memory_key <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_key_versions ON aureus.memories (tenant_id, agent_id, user_id, namespace, memory_key, version)
    WHERE memory_key <> '';
CREATE INDEX memories_newest ON aureus.memories (tenant_id, occurred_at, memory_id)
    WHERE deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_agent ON aureus.memories (tenant_id, agent_id, occurred_at, memory_id)
    WHERE deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_user ON aureus.memories (tenant_id, user_id, agent_id, occurred_at, memory_id)
    WHERE user_id <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_shared ON aureus.memories (tenant_id, occurred_at, memory_id)
    WHERE is_shared AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_session ON aureus.memories (tenant_id, session_id, agent_id, user_id, memory_no)
    WHERE session_id <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_subject ON aureus.memories (tenant_id, subject, memory_id)
    WHERE subject <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_run ON aureus.memories (tenant_id, run_id, memory_id)
    WHERE run_id <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_task ON aureus.memories (tenant_id, task_id, memory_id)
    WHERE task_id <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_source_event ON aureus.memories (tenant_id, source_event_id, memory_id)
    WHERE source_event_id <> '' AND deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_tier ON aureus.memories (tenant_id, tier, created_at, memory_id)
    WHERE deleted_at IS NULL AND superseded_by = '';
CREATE INDEX memories_expiring ON aureus.memories (tenant_id, expires_at, memory_id)
    WHERE expires_at IS NOT NULL AND deleted_at IS NULL AND superseded_by = '';

-- Every version that was replaced, with the interval in which it was the recorded truth. Append-only.

CREATE TABLE aureus.memory_versions (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    memory_no bigint NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    memory_key text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    confidence double precision NOT NULL,
    subject text COLLATE "C" NOT NULL,
    text_language text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    step_id text COLLATE "C" NOT NULL,
    source_event_id text COLLATE "C" NOT NULL,
    provenance_at timestamptz,
    is_shared boolean NOT NULL,
    tier text COLLATE "C" NOT NULL CHECK (tier IN ('hot', 'warm', 'cold', 'archived')),
    occurred_at timestamptz NOT NULL,
    valid_from_at timestamptz,
    valid_to_at timestamptz,
    expires_at timestamptz,
    deleted_at timestamptz,
    superseded_by text COLLATE "C" NOT NULL,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    tags json NOT NULL,
    metadata json NOT NULL,
    sources json NOT NULL,
    text text NOT NULL,
    content json,
    recorded_from_at timestamptz NOT NULL,
    recorded_to_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, memory_id, version)
);

CREATE INDEX memory_versions_recorded ON aureus.memory_versions (tenant_id, agent_id, recorded_to_at);

-- Tags of live memories, for finding them; the list itself stands in the memory.

CREATE TABLE aureus.memory_tags (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    tag text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, tag, memory_id)
);

-- How often memories were used: what changes often lies apart from what is read often.

CREATE TABLE aureus.memory_accesses (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    memory_id text COLLATE "C" NOT NULL,
    access_count bigint NOT NULL CHECK (access_count > 0),
    accessed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, memory_id)
) WITH (fillfactor = 70);

CREATE TRIGGER memory_versions_immutable BEFORE UPDATE ON aureus.memory_versions
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER memory_versions_no_truncate BEFORE TRUNCATE ON aureus.memory_versions
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

ALTER TABLE aureus.memories ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.memories FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.memories
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.memory_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.memory_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.memory_versions
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.memory_tags ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.memory_tags FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.memory_tags
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.memory_accesses ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.memory_accesses FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.memory_accesses
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
