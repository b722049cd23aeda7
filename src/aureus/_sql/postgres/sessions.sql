-- Sessions on PostgreSQL: each write is one statement that begins with the guarded write of the session's row; all else
-- selects from it. A repeated call finds what it wrote by its operation_id, in the second half of the UNION ALL.

-- part: document
-- The document of a session that stands outside, looked up by its key: joined by equality, a page far back would be
-- merged with all documents before it.
SELECT x.state, x.context FROM aureus.session_states AS x
    WHERE x.tenant_id = :tenant_id AND x.collection = :collection AND x.agent_id = s.agent_id
      AND x.session_id = s.session_id AND x.generation = s.generation
    LIMIT 1

-- part: appended
-- The first message of an append, by session_messages_appended: a range of one in its order. By equality the primary
-- key would serve as well before there are statistics, which reads every message of the session.
SELECT o.version, o.position FROM aureus.session_messages AS o
    WHERE o.tenant_id = :tenant_id AND o.collection = :collection AND o.agent_id = :agent_id
      AND o.session_id = :session_id AND o.is_first AND o.operation_id BETWEEN :operation_id AND :operation_id
    ORDER BY o.operation_id
    LIMIT 1

-- part: rarest
-- The facet that leads.
SELECT r.facet FROM wanted AS r ORDER BY r.frequency, r.facet LIMIT 1

-- name: save_session :one
-- key: collection, agent_id, session_id
-- records
-- Store the document of a session. No row: the expected version is not the current one. A session that has expired or
-- was deleted counts as absent, and begins a new generation.
WITH saved AS (
    INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
        ttl_ms, expires_at, operation_id, created_at, updated_at)
    SELECT :tenant_id, :collection, :agent_id, :session_id, 1, 1, 0, CAST(:ttl_ms AS bigint),
        CAST(:expires_at AS timestamptz), :operation_id, CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    WHERE coalesce(CAST(:expected_version AS bigint), 0) = 0 OR EXISTS (
        SELECT FROM aureus.sessions AS k
        WHERE k.tenant_id = :tenant_id AND k.collection = :collection AND k.agent_id = :agent_id
          AND k.session_id = :session_id)
    ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
        version = s.version + 1,
        generation = CASE WHEN s.expires_at <= excluded.updated_at THEN s.generation + 1 ELSE s.generation END,
        message_count = CASE WHEN s.expires_at <= excluded.updated_at THEN 0 ELSE s.message_count END,
        created_at = CASE WHEN s.expires_at <= excluded.updated_at THEN excluded.created_at ELSE s.created_at END,
        ttl_ms = CASE WHEN CAST(:sets_expiry AS boolean) OR s.expires_at <= excluded.updated_at
            THEN excluded.ttl_ms ELSE s.ttl_ms END,
        expires_at = CASE WHEN CAST(:sets_expiry AS boolean) OR s.expires_at <= excluded.updated_at
            THEN excluded.expires_at
            WHEN s.ttl_ms IS NOT NULL THEN excluded.updated_at + s.ttl_ms * interval '1 millisecond'
            ELSE s.expires_at END,
        operation_id = excluded.operation_id, updated_at = excluded.updated_at, deleted_at = NULL
    WHERE s.operation_id <> excluded.operation_id
      AND (CAST(:expected_version AS bigint) IS NULL OR CAST(:expected_version AS bigint) =
          CASE WHEN s.expires_at <= excluded.updated_at THEN 0 ELSE s.version END)
    RETURNING s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at,
        s.updated_at, s.generation
), document AS (
    INSERT INTO aureus.session_states AS d (tenant_id, collection, agent_id, session_id, generation, state, context)
    SELECT :tenant_id, :collection, :agent_id, :session_id, saved.generation, CAST(:state AS json),
        coalesce(CAST(:context AS json), '{}')
    FROM saved
    ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
        generation = excluded.generation, state = excluded.state,
        context = CASE WHEN CAST(:context AS json) IS NULL AND d.generation = excluded.generation
            THEN d.context ELSE excluded.context END
    RETURNING d.context
), wanted AS MATERIALIZED (
    SELECT aureus.state_facets(CAST(CAST(:state AS json) AS jsonb)) AS facet
    FROM saved CROSS JOIN aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
), gone AS (
    DELETE FROM aureus.session_facets AS l USING saved, aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
      AND l.tenant_id = :tenant_id AND l.collection = :collection AND l.agent_id = :agent_id AND l.agent_id >= ''
      AND l.session_id = :session_id AND l.facet NOT IN (SELECT wanted.facet FROM wanted)
), added AS (
    INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
    SELECT :tenant_id, :collection, wanted.facet, :agent_id, :session_id FROM wanted
    ON CONFLICT DO NOTHING
)
SELECT saved.agent_id, saved.session_id, saved.version, saved.message_count, saved.ttl_ms, saved.expires_at,
    saved.created_at, saved.updated_at, CAST(NULL AS json), document.context, set_config('aureus.mark', :mark, true)
