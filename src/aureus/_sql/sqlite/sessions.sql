-- Sessions on SQLite: each write is a script whose first statement is the guarded write of the session's row. The
-- SELECT at its end answers a repeated call too, which it knows by its operation_id. Facets are made by walking
-- through a state; the walk stands where it is needed, because SQLite has no functions of its own.

-- name: save_session :one
-- key: collection, agent_id, session_id
-- records
-- Store the document of a session. No row: the expected version is not the current one. A session that has expired or
-- was deleted counts as absent, and begins a new generation.
INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    ttl_ms, expires_at, operation_id, created_at, updated_at)
SELECT :tenant_id, :collection, :agent_id, :session_id, 1, 1, 0, :ttl_ms, :expires_at, :operation_id, :now, :now
WHERE coalesce(:expected_version, 0) = 0 OR EXISTS (
    SELECT 1 FROM aureus.sessions AS k
    WHERE k.tenant_id = :tenant_id AND k.collection = :collection AND k.agent_id = :agent_id
      AND k.session_id = :session_id)
ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
    version = s.version + 1,
    generation = CASE WHEN s.expires_at <= :now THEN s.generation + 1 ELSE s.generation END,
    message_count = CASE WHEN s.expires_at <= :now THEN 0 ELSE s.message_count END,
    created_at = CASE WHEN s.expires_at <= :now THEN excluded.created_at ELSE s.created_at END,
    ttl_ms = CASE WHEN :sets_expiry OR s.expires_at <= :now THEN excluded.ttl_ms ELSE s.ttl_ms END,
    expires_at = CASE WHEN :sets_expiry OR s.expires_at <= :now THEN excluded.expires_at
        WHEN s.ttl_ms IS NOT NULL THEN :now + s.ttl_ms * 1000
        ELSE s.expires_at END,
    operation_id = excluded.operation_id, updated_at = excluded.updated_at, deleted_at = NULL
WHERE s.operation_id <> excluded.operation_id
  AND (:expected_version IS NULL OR :expected_version = CASE WHEN s.expires_at <= :now THEN 0 ELSE s.version END)
RETURNING version;
INSERT INTO aureus.session_states AS d (tenant_id, collection, agent_id, session_id, generation, state, context)
VALUES (:tenant_id, :collection, :agent_id, :session_id, (
    SELECT s.generation FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
      AND s.session_id = :session_id), :state, coalesce(:context, '{}'))
ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
    generation = excluded.generation, state = excluded.state, context = coalesce(:context, d.context);
DELETE FROM aureus.session_facets
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND EXISTS (
    SELECT 1 FROM aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection);
WITH RECURSIVE node (path, value, kind) AS (
    SELECT '', :state, json_type(:state)
    FROM aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
    UNION ALL
    SELECT n.path || CASE n.kind WHEN 'array' THEN '[]' ELSE '.' || e.key END, e.value, e.type
    FROM node AS n
    JOIN json_each(CASE WHEN n.kind IN ('object', 'array') THEN n.value ELSE '[]' END) AS e
)
INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
SELECT DISTINCT :tenant_id, :collection, substr(CASE
        WHEN kind IN ('integer', 'real') THEN printf('%!.17g', value + 0.0)
        WHEN kind = 'text' THEN '"' || value
        ELSE kind END, 1, 80) || '@' || substr(path, -120), :agent_id, :session_id
FROM node WHERE kind NOT IN ('object', 'array');
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.sessions AS s
JOIN aureus.session_states AS d
  ON d.tenant_id = s.tenant_id AND d.collection = s.collection AND d.agent_id = s.agent_id
  AND d.session_id = s.session_id AND d.generation = s.generation
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id AND s.operation_id = :operation_id;

-- name: rewrite_sessions :many
-- key: collection, agent_id
-- records
-- Store the documents of many sessions of an agent with the ends that are given; one row for each. One that has expired
-- or was deleted begins a new generation. Within a transaction that has seen the sessions.
INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    ttl_ms, expires_at, operation_id, created_at, updated_at)
SELECT :tenant_id, :collection, :agent_id, g.value ->> 'session_id', 1, 1, 0, g.value ->> 'ttl_ms',
    g.value ->> 'expires_at', :operation_id, :now, :now
