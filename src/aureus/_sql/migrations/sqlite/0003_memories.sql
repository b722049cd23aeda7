-- why: memories of agents, their earlier versions, tags and accesses
-- breaking: no
--
-- A memory is live while it is neither deleted nor superseded; expiry is compared with the time of each call. For what
-- may be left out, such as a user, the empty text stands for none, so that one index serves both. Every replaced
-- version lies in memory_versions with the interval in which it was the recorded truth.
--
-- What may be long stands last, so that filters need not read it. memory_no is the row's own rising number and is never
-- used twice.
-- Immutability. memory_versions refuses UPDATE (AU003); rows are deleted only with their memory.

CREATE TABLE aureus.memories (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    memory_no INTEGER PRIMARY KEY AUTOINCREMENT,
    memory_id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    namespace TEXT NOT NULL,
    memory_key TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    type TEXT NOT NULL,
    confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    subject TEXT NOT NULL,
    text_language TEXT NOT NULL,
    run_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    step_id TEXT NOT NULL,
    source_event_id TEXT NOT NULL,
    provenance_at INTEGER,
    is_shared INTEGER NOT NULL,
    tier TEXT NOT NULL CHECK (tier IN ('hot', 'warm', 'cold', 'archived')),
    occurred_at INTEGER NOT NULL,
    valid_from_at INTEGER,
    valid_to_at INTEGER,
    expires_at INTEGER,
    deleted_at INTEGER,
    superseded_by TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    sources TEXT NOT NULL,
    text TEXT NOT NULL,
    content TEXT,
    UNIQUE (tenant_id, memory_id)
) STRICT;

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
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    memory_no INTEGER NOT NULL,
    memory_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    memory_key TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    type TEXT NOT NULL,
    confidence REAL NOT NULL,
    subject TEXT NOT NULL,
    text_language TEXT NOT NULL,
    run_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    step_id TEXT NOT NULL,
    source_event_id TEXT NOT NULL,
    provenance_at INTEGER,
    is_shared INTEGER NOT NULL,
    tier TEXT NOT NULL CHECK (tier IN ('hot', 'warm', 'cold', 'archived')),
    occurred_at INTEGER NOT NULL,
    valid_from_at INTEGER,
    valid_to_at INTEGER,
    expires_at INTEGER,
    deleted_at INTEGER,
    superseded_by TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    sources TEXT NOT NULL,
    text TEXT NOT NULL,
    content TEXT,
    recorded_from_at INTEGER NOT NULL,
    recorded_to_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, memory_id, version)
) STRICT;

CREATE INDEX memory_versions_recorded ON aureus.memory_versions (tenant_id, agent_id, recorded_to_at);

-- Tags of live memories, for finding them; the list itself stands in the memory.

CREATE TABLE aureus.memory_tags (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    tag TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, tag, memory_id)
) STRICT;

-- How often memories were used: what changes often lies apart from what is read often.

CREATE TABLE aureus.memory_accesses (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    memory_id TEXT NOT NULL,
    access_count INTEGER NOT NULL CHECK (access_count > 0),
    accessed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, memory_id)
) STRICT;

CREATE TRIGGER memory_versions_no_update BEFORE UPDATE ON aureus.memory_versions
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of memory_versions are immutable');
END;