FROM saved CROSS JOIN document
UNION ALL
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context, NULL
FROM aureus.sessions AS s
JOIN aureus.session_states AS d
  ON d.tenant_id = s.tenant_id AND d.collection = s.collection AND d.agent_id = s.agent_id
  AND d.session_id = s.session_id AND d.generation = s.generation
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id AND s.operation_id = :operation_id AND NOT EXISTS (SELECT FROM saved);

-- name: rewrite_sessions :many
-- key: collection, agent_id
-- records
-- Store the documents of many sessions of an agent with the ends that are given; one row for each. One that has expired
-- or was deleted begins a new generation. Within a transaction that has seen the sessions: whoever changed one since
-- lets it fail.
WITH given AS MATERIALIZED (
    SELECT g.* FROM json_to_recordset(CAST(:sessions AS json)) AS g (session_id text, state text, context text,
        ttl_ms bigint, expires_at bigint)
), saved AS (
    INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
        ttl_ms, expires_at, operation_id, created_at, updated_at)
    SELECT :tenant_id, :collection, :agent_id, g.session_id, 1, 1, 0, g.ttl_ms,
        aureus.from_micros(g.expires_at), :operation_id, CAST(:now AS timestamptz),
        CAST(:now AS timestamptz)
    FROM given AS g
    ORDER BY g.session_id COLLATE "C"
    ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
        version = s.version + 1,
        generation = CASE WHEN s.expires_at <= excluded.updated_at THEN s.generation + 1 ELSE s.generation END,
        message_count = CASE WHEN s.expires_at <= excluded.updated_at THEN 0 ELSE s.message_count END,
        created_at = CASE WHEN s.expires_at <= excluded.updated_at THEN excluded.created_at ELSE s.created_at END,
        ttl_ms = excluded.ttl_ms, expires_at = excluded.expires_at, operation_id = excluded.operation_id,
        updated_at = excluded.updated_at, deleted_at = NULL
    RETURNING s.session_id, s.generation
), documents AS (
    INSERT INTO aureus.session_states AS d (tenant_id, collection, agent_id, session_id, generation, state, context)
    SELECT :tenant_id, :collection, :agent_id, saved.session_id, saved.generation, CAST(g.state AS json),
        CAST(g.context AS json)
    FROM saved JOIN given AS g ON g.session_id = saved.session_id
    ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
        generation = excluded.generation, state = excluded.state, context = excluded.context
), wanted AS MATERIALIZED (
    SELECT g.session_id, f.facet
    FROM given AS g CROSS JOIN aureus.session_collections AS c
    CROSS JOIN LATERAL aureus.state_facets(CAST(g.state AS jsonb)) AS f (facet)
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
), gone AS (
    DELETE FROM aureus.session_facets AS l USING saved, aureus.session_collections AS c
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
      AND l.tenant_id = :tenant_id AND l.collection = :collection AND l.agent_id = :agent_id AND l.agent_id >= ''
      AND l.session_id = saved.session_id
      AND (l.session_id, l.facet) NOT IN (SELECT wanted.session_id, wanted.facet FROM wanted)
), added AS (
    INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
    SELECT :tenant_id, :collection, wanted.facet, :agent_id, wanted.session_id FROM wanted
    ON CONFLICT DO NOTHING
)
SELECT saved.session_id, set_config('aureus.mark', :mark, true) FROM saved;