FROM json_each(:sessions) AS g
WHERE true
ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
    version = s.version + 1,
    generation = CASE WHEN s.expires_at <= :now THEN s.generation + 1 ELSE s.generation END,
    message_count = CASE WHEN s.expires_at <= :now THEN 0 ELSE s.message_count END,
    created_at = CASE WHEN s.expires_at <= :now THEN excluded.created_at ELSE s.created_at END,
    ttl_ms = excluded.ttl_ms, expires_at = excluded.expires_at, operation_id = excluded.operation_id,
    updated_at = excluded.updated_at, deleted_at = NULL
RETURNING session_id;
INSERT INTO aureus.session_states AS d (tenant_id, collection, agent_id, session_id, generation, state, context)
SELECT :tenant_id, :collection, :agent_id, s.session_id, s.generation, g.value ->> 'state', g.value ->> 'context'
FROM json_each(:sessions) AS g
CROSS JOIN aureus.sessions AS s ON s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
    AND s.session_id = g.value ->> 'session_id'
WHERE true
ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
    generation = excluded.generation, state = excluded.state, context = excluded.context;
DELETE FROM aureus.session_facets
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id
  AND session_id IN (SELECT g.value ->> 'session_id' FROM json_each(:sessions) AS g)
  AND EXISTS (
    SELECT 1 FROM aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection);
WITH RECURSIVE node (session_id, path, value, kind) AS (
    SELECT g.value ->> 'session_id', '', g.value ->> 'state', json_type(g.value ->> 'state')
    FROM json_each(:sessions) AS g CROSS JOIN aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
    UNION ALL
    SELECT n.session_id, n.path || CASE n.kind WHEN 'array' THEN '[]' ELSE '.' || e.key END, e.value, e.type
    FROM node AS n
    JOIN json_each(CASE WHEN n.kind IN ('object', 'array') THEN n.value ELSE '[]' END) AS e
)
INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
SELECT DISTINCT :tenant_id, :collection, substr(CASE
        WHEN kind IN ('integer', 'real') THEN printf('%!.17g', value + 0.0)
        WHEN kind = 'text' THEN '"' || value
        ELSE kind END, 1, 80) || '@' || substr(path, -120), :agent_id, session_id
FROM node WHERE kind NOT IN ('object', 'array');

-- name: append_messages :one
-- key: collection, agent_id, session_id
-- records
-- Append messages behind whatever is there; begin the session where none ever was. No row: it was deleted or has
-- expired, or the expected version is not the current one.
INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    operation_id, created_at, updated_at)
SELECT :tenant_id, :collection, :agent_id, :session_id, 1, 1, :count, '', :now, :now
WHERE (coalesce(:expected_version, 0) = 0 OR EXISTS (
    SELECT 1 FROM aureus.sessions AS k
    WHERE k.tenant_id = :tenant_id AND k.collection = :collection AND k.agent_id = :agent_id
      AND k.session_id = :session_id))
  AND NOT EXISTS (
    SELECT 1 FROM aureus.session_messages AS m
    WHERE m.tenant_id = :tenant_id AND m.collection = :collection AND m.agent_id = :agent_id
      AND m.session_id = :session_id AND m.operation_id = :operation_id AND m.is_first)
ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
    version = s.version + 1, message_count = s.message_count + excluded.message_count,
    updated_at = excluded.updated_at,
    expires_at = CASE WHEN s.ttl_ms IS NULL THEN s.expires_at ELSE :now + s.ttl_ms * 1000 END
WHERE (s.expires_at IS NULL OR s.expires_at > :now)
  AND (:expected_version IS NULL OR :expected_version = s.version)
RETURNING version;
INSERT INTO aureus.session_messages (tenant_id, collection, agent_id, session_id, generation, position, role, content,
    metadata, version, operation_id, is_first, created_at)
SELECT :tenant_id, :collection, :agent_id, :session_id, s.generation, s.message_count - :count + f.key + 1, f.value,
    :contents ->> f.key, :metadatas ->> f.key, s.version, :operation_id, f.key = 0, :now
FROM json_each(:roles) AS f
JOIN aureus.sessions AS s
  ON s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id
