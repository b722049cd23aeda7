-- why: sessions of agents: state, history, and the facets by which states are found
-- breaking: no
--
-- A session is live while expires_at is null or in the future; deleting sets it to the beginning of time, so that one
-- comparison says it all. What stays of a deleted or swept session is a row without content, the tombstone: its version
-- goes on counting, so that a write that is late finds another version and is refused.
--
-- generation tells one life of a session from the next: reset, deletion and the return of an expired session raise it,
-- and a trigger then removes what belonged to the last one. It runs statements of its own and so sees what others have
-- committed while its statement waited for the row.
--
-- Lock order: a session's row before its state, messages and facets.

CREATE TABLE aureus.sessions (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    collection text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    generation bigint NOT NULL,
    message_count bigint NOT NULL CHECK (message_count >= 0),
    ttl_ms bigint CHECK (ttl_ms > 0),
    expires_at timestamptz,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, collection, agent_id, session_id)
) WITH (fillfactor = 80);

CREATE INDEX sessions_newest ON aureus.sessions (tenant_id, collection, agent_id, updated_at, session_id)
    WHERE deleted_at IS NULL;
CREATE INDEX sessions_expiring ON aureus.sessions (tenant_id, expires_at)
    WHERE deleted_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX sessions_deleted ON aureus.sessions (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

-- The document: replaced by every save, and apart from the narrow row that every append changes.

CREATE TABLE aureus.session_states (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    collection text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    state json NOT NULL,
    context json NOT NULL,
    PRIMARY KEY (tenant_id, collection, agent_id, session_id)
) WITH (fillfactor = 70);

-- The history. position counts from 1 without gaps; the first message of an append carries the mark by which a repeated
-- append is recognised.

CREATE TABLE aureus.session_messages (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    collection text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL CHECK (position > 0),
    role text NOT NULL,
    content json NOT NULL,
    metadata json,
    version bigint NOT NULL,
    operation_id text COLLATE "C" NOT NULL,
    is_first boolean NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, collection, agent_id, session_id, generation, position)
);

CREATE UNIQUE INDEX session_messages_appended
    ON aureus.session_messages (tenant_id, collection, agent_id, session_id, operation_id) WHERE is_first;

-- Collections whose states are indexed, and how far that has come: a collection without a row is not.

CREATE TABLE aureus.session_collections (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    collection text COLLATE "C" NOT NULL,
    is_ready boolean NOT NULL,
    through_agent_id text COLLATE "C" NOT NULL,
    through_session_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, collection)
);

-- The single values of states with the path that leads to them, both shortened: whoever finds a session by them
-- compares its state itself. A B-tree over text serves under row level security, where a GIN index cannot.

CREATE TABLE aureus.session_facets (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    collection text COLLATE "C" NOT NULL,
    facet text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, collection, facet, agent_id, session_id)
);

CREATE INDEX session_facets_session ON aureus.session_facets (tenant_id, collection, agent_id, session_id);

CREATE FUNCTION aureus.state_facets(state jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH RECURSIVE node (path, value) AS (
        SELECT '', state
        UNION ALL
        SELECT n.path || step.path, step.value
        FROM node AS n CROSS JOIN LATERAL (
            SELECT '.' || e.key AS path, e.value
            FROM pg_catalog.jsonb_each(CASE pg_catalog.jsonb_typeof(n.value) WHEN 'object' THEN n.value END) AS e
            UNION ALL
            SELECT '[]', e.value
            FROM pg_catalog.jsonb_array_elements(
                CASE pg_catalog.jsonb_typeof(n.value) WHEN 'array' THEN n.value END) AS e
        ) AS step
    )
    SELECT DISTINCT pg_catalog.left(CASE pg_catalog.jsonb_typeof(value)
            WHEN 'number' THEN pg_catalog.trim_scale(CAST(value #>> '{}' AS numeric))::text
            WHEN 'string' THEN '"' || (value #>> '{}')
            ELSE coalesce(value #>> '{}', 'null') END, 80)
        || '@' || pg_catalog.right(path, 120)
    FROM node WHERE pg_catalog.jsonb_typeof(value) NOT IN ('object', 'array')
$$;

-- Wait for every writer of a table and keep new ones out until the end of the transaction. The name comes as the type
-- of the table's rows, because the schema may have any name.

CREATE FUNCTION aureus.lock_out_writers(row_type regtype) RETURNS void LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
BEGIN
    EXECUTE 'LOCK TABLE ' || row_type::text || ' IN SHARE ROW EXCLUSIVE MODE';
END $$;

-- Remove what the last generation of a session facets behind. A revived session may have its new state already.

CREATE FUNCTION aureus.clear_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_session text := ' WHERE tenant_id = $1 AND collection = $2 AND agent_id = $3 AND session_id = $4';
    found_state boolean;
BEGIN
    EXECUTE format('DELETE FROM %I.session_messages', TG_TABLE_SCHEMA) || of_session || ' AND generation < $5'
        USING NEW.tenant_id, NEW.collection, NEW.agent_id, NEW.session_id, NEW.generation;
    EXECUTE format('DELETE FROM %I.session_states', TG_TABLE_SCHEMA) || of_session || ' AND generation < $5'
        USING NEW.tenant_id, NEW.collection, NEW.agent_id, NEW.session_id, NEW.generation;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.session_states', TG_TABLE_SCHEMA) || of_session || ')'
        INTO found_state USING NEW.tenant_id, NEW.collection, NEW.agent_id, NEW.session_id;
    IF NOT found_state THEN
        EXECUTE format('DELETE FROM %I.session_facets', TG_TABLE_SCHEMA) || of_session
            USING NEW.tenant_id, NEW.collection, NEW.agent_id, NEW.session_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_cleared AFTER UPDATE ON aureus.sessions
    FOR EACH ROW WHEN (OLD.generation <> NEW.generation) EXECUTE FUNCTION aureus.clear_session();

ALTER TABLE aureus.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.sessions
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.session_states ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.session_states FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.session_states
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.session_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.session_messages FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.session_messages
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.session_collections ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.session_collections FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.session_collections
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.session_facets ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.session_facets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.session_facets
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