-- name: append_messages :one
-- key: collection, agent_id, session_id
-- records
-- Append messages behind whatever is there; begin the session where none ever was. No row: it was deleted or has
-- expired, or the expected version is not the current one.
WITH appended AS (
    INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
        operation_id, created_at, updated_at)
    SELECT :tenant_id, :collection, :agent_id, :session_id, 1, 1, CAST(:count AS bigint), '',
        CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    WHERE (coalesce(CAST(:expected_version AS bigint), 0) = 0 OR EXISTS (
        SELECT FROM aureus.sessions AS k
        WHERE k.tenant_id = :tenant_id AND k.collection = :collection AND k.agent_id = :agent_id
          AND k.session_id = :session_id))
      AND NOT EXISTS (
        SELECT FROM (<<appended>>) AS m)
    ON CONFLICT (tenant_id, collection, agent_id, session_id) DO UPDATE SET
        version = s.version + 1, message_count = s.message_count + excluded.message_count,
        updated_at = excluded.updated_at,
        expires_at = CASE WHEN s.ttl_ms IS NULL THEN s.expires_at
            ELSE excluded.updated_at + s.ttl_ms * interval '1 millisecond' END
    WHERE (s.expires_at IS NULL OR s.expires_at > excluded.updated_at)
      AND (CAST(:expected_version AS bigint) IS NULL OR CAST(:expected_version AS bigint) = s.version)
    RETURNING s.version, s.generation, s.message_count - CAST(:count AS bigint) AS base
), messages AS (
    INSERT INTO aureus.session_messages (tenant_id, collection, agent_id, session_id, generation, position, role,
        content, metadata, version, operation_id, is_first, created_at)
    SELECT :tenant_id, :collection, :agent_id, :session_id, appended.generation, appended.base + f.ordinal, f.role,
        CAST(f.content AS json), CAST(f.metadata AS json), appended.version, :operation_id, f.ordinal = 1,
        CAST(:now AS timestamptz)
    FROM appended CROSS JOIN unnest(CAST(:roles AS text[]), CAST(:contents AS text[]), CAST(:metadatas AS text[]))
        WITH ORDINALITY AS f (role, content, metadata, ordinal)
)
SELECT appended.version, appended.base + 1, set_config('aureus.mark', :mark, true) FROM appended
UNION ALL
SELECT m.version, m.position, NULL
FROM (<<appended>>) AS m
WHERE NOT EXISTS (SELECT FROM appended);

-- name: delete_session :one
-- key: collection, agent_id, session_id
-- records
-- Leave nothing of a session but its tombstone. No row: there is nothing, or the expected version is not the current
-- one.
WITH deleted AS (
    UPDATE aureus.sessions SET version = version + 1, generation = generation + 1, message_count = 0, ttl_ms = NULL,
        expires_at = CAST(:gone_at AS timestamptz), operation_id = :operation_id,
        updated_at = CAST(:now AS timestamptz), deleted_at = CAST(:now AS timestamptz)
    WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
      AND expires_at IS DISTINCT FROM CAST(:gone_at AS timestamptz) AND operation_id <> :operation_id
      AND (CAST(:expected_version AS bigint) IS NULL OR CAST(:expected_version AS bigint) = version)
    RETURNING version
)
SELECT version, set_config('aureus.mark', :mark, true) FROM deleted
UNION ALL
SELECT s.version, NULL
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id AND s.operation_id = :operation_id AND s.expires_at = CAST(:gone_at AS timestamptz)
  AND NOT EXISTS (SELECT FROM deleted);