ORDER BY f.key;
SELECT m.version, m.position
FROM aureus.session_messages AS m
WHERE m.tenant_id = :tenant_id AND m.collection = :collection AND m.agent_id = :agent_id
  AND m.session_id = :session_id AND m.operation_id = :operation_id AND m.is_first;

-- name: delete_session :one
-- key: collection, agent_id, session_id
-- records
-- Leave nothing of a session but its tombstone. No row: there is nothing, or the expected version is not the current
-- one.
UPDATE aureus.sessions SET version = version + 1, generation = generation + 1, message_count = 0, ttl_ms = NULL,
    expires_at = :gone_at, operation_id = :operation_id, updated_at = :now, deleted_at = :now
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND deleted_at IS NULL AND operation_id <> :operation_id
  AND (:expected_version IS NULL OR :expected_version = version)
RETURNING version;
SELECT version FROM aureus.sessions
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND operation_id = :operation_id AND deleted_at IS NOT NULL;

-- name: reset_session :one
-- key: collection, agent_id, session_id
-- records
-- Empty a session: no state, no context, no history. No row: it is not there, or at another version.
UPDATE aureus.sessions SET version = version + 1, generation = generation + 1, message_count = 0,
    expires_at = CASE WHEN ttl_ms IS NULL THEN expires_at ELSE :now + ttl_ms * 1000 END,
    operation_id = :operation_id, updated_at = :now
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND operation_id <> :operation_id AND (expires_at IS NULL OR expires_at > :now)
  AND (:expected_version IS NULL OR :expected_version = version)
RETURNING version;
SELECT agent_id, session_id, version, message_count, ttl_ms, expires_at, created_at, updated_at
FROM aureus.sessions
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND operation_id = :operation_id;

-- name: set_session_expiry :one
-- key: collection, agent_id, session_id
-- records
-- Say when a session ends, or that it does not. No row: it is not there, or at another version.
UPDATE aureus.sessions SET version = version + 1, ttl_ms = :ttl_ms, expires_at = :expires_at,
    operation_id = :operation_id, updated_at = :now
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND operation_id <> :operation_id AND (expires_at IS NULL OR expires_at > :now)
  AND (:expected_version IS NULL OR :expected_version = version)
RETURNING version;
SELECT agent_id, session_id, version, message_count, ttl_ms, expires_at, created_at, updated_at
FROM aureus.sessions
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
  AND operation_id = :operation_id;

-- name: delete_sessions_of_agent :many
-- key: collection, agent_id
-- records
-- Leave nothing of an agent's sessions but their tombstones; one row for each.
UPDATE aureus.sessions SET version = version + 1, generation = generation + 1, message_count = 0, ttl_ms = NULL,
    expires_at = :gone_at, operation_id = :operation_id, updated_at = :now, deleted_at = :now
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND deleted_at IS NULL
RETURNING session_id;
SELECT session_id FROM aureus.sessions
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id
  AND operation_id = :operation_id AND deleted_at IS NOT NULL;

-- name: sweep_sessions :many
-- records
-- Leave nothing of expired sessions but their tombstones, those that expired first before others; one row for each.
-- Served by sessions_expiring; the plus keeps SQLite from going through all of a tenant's sessions for the rows found.
UPDATE aureus.sessions SET version = version + 1, generation = generation + 1, message_count = 0, ttl_ms = NULL,
    expires_at = :gone_at, operation_id = :operation_id, updated_at = :now, deleted_at = :now
WHERE +tenant_id = :tenant_id AND rowid IN (
    SELECT s.rowid FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.deleted_at IS NULL AND s.expires_at <= :now
    ORDER BY s.expires_at
    LIMIT :limit)
RETURNING session_id;

-- name: prune_sessions :many
-- Forget tombstones that are older than a moment, oldest first; one row for each. Served by sessions_deleted.
DELETE FROM aureus.sessions
WHERE +tenant_id = :tenant_id AND rowid IN (
    SELECT s.rowid FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.deleted_at < :before_at
    ORDER BY s.deleted_at
    LIMIT :limit)
RETURNING session_id;

