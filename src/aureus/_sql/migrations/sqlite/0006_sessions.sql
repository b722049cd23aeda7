-- why: sessions of agents: state, history, and the facets by which states are found
-- breaking: no
--
-- A session is live while expires_at is null or in the future; deleting sets it to 0, so that one comparison says it
-- all. What stays of a deleted or swept session is a row without content, the tombstone: its version goes on counting,
-- so that a write that is late finds another version and is refused.
--
-- generation tells one life of a session from the next: reset, deletion and the return of an expired session raise it,
-- and a trigger then removes what belonged to the last one.

CREATE TABLE aureus.sessions (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    collection TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    generation INTEGER NOT NULL,
    message_count INTEGER NOT NULL CHECK (message_count >= 0),
    ttl_ms INTEGER CHECK (ttl_ms > 0),
    expires_at INTEGER,
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (tenant_id, collection, agent_id, session_id)
) STRICT;

CREATE INDEX sessions_newest ON aureus.sessions (tenant_id, collection, agent_id, updated_at, session_id)
    WHERE deleted_at IS NULL;
CREATE INDEX sessions_expiring ON aureus.sessions (tenant_id, expires_at)
    WHERE deleted_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX sessions_deleted ON aureus.sessions (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

-- The document: replaced by every save, and apart from the narrow row that every append changes: SQLite rewrites a
-- whole row, however long it is.

CREATE TABLE aureus.session_states (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    collection TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    context TEXT NOT NULL,
    PRIMARY KEY (tenant_id, collection, agent_id, session_id)
) STRICT;

-- The history. position counts from 1 without gaps; the first message of an append carries the mark by which a repeated
-- append is recognised.

CREATE TABLE aureus.session_messages (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    collection TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL CHECK (position > 0),
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    metadata TEXT,
    version INTEGER NOT NULL,
    operation_id TEXT NOT NULL,
    is_first INTEGER NOT NULL CHECK (is_first IN (0, 1)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, collection, agent_id, session_id, generation, position)
) STRICT;

CREATE UNIQUE INDEX session_messages_appended
    ON aureus.session_messages (tenant_id, collection, agent_id, session_id, operation_id) WHERE is_first;

-- Collections whose states are indexed, and how far that has come: a collection without a row is not.

CREATE TABLE aureus.session_collections (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    collection TEXT NOT NULL,
    is_ready INTEGER NOT NULL CHECK (is_ready IN (0, 1)),
    through_agent_id TEXT NOT NULL,
    through_session_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, collection)
) STRICT;

-- The single values of states with the path that leads to them, both shortened: whoever finds a session by them
-- compares its state itself.

CREATE TABLE aureus.session_facets (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    collection TEXT NOT NULL,
    facet TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, collection, facet, agent_id, session_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_facets_session ON aureus.session_facets (tenant_id, collection, agent_id, session_id);

CREATE TRIGGER sessions_cleared AFTER UPDATE OF generation ON aureus.sessions
WHEN OLD.generation <> NEW.generation
BEGIN
    DELETE FROM aureus.session_messages
    WHERE tenant_id = NEW.tenant_id AND collection = NEW.collection AND agent_id = NEW.agent_id
      AND session_id = NEW.session_id AND generation < NEW.generation;
    DELETE FROM aureus.session_states
    WHERE tenant_id = NEW.tenant_id AND collection = NEW.collection AND agent_id = NEW.agent_id
      AND session_id = NEW.session_id;
    DELETE FROM aureus.session_facets
    WHERE tenant_id = NEW.tenant_id AND collection = NEW.collection AND agent_id = NEW.agent_id
      AND session_id = NEW.session_id;
END;