-- name: reset_session :one
-- key: collection, agent_id, session_id
-- records
-- Empty a session: no state, no context, no history. No row: it is not there, or at another version.
WITH emptied AS (
    UPDATE aureus.sessions AS s SET version = s.version + 1, generation = s.generation + 1, message_count = 0,
        expires_at = CASE WHEN s.ttl_ms IS NULL THEN s.expires_at
            ELSE CAST(:now AS timestamptz) + s.ttl_ms * interval '1 millisecond' END,
        operation_id = :operation_id, updated_at = CAST(:now AS timestamptz)
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
      AND s.session_id = :session_id AND s.operation_id <> :operation_id
      AND (s.expires_at IS NULL OR s.expires_at > CAST(:now AS timestamptz))
      AND (CAST(:expected_version AS bigint) IS NULL OR CAST(:expected_version AS bigint) = s.version)
    RETURNING s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at
)
SELECT emptied.*, set_config('aureus.mark', :mark, true) FROM emptied
UNION ALL
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at, NULL
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id AND s.operation_id = :operation_id AND NOT EXISTS (SELECT FROM emptied);

-- name: set_session_expiry :one
-- key: collection, agent_id, session_id
-- records
-- Say when a session ends, or that it does not. No row: it is not there, or at another version.
WITH moved AS (
    UPDATE aureus.sessions AS s SET version = s.version + 1, ttl_ms = CAST(:ttl_ms AS bigint),
        expires_at = CAST(:expires_at AS timestamptz), operation_id = :operation_id,
        updated_at = CAST(:now AS timestamptz)
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
      AND s.session_id = :session_id AND s.operation_id <> :operation_id
      AND (s.expires_at IS NULL OR s.expires_at > CAST(:now AS timestamptz))
      AND (CAST(:expected_version AS bigint) IS NULL OR CAST(:expected_version AS bigint) = s.version)
    RETURNING s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at
)
SELECT moved.*, set_config('aureus.mark', :mark, true) FROM moved
UNION ALL
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at, NULL
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id AND s.operation_id = :operation_id AND NOT EXISTS (SELECT FROM moved);

-- name: delete_sessions_of_agent :many
-- key: collection, agent_id
-- records
-- Leave nothing of an agent's sessions but their tombstones; one row for each.
WITH due AS MATERIALIZED (
    SELECT s.session_id FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id AND s.deleted_at IS NULL
    ORDER BY s.session_id
    FOR UPDATE
), deleted AS (
    UPDATE aureus.sessions AS s SET version = s.version + 1, generation = s.generation + 1, message_count = 0,
        ttl_ms = NULL, expires_at = CAST(:gone_at AS timestamptz), operation_id = :operation_id,
        updated_at = CAST(:now AS timestamptz), deleted_at = CAST(:now AS timestamptz)
    FROM due
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
      AND s.session_id = due.session_id
    RETURNING s.session_id
)
SELECT session_id, set_config('aureus.mark', :mark, true) FROM deleted
UNION ALL
SELECT s.session_id, NULL
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.operation_id = :operation_id AND s.expires_at = CAST(:gone_at AS timestamptz)
  AND NOT EXISTS (SELECT FROM deleted);

-- name: sweep_sessions :many
-- records
-- Leave nothing of expired sessions but their tombstones, those that expired first before others; one row for each.
-- Served by sessions_expiring.
WITH due AS MATERIALIZED (
    SELECT s.collection, s.agent_id, s.session_id FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.deleted_at IS NULL AND s.expires_at <= CAST(:now AS timestamptz)
    ORDER BY s.expires_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
), swept AS (
    UPDATE aureus.sessions AS s SET version = s.version + 1, generation = s.generation + 1, message_count = 0,
        ttl_ms = NULL, expires_at = CAST(:gone_at AS timestamptz), operation_id = :operation_id,
        updated_at = CAST(:now AS timestamptz), deleted_at = CAST(:now AS timestamptz)
    FROM due
    WHERE s.tenant_id = :tenant_id AND s.collection = due.collection AND s.agent_id = due.agent_id
      AND s.session_id = due.session_id
    RETURNING s.session_id
)
SELECT session_id, set_config('aureus.mark', :mark, true) FROM swept;