-- name: adopt_sessions :many
-- records
-- Take over sessions that were kept elsewhere, each with its times, unless there is one of its name; one row for each
-- that was taken. CROSS JOIN keeps SQLite from looking through the whole collection for each one that is given.
INSERT INTO aureus.sessions (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    operation_id, created_at, updated_at)
SELECT :tenant_id, :collection, g.value ->> 'agent_id', g.value ->> 'session_id', g.value ->> 'version', 1,
    json_array_length(g.value, '$.messages'), :operation_id, g.value ->> 'created_at', g.value ->> 'updated_at'
FROM json_each(:sessions) AS g
WHERE true
ON CONFLICT DO NOTHING
RETURNING agent_id, session_id;
INSERT INTO aureus.session_states (tenant_id, collection, agent_id, session_id, generation, state, context)
SELECT :tenant_id, :collection, s.agent_id, s.session_id, 1, g.value ->> 'state', g.value ->> 'context'
FROM json_each(:sessions) AS g
CROSS JOIN aureus.sessions AS s
  ON s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = g.value ->> 'agent_id'
  AND s.session_id = g.value ->> 'session_id' AND s.operation_id = :operation_id;
INSERT INTO aureus.session_messages (tenant_id, collection, agent_id, session_id, generation, position, role, content,
    metadata, version, operation_id, is_first, created_at)
SELECT :tenant_id, :collection, s.agent_id, s.session_id, 1, m.key + 1, m.value ->> 'role', m.value ->> 'content',
    m.value ->> 'metadata', s.version, :operation_id, m.key = 0, m.value ->> 'created_at'
FROM json_each(:sessions) AS g
CROSS JOIN aureus.sessions AS s
  ON s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = g.value ->> 'agent_id'
  AND s.session_id = g.value ->> 'session_id' AND s.operation_id = :operation_id
JOIN json_each(g.value, '$.messages') AS m;
WITH RECURSIVE node (agent_id, session_id, path, value, kind) AS (
    SELECT s.agent_id, s.session_id, '', g.value ->> 'state', json_type(g.value ->> 'state')
    FROM json_each(:sessions) AS g
    CROSS JOIN aureus.sessions AS s
      ON s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = g.value ->> 'agent_id'
      AND s.session_id = g.value ->> 'session_id' AND s.operation_id = :operation_id
    JOIN aureus.session_collections AS c ON c.tenant_id = :tenant_id AND c.collection = :collection
    UNION ALL
    SELECT n.agent_id, n.session_id, n.path || CASE n.kind WHEN 'array' THEN '[]' ELSE '.' || e.key END, e.value,
        e.type
    FROM node AS n
    JOIN json_each(CASE WHEN n.kind IN ('object', 'array') THEN n.value ELSE '[]' END) AS e
)
INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
SELECT DISTINCT :tenant_id, :collection, substr(CASE
        WHEN kind IN ('integer', 'real') THEN printf('%!.17g', value + 0.0)
        WHEN kind = 'text' THEN '"' || value
        ELSE kind END, 1, 80) || '@' || substr(path, -120), agent_id, session_id
FROM node WHERE kind NOT IN ('object', 'array')
ON CONFLICT DO NOTHING;

-- name: list_states :many
-- Live sessions with their documents behind a place in the order of agents and sessions; for looking through them all.
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.sessions AS s
JOIN aureus.session_states AS d
  ON d.tenant_id = s.tenant_id AND d.collection = s.collection AND d.agent_id = s.agent_id
  AND d.session_id = s.session_id AND d.generation = s.generation
WHERE s.tenant_id = :tenant_id AND s.collection = :collection
  AND (s.agent_id, s.session_id) > (:after_agent_id, :after_session_id)
  AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now)
ORDER BY s.agent_id, s.session_id
LIMIT :limit;

-- name: list_documents :many
-- Live sessions of an agent with their documents behind a name, by name; one that was only appended to has no document.
-- Served by the primary key.
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.sessions AS s
LEFT JOIN aureus.session_states AS d
  ON d.tenant_id = s.tenant_id AND d.collection = s.collection AND d.agent_id = s.agent_id
  AND d.session_id = s.session_id AND d.generation = s.generation
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id > :after_session_id AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now)
ORDER BY s.session_id
LIMIT :limit;

