-- Sessions: the documents of agents' sessions, their histories, and the facets by which states are found. Every write
-- begins with the session's row, whose lock puts writers in an order; what a session's last generation leaves behind is
-- removed by a trigger. Live is a session whose expires_at is null or in the future: deleting moves it to 1970.

-- name: load_session :one
-- A live session with its document; one that was only appended to has none.
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at,
    d.state, d.context
FROM aureus.sessions AS s
LEFT JOIN aureus.session_states AS d
  ON d.tenant_id = s.tenant_id AND d.collection = s.collection AND d.agent_id = s.agent_id
  AND d.session_id = s.session_id AND d.generation = s.generation
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id AND (s.expires_at IS NULL OR s.expires_at > :now);

-- name: get_session_standing :one
-- Where a session stands that a write was refused for: its version, and whether it is live.
SELECT s.version, s.expires_at IS NULL OR s.expires_at > :now
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.session_id = :session_id;

-- name: list_sessions :many
-- A page of an agent's sessions without their documents, newest update first. Served by sessions_newest.
SELECT s.agent_id, s.session_id, s.version, s.message_count, s.ttl_ms, s.expires_at, s.created_at, s.updated_at
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id AND s.deleted_at IS NULL
  AND (s.expires_at IS NULL OR s.expires_at > :now)
  AND (s.updated_at, s.session_id) < (:before_at, :before_id)
ORDER BY s.updated_at DESC, s.session_id DESC
LIMIT :limit;

-- name: list_agents :many
-- A page of agents that have live sessions, by name, with the number of them and the last update.
SELECT s.agent_id, count(*), max(s.updated_at) AS updated_at
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id > :after_agent_id
  AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now)
GROUP BY s.agent_id
ORDER BY s.agent_id
LIMIT :limit;

-- name: count_sessions :one
-- How many live sessions a collection has.
SELECT count(*)
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection
  AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now);

-- name: count_sessions_of_agent :one
-- How many live sessions an agent has.
SELECT count(*)
FROM aureus.sessions AS s
WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
  AND s.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > :now);

-- name: read_messages :many
-- A part of a session's history, oldest first. A sub-select, not a join, lets session_messages_pkey give the order.
SELECT m.position, m.role, m.content, m.metadata, m.version, m.created_at
FROM aureus.session_messages AS m
WHERE m.tenant_id = :tenant_id AND m.collection = :collection AND m.agent_id = :agent_id
  AND m.session_id = :session_id AND m.generation = (
    SELECT s.generation FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
      AND s.session_id = :session_id AND (s.expires_at IS NULL OR s.expires_at > :now))
  AND m.position > :after_position AND m.position < :before_position
ORDER BY m.position
LIMIT :limit;

-- name: read_last_messages :many
-- The end of a part of a session's history, newest first.
SELECT m.position, m.role, m.content, m.metadata, m.version, m.created_at
FROM aureus.session_messages AS m
WHERE m.tenant_id = :tenant_id AND m.collection = :collection AND m.agent_id = :agent_id
  AND m.session_id = :session_id AND m.generation = (
    SELECT s.generation FROM aureus.sessions AS s
    WHERE s.tenant_id = :tenant_id AND s.collection = :collection AND s.agent_id = :agent_id
      AND s.session_id = :session_id AND (s.expires_at IS NULL OR s.expires_at > :now))
  AND m.position > :after_position AND m.position < :before_position
ORDER BY m.position DESC
LIMIT :limit;

-- name: get_collection :one
-- Whether the states of a collection are indexed, and through which session that has come.
SELECT c.is_ready, c.through_agent_id, c.through_session_id
FROM aureus.session_collections AS c
WHERE c.tenant_id = :tenant_id AND c.collection = :collection;

-- name: begin_collection :one
-- key: collection
-- Let every save write facets from now on.
INSERT INTO aureus.session_collections
    (tenant_id, collection, is_ready, through_agent_id, through_session_id, created_at)
VALUES (:tenant_id, :collection, false, '', '', :now)
ON CONFLICT (tenant_id, collection) DO NOTHING
RETURNING collection;

-- name: move_collection :one
-- key: collection
-- Note through which session a collection is indexed, and whether that was the last one.
UPDATE aureus.session_collections
SET is_ready = :is_ready, through_agent_id = :through_agent_id, through_session_id = :through_session_id
WHERE tenant_id = :tenant_id AND collection = :collection
RETURNING collection;

-- name: drop_collection :one
-- key: collection
-- Let saves write no facets any more.
DELETE FROM aureus.session_collections
WHERE tenant_id = :tenant_id AND collection = :collection
RETURNING collection;

-- name: drop_facets :exec
-- key: collection
-- Remove the facets of a collection.
DELETE FROM aureus.session_facets WHERE tenant_id = :tenant_id AND collection = :collection;

-- name: is_session_known :one
-- Whether there is anything of a session, a tombstone included.
SELECT true FROM aureus.sessions
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id;

-- name: erase_session :one
-- Remove the row of a session, tombstone or not; what belongs to it follows.
DELETE FROM aureus.sessions
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
RETURNING version;

-- name: erase_session_state :many
-- Remove the document of a session whose row is gone.
DELETE FROM aureus.session_states
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
RETURNING generation;

-- name: erase_session_messages :many
-- Remove the history of a session whose row is gone.
DELETE FROM aureus.session_messages
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND session_id = :session_id
RETURNING position;

-- name: erase_session_facets :many
-- Remove what a session was found by; served by session_facets_session, which the bound of agent_id names (migration
-- 0030).
DELETE FROM aureus.session_facets
WHERE tenant_id = :tenant_id AND collection = :collection AND agent_id = :agent_id AND agent_id >= ''
  AND session_id = :session_id
RETURNING true;