-- name: prune_sessions :many
-- Forget tombstones that are older than a moment, oldest first; one row for each. Served by sessions_deleted.
WITH due AS MATERIALIZED (
    SELECT s.collection, s.agent_id, s.session_id FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.deleted_at < CAST(:before_at AS timestamptz)
    ORDER BY s.deleted_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
DELETE FROM aureus.sessions AS s USING due
WHERE s.tenant_id = :tenant_id AND s.collection = due.collection AND s.agent_id = due.agent_id
  AND s.session_id = due.session_id
RETURNING s.session_id;

-- name: adopt_sessions :many
-- records
-- Take over sessions that were kept elsewhere, each with its times, unless there is one of its name; one row for each
-- that was taken.
WITH given AS MATERIALIZED (
    SELECT g.* FROM json_to_recordset(CAST(:sessions AS json)) AS g (agent_id text, session_id text, version bigint,
        state text, context text, created_at bigint, updated_at bigint, messages json)
), adopted AS (
    INSERT INTO aureus.sessions AS s (tenant_id, collection, agent_id, session_id, version, generation, message_count,
        operation_id, created_at, updated_at)
    SELECT :tenant_id, :collection, g.agent_id, g.session_id, g.version, 1, json_array_length(g.messages),
        :operation_id, aureus.from_micros(g.created_at),
        aureus.from_micros(g.updated_at)
    FROM given AS g
    ON CONFLICT DO NOTHING
    RETURNING s.agent_id, s.session_id, s.version
), documents AS (
    INSERT INTO aureus.session_states (tenant_id, collection, agent_id, session_id, generation, state, context)
    SELECT :tenant_id, :collection, a.agent_id, a.session_id, 1, CAST(g.state AS json), CAST(g.context AS json)
    FROM adopted AS a JOIN given AS g ON g.agent_id = a.agent_id AND g.session_id = a.session_id
), messages AS (
    INSERT INTO aureus.session_messages (tenant_id, collection, agent_id, session_id, generation, position, role,
        content, metadata, version, operation_id, is_first, created_at)
    SELECT :tenant_id, :collection, a.agent_id, a.session_id, 1, m.ordinal, m.message ->> 'role',
        CAST(m.message ->> 'content' AS json), CAST(m.message ->> 'metadata' AS json), a.version, :operation_id,
        m.ordinal = 1, aureus.from_micros(CAST(m.message ->> 'created_at' AS bigint))
    FROM adopted AS a JOIN given AS g ON g.agent_id = a.agent_id AND g.session_id = a.session_id
    CROSS JOIN LATERAL json_array_elements(g.messages) WITH ORDINALITY AS m (message, ordinal)
), facets AS (
    INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
    SELECT :tenant_id, :collection, f.facet, a.agent_id, a.session_id
    FROM adopted AS a JOIN given AS g ON g.agent_id = a.agent_id AND g.session_id = a.session_id
    CROSS JOIN aureus.session_collections AS c
    CROSS JOIN LATERAL aureus.state_facets(CAST(g.state AS jsonb)) AS f (facet)
    WHERE c.tenant_id = :tenant_id AND c.collection = :collection
    ON CONFLICT DO NOTHING
)
SELECT a.agent_id, a.session_id, set_config('aureus.mark', :mark, true) FROM adopted AS a;

-- name: list_states :many
-- Live sessions with their documents behind a place in the order of agents and sessions; for looking through them all.
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.sessions AS s
CROSS JOIN LATERAL (<<document>>) AS d
WHERE s.tenant_id = :tenant_id AND s.collection = :collection
  AND (s.agent_id, s.session_id) > (:after_agent_id, :after_session_id)
  AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now)