-- name: find_states :many
-- Live sessions that have every facet of a value, in the order of agents and sessions. The rarest facet, as far as a
-- thousand sessions tell, leads; the others are looked up.
WITH RECURSIVE node (path, value, kind) AS (
    SELECT '', :wanted, json_type(:wanted)
    UNION ALL
    SELECT n.path || CASE n.kind WHEN 'array' THEN '[]' ELSE '.' || e.key END, e.value, e.type
    FROM node AS n
    JOIN json_each(CASE WHEN n.kind IN ('object', 'array') THEN n.value ELSE '[]' END) AS e
), facets (facet) AS (
    SELECT DISTINCT substr(CASE
            WHEN kind IN ('integer', 'real') THEN printf('%!.17g', value + 0.0)
            WHEN kind = 'text' THEN '"' || value
            ELSE kind END, 1, 80) || '@' || substr(path, -120)
    FROM node WHERE kind NOT IN ('object', 'array')
), wanted (facet, frequency) AS MATERIALIZED (
    SELECT f.facet, (SELECT count(*) FROM (
        SELECT 1 FROM aureus.session_facets AS x
        WHERE x.tenant_id = :tenant_id AND x.collection = :collection AND x.facet = f.facet
        LIMIT 1000))
    FROM facets AS f
)
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.session_facets AS l
JOIN aureus.sessions AS s
  ON s.tenant_id = l.tenant_id AND s.collection = l.collection AND s.agent_id = l.agent_id
  AND s.session_id = l.session_id
JOIN aureus.session_states AS d
  ON d.tenant_id = s.tenant_id AND d.collection = s.collection AND d.agent_id = s.agent_id
  AND d.session_id = s.session_id AND d.generation = s.generation
WHERE l.tenant_id = :tenant_id AND l.collection = :collection
  AND l.facet = (SELECT w.facet FROM wanted AS w ORDER BY w.frequency, w.facet LIMIT 1)
  AND (l.agent_id, l.session_id) > (:after_agent_id, :after_session_id)
  AND l.agent_id <= :through_agent_id
  AND (s.expires_at IS NULL OR s.expires_at > :now)
  AND NOT EXISTS (
    SELECT 1 FROM wanted AS w WHERE NOT EXISTS (
        SELECT 1 FROM aureus.session_facets AS m
        WHERE m.tenant_id = :tenant_id AND m.collection = :collection AND m.facet = w.facet
          AND m.agent_id = l.agent_id AND m.session_id = l.session_id))
ORDER BY l.agent_id, l.session_id
LIMIT :limit;

-- name: lock_out_session_writers :exec
-- There is one writer at a time, and this transaction is it.
SELECT 1 FROM (SELECT :tenant_id AS tenant_id) AS t WHERE tenant_id = :tenant_id;

-- name: lock_session_batch :many
-- The next sessions of a collection that are to be indexed.
SELECT s.agent_id, s.session_id
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection
  AND (s.agent_id, s.session_id) > (:after_agent_id, :after_session_id)
ORDER BY s.agent_id, s.session_id
LIMIT :limit;

-- name: index_session_batch :exec
-- Write the facets of sessions that were there before their collection was indexed.
WITH RECURSIVE node (agent_id, session_id, path, value, kind) AS (
    SELECT d.agent_id, d.session_id, '', d.state, json_type(d.state)
    FROM aureus.session_states AS d
    WHERE d.tenant_id = :tenant_id AND d.collection = :collection
      AND (d.agent_id, d.session_id) > (:after_agent_id, :after_session_id)
      AND (d.agent_id, d.session_id) <= (:through_agent_id, :through_session_id)
    UNION ALL
    SELECT n.agent_id, n.session_id, n.path || CASE n.kind WHEN 'array' THEN '[]' ELSE '.' || e.key END, e.value,
        e.type
    FROM node AS n
    JOIN json_each(CASE WHEN n.kind IN ('object', 'array') THEN n.value ELSE '[]' END) AS e
)
INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
SELECT DISTINCT :tenant_id, :collection, substr(CASE
        WHEN kind IN ('integer', 'real') THEN printf('%!.17g', value + 0.0)
        WHEN kind = 'text' THEN '"' || value
        ELSE kind END, 1, 80) || '@' || substr(path, -120), agent_id, session_id
FROM node WHERE kind NOT IN ('object', 'array')
ON CONFLICT DO NOTHING;