ORDER BY s.agent_id, s.session_id
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_documents :many
-- Live sessions of an agent with their documents behind a name, by name; one that was only appended to has no document.
-- Served by the primary key.
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.sessions AS s
LEFT JOIN LATERAL (<<document>>) AS d ON true
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id > :after_session_id AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now)
ORDER BY s.session_id
LIMIT (SELECT CAST(:limit AS bigint));

-- name: find_states :many
-- Live sessions that have every facet of a value, in the order of agents and sessions. The rarest facet, as far as a
-- thousand sessions tell, leads; the others are looked up. Served by session_facets_pkey: as a range of its order, and
-- whatever belongs to a session behind a limit or an offset, or a planner that knows nothing of the tables would take
-- any index that begins with the tenant, and read all facets of the collection.
WITH wanted AS MATERIALIZED (
    SELECT f.facet, (SELECT count(*) FROM (
        SELECT FROM aureus.session_facets AS x
        WHERE x.tenant_id = :tenant_id AND x.collection = :collection AND x.facet = f.facet
        LIMIT 1000) AS few) AS frequency
    FROM aureus.state_facets(CAST(CAST(:wanted AS json) AS jsonb)) AS f (facet)
)
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM (
    SELECT f.agent_id, f.session_id
    FROM aureus.session_facets AS f
    WHERE f.tenant_id = :tenant_id AND f.collection = :collection
      AND (f.facet, f.agent_id, f.session_id) > ((<<rarest>>), :after_agent_id, :after_session_id)
      AND (f.facet, f.agent_id) <= ((<<rarest>>), :through_agent_id)
      AND CASE WHEN NOT EXISTS (
        SELECT FROM wanted AS w WHERE NOT EXISTS (
            SELECT FROM aureus.session_facets AS m
            WHERE m.tenant_id = :tenant_id AND m.collection = :collection AND m.facet = w.facet
              AND m.agent_id = f.agent_id AND m.session_id = f.session_id
            OFFSET 0)
        OFFSET 0) THEN 1 END IS NOT NULL
    ORDER BY f.facet, f.agent_id, f.session_id) AS l
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.sessions AS o
    WHERE o.tenant_id = :tenant_id AND o.collection = :collection AND o.agent_id = l.agent_id
      AND o.session_id = l.session_id
    LIMIT 1) AS s
CROSS JOIN LATERAL (<<document>>) AS d
WHERE CASE WHEN s.expires_at IS NULL OR s.expires_at > :now THEN 1 END IS NOT NULL
LIMIT (SELECT CAST(:limit AS bigint));

-- name: lock_out_session_writers :exec
-- Wait until every writer of sessions has committed, and keep new ones waiting until this transaction ends.
SELECT aureus.lock_out_writers(pg_typeof(CAST(NULL AS aureus.sessions)))
FROM (SELECT CAST(:tenant_id AS text) AS tenant_id) AS t
WHERE tenant_id = :tenant_id;

-- name: lock_session_batch :many
-- The next sessions of a collection that are to be indexed; their rows stay as they are until the transaction ends.
SELECT s.agent_id, s.session_id
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection
  AND (s.agent_id, s.session_id) > (:after_agent_id, :after_session_id)
ORDER BY s.agent_id, s.session_id
LIMIT :limit
FOR UPDATE;

-- name: index_session_batch :exec
-- Write the facets of sessions that were there before their collection was indexed.
INSERT INTO aureus.session_facets (tenant_id, collection, facet, agent_id, session_id)
SELECT :tenant_id, :collection, f.facet, d.agent_id, d.session_id
FROM aureus.session_states AS d CROSS JOIN LATERAL aureus.state_facets(CAST(d.state AS jsonb)) AS f (facet)
WHERE d.tenant_id = :tenant_id AND d.collection = :collection
  AND (d.agent_id, d.session_id) > (:after_agent_id, :after_session_id)
  AND (d.agent_id, d.session_id) <= (:through_agent_id, :through_session_id)
ON CONFLICT DO NOTHING;
