-- Memories on SQLite: a write is a script whose first statement is the guarded insert, or the copy of the version that
-- it replaces.

-- part: insert_given
-- New rows of what is given.
INSERT INTO aureus.memories (tenant_id, memory_id, version, namespace, memory_key, agent_id, user_id, session_id, type,
    confidence, subject, text_language, run_id, task_id, step_id, source_event_id, provenance_at, is_shared, tier,
    occurred_at, valid_from_at, valid_to_at, expires_at, deleted_at, superseded_by, operation_id, created_at,
    updated_at, tags, metadata, sources, text, content)
SELECT :tenant_id, g.value ->> 'memory_id', g.value ->> 'version', g.value ->> 'namespace', g.value ->> 'memory_key',
    g.value ->> 'agent_id', g.value ->> 'user_id', g.value ->> 'session_id', g.value ->> 'type',
    g.value ->> 'confidence', g.value ->> 'subject', g.value ->> 'text_language', g.value ->> 'run_id',
    g.value ->> 'task_id', g.value ->> 'step_id', g.value ->> 'source_event_id', g.value ->> 'provenance_at',
    g.value ->> 'is_shared', g.value ->> 'tier', g.value ->> 'occurred_at', g.value ->> 'valid_from_at',
    g.value ->> 'valid_to_at', g.value ->> 'expires_at', g.value ->> 'deleted_at', g.value ->> 'superseded_by',
    g.value ->> 'operation_id', g.value ->> 'created_at', g.value ->> 'updated_at', g.value ->> 'tags',
    g.value ->> 'metadata', g.value ->> 'sources', g.value ->> 'text', g.value ->> 'content'
FROM json_each(:memories) AS g

-- part: tag_given
-- The tags of what is given, as far as it is live.
INSERT INTO aureus.memory_tags (tenant_id, tag, memory_id)
SELECT :tenant_id, t.value, g.value ->> 'memory_id'
FROM json_each(:memories) AS g
CROSS JOIN json_each(g.value ->> 'tags') AS t
WHERE g.value ->> 'deleted_at' IS NULL AND g.value ->> 'superseded_by' = ''

-- part: criteria
-- What a filter asks for. Lists are JSON arrays; json_contains is a function that the connection brings.
<<plain_criteria>>
  AND (:types IS NULL OR m.type IN (SELECT value FROM json_each(:types)))
  AND (:tags IS NULL OR NOT EXISTS (
      SELECT 1 FROM json_each(:tags) AS t WHERE t.value NOT IN (SELECT value FROM json_each(m.tags))))
  AND (:tags_any IS NULL OR EXISTS (
      SELECT 1 FROM json_each(:tags_any) AS t WHERE t.value IN (SELECT value FROM json_each(m.tags))))
  AND (:containing IS NULL OR json_contains(m.content, :containing))
  AND (:valid_at IS NULL
      OR (m.valid_from_at IS NULL OR m.valid_from_at <= :valid_at)
        AND (m.valid_to_at IS NULL OR m.valid_to_at > :valid_at))

-- part: by_newest
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memories_newest

-- part: by_agent
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memories_agent

-- part: by_user
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memories_user

-- part: by_shared
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memories_shared

-- part: by_superseded
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memories_superseded

-- part: by_superseded_agent
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memories_superseded_agent

-- part: by_version
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memory_versions_newest

-- part: by_version_agent
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY memory_versions_agent

-- part: chosen_memories
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
aureus.memories AS m INDEXED BY sqlite_autoindex_memories_1

-- part: chosen
-- Memories with these ids.
m.memory_id IN (SELECT value FROM json_each(:memory_ids))

-- part: add
-- New memories with their tags; an earlier write of the same operation is found again.
<<insert_given>>
WHERE true
ON CONFLICT (tenant_id, memory_id) DO NOTHING
RETURNING memory_id;
<<tag_given>>;
SELECT <<columns_of_m>>
FROM json_each(:memories) AS g
CROSS JOIN aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id' AND m.agent_id = g.value ->> 'agent_id'
  AND m.user_id = g.value ->> 'user_id' AND m.memory_key = g.value ->> 'memory_key'
  AND (m.operation_id <> g.value ->> 'operation_id' OR (
      m.text = g.value ->> 'text' AND m.type = g.value ->> 'type' AND m.content IS g.value ->> 'content'))

-- name: add_memory :one
-- locks: agent_id, user_id
-- records
-- Add one memory. No row: the id is taken by a memory that says something else.
<<add>>;

-- name: add_memories :many
-- locks: agent_id, user_id
-- records
-- Add many memories at once. No row: the ids are taken by memories that say something else.
<<add>>
ORDER BY m.memory_no;

-- name: get_memories :many
-- Memories by their ids, whatever became of them.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));

-- name: get_exact_versions :many
-- Certain versions of memories, whatever became of them; one that is not there has no row. CROSS JOIN keeps SQLite from
-- looking through all memories of the tenant instead.
SELECT <<columns_of_m>>
FROM json_each(:wanted) AS g
CROSS JOIN aureus.memories AS m
  ON m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id' AND m.version = g.value ->> 'version'
UNION ALL
SELECT <<columns_of_m>>
FROM json_each(:wanted) AS g
CROSS JOIN aureus.memory_versions AS m
  ON m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id' AND m.version = g.value ->> 'version';

-- name: list_key_holders :many
-- Memories that hold keys which others are to get back, though they may have expired; served by memories_key.
SELECT <<columns_of_m>>
FROM json_each(:keys) AS g
CROSS JOIN aureus.memories AS m
  ON m.tenant_id = :tenant_id AND m.agent_id = g.value ->> 'agent_id' AND m.user_id = g.value ->> 'user_id'
  AND m.namespace = g.value ->> 'namespace' AND m.memory_key = g.value ->> 'memory_key'
WHERE m.memory_key <> '' AND m.deleted_at IS NULL AND m.superseded_by = '';

-- name: lock_memory :one
-- One memory; the one writer needs no lock.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = :memory_id;

-- part: archive
-- Keep the versions that are replaced.
INSERT INTO aureus.memory_versions (tenant_id, <<columns>>, recorded_from_at, recorded_to_at)
SELECT tenant_id, <<columns>>, updated_at, max(updated_at, :now)
FROM aureus.memories
WHERE tenant_id = :tenant_id AND (memory_id, version) IN (
    SELECT g.value ->> 'memory_id', (g.value ->> 'version') - 1 FROM json_each(:memories) AS g)
RETURNING memory_id

-- part: rewrite
-- Write the next versions.
WITH given AS MATERIALIZED (
    SELECT g.value ->> 'memory_id' AS memory_id, g.value FROM json_each(:memories) AS g
)
UPDATE aureus.memories AS m SET
    version = g.value ->> 'version', type = g.value ->> 'type', confidence = g.value ->> 'confidence',
    subject = g.value ->> 'subject', text_language = g.value ->> 'text_language', run_id = g.value ->> 'run_id',
    task_id = g.value ->> 'task_id', step_id = g.value ->> 'step_id', source_event_id = g.value ->> 'source_event_id',
    provenance_at = g.value ->> 'provenance_at', is_shared = g.value ->> 'is_shared', tier = g.value ->> 'tier',
    occurred_at = g.value ->> 'occurred_at', valid_from_at = g.value ->> 'valid_from_at',
    valid_to_at = g.value ->> 'valid_to_at', expires_at = g.value ->> 'expires_at',
    deleted_at = g.value ->> 'deleted_at', superseded_by = g.value ->> 'superseded_by',
    operation_id = g.value ->> 'operation_id', updated_at = g.value ->> 'updated_at', tags = g.value ->> 'tags',
    metadata = g.value ->> 'metadata', sources = g.value ->> 'sources', text = g.value ->> 'text',
    content = g.value ->> 'content'
FROM given AS g
WHERE m.tenant_id = :tenant_id AND m.memory_id = g.memory_id
  AND m.memory_id IN (SELECT h.value ->> 'memory_id' FROM json_each(:memories) AS h)
  AND m.version = (g.value ->> 'version') - 1

-- part: rewritten
-- The memories as they are now.
SELECT <<columns_of_m>>
FROM json_each(:memories) AS g
CROSS JOIN aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id' AND m.version = g.value ->> 'version'

-- part: replace
-- The next versions of memories with their tags; those before are kept.
<<archive>>;
DELETE FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND (tag, memory_id) IN (
    SELECT t.value, m.memory_id
    FROM json_each(:memories) AS g
    CROSS JOIN aureus.memories AS m
    CROSS JOIN json_each(m.tags) AS t
    WHERE m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id');
<<rewrite>>;
<<tag_given>>;
<<rewritten>>

-- name: replace_memory :one
-- records
-- Write the next version of a memory and keep the one before. No row: it is not the version before this one any more.
<<replace>>;

-- name: revise_memory :one
-- records
-- The same for a memory that stays live and keeps its tags.
<<archive>>;
<<rewrite>>;
<<rewritten>>;

-- name: replace_memories :many
-- records
-- The same for many memories that are locked.
<<replace>>;

-- name: put_memory :one
-- records
-- Put a memory under a key whose lock is held and that holds nothing.
<<add>>;

-- name: supersede_memory :one
-- records
-- Put a memory under a key whose lock is held, and end the memory that the key holds, whose row is locked: both or
-- neither. No row: what the key holds is not of the version before this one any more.
INSERT INTO aureus.memory_versions (tenant_id, <<columns>>, recorded_from_at, recorded_to_at)
SELECT tenant_id, <<columns>>, updated_at, :ended_at
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = :ended_id AND version = :ended_version - 1
RETURNING memory_id;
DELETE FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND memory_id = :ended_id AND tag IN (
    SELECT t.value FROM aureus.memories AS m CROSS JOIN json_each(m.tags) AS t
    WHERE m.tenant_id = :tenant_id AND m.memory_id = :ended_id);
UPDATE aureus.memories SET
    version = :ended_version, superseded_by = :memories ->> '$[0].memory_id',
    operation_id = :memories ->> '$[0].memory_id', valid_to_at = :ends_at, updated_at = :ended_at
WHERE tenant_id = :tenant_id AND memory_id = :ended_id;
<<insert_given>>;
<<tag_given>>;
SELECT <<columns_of_m>>
FROM json_each(:memories) AS g
CROSS JOIN aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id';

-- name: purge_memories :many
-- records
-- Remove memories with everything that was kept of them.
SELECT memory_id FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));
DELETE FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND (tag, memory_id) IN (
    SELECT t.value, m.memory_id
    FROM aureus.memories AS m CROSS JOIN json_each(m.tags) AS t
    WHERE m.tenant_id = :tenant_id AND m.memory_id IN (SELECT value FROM json_each(:memory_ids)));
DELETE FROM aureus.memory_versions
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));
DELETE FROM aureus.memory_accesses
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));
DELETE FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));

-- name: lock_owned_memories :many
-- A batch of live memories of one agent, and of one user where one is given.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id AND (:user_id IS NULL OR m.user_id = :user_id)
  AND m.deleted_at IS NULL AND m.superseded_by = ''
ORDER BY m.occurred_at, m.memory_id
LIMIT :limit;

-- name: lock_expired_memories :many
-- A batch of expired memories, first expired first; served by memories_expiring.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.expires_at IS NOT NULL AND m.expires_at <= :now
  AND m.deleted_at IS NULL AND m.superseded_by = ''
ORDER BY m.expires_at, m.memory_id
LIMIT :limit;

-- name: record_accesses :many
-- Count one use of each of these memories.
INSERT INTO aureus.memory_accesses AS a (tenant_id, memory_id, access_count, accessed_at)
SELECT :tenant_id, m.memory_id, 1, :now
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id IN (SELECT value FROM json_each(:memory_ids))
ON CONFLICT (tenant_id, memory_id)
DO UPDATE SET access_count = a.access_count + 1, accessed_at = excluded.accessed_at
RETURNING memory_id;

-- name: move_memories :many
-- records
-- Move memories to another tier, as far as they are still of the version that was decided about.
UPDATE aureus.memories AS m SET tier = g.value ->> 'tier'
FROM json_each(:memories) AS g
WHERE m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id' AND m.version = g.value ->> 'version'
  AND m.memory_id IN (SELECT h.value ->> 'memory_id' FROM json_each(:memories) AS h)
  AND m.deleted_at IS NULL AND m.superseded_by = ''
RETURNING memory_id;

-- name: lock_memory_key :one
-- The one writer needs no lock.
SELECT :tenant_id || :place;

-- name: lock_memories :many
-- Memories by their ids, in the order of the ids, that nobody else is about to change.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND <<chosen>>
ORDER BY m.memory_id;

-- name: look_under_key :many
-- What a key holds, and the memory that is about to be put there if it is there already.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND (m.memory_id = :memory_id
    OR m.agent_id = :agent_id AND m.user_id = :user_id AND m.namespace = :namespace AND m.memory_key = :key
      AND m.memory_key <> '' AND m.deleted_at IS NULL AND m.superseded_by = '');

-- name: find_tagged :many
-- The ids of live memories with at least one of these tags, up to a limit; once for each tag.
SELECT memory_id
FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND tag IN (SELECT value FROM json_each(:tags))
LIMIT :limit;

-- name: list_neighbours :many
-- The live memories of the same session right before and behind each hit; served by memories_session.
SELECT <<columns_of_m>>, h.value ->> 0, h.value ->> 4
FROM json_each(:hits) AS h
CROSS JOIN aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id IN (
    SELECT b.memory_id FROM (
        SELECT m.memory_id FROM aureus.memories AS m
        WHERE m.tenant_id = :tenant_id AND m.agent_id = h.value ->> 1 AND m.user_id = h.value ->> 2
          AND m.session_id = h.value ->> 3 AND m.session_id <> '' AND m.memory_no < h.value ->> 4 AND <<live>>
        ORDER BY m.memory_no DESC
        LIMIT :count) AS b
    UNION ALL
    SELECT a.memory_id FROM (
        SELECT m.memory_id FROM aureus.memories AS m
        WHERE m.tenant_id = :tenant_id AND m.agent_id = h.value ->> 1 AND m.user_id = h.value ->> 2
          AND m.session_id = h.value ->> 3 AND m.session_id <> '' AND m.memory_no > h.value ->> 4 AND <<live>>
        ORDER BY m.memory_no
        LIMIT :count) AS a);

-- name: lock_subject_memories :many
-- Those of some memories that are of a user or about a person; nobody else writes meanwhile.
SELECT m.memory_id
FROM json_each(:memory_ids) AS g
CROSS JOIN aureus.memories AS m ON m.tenant_id = :tenant_id AND m.memory_id = g.value
WHERE m.user_id = :subject OR m.subject = :subject
ORDER BY m.memory_id;

-- name: erase_memories :many
-- Remove memories that are locked, with everything that was kept of them; the rows are the ids, each with the versions,
-- tags, counts of uses and vectors that went with all of them.
WITH erased AS MATERIALIZED (
    SELECT m.memory_id, m.tags
    FROM json_each(:memory_ids) AS g
    CROSS JOIN aureus.memories AS m ON m.tenant_id = :tenant_id AND m.memory_id = g.value
)
SELECT e.memory_id,
    (SELECT count(*) FROM erased AS g
     CROSS JOIN aureus.memory_versions AS v ON v.tenant_id = :tenant_id AND v.memory_id = g.memory_id),
    (SELECT count(*) FROM erased AS g CROSS JOIN json_each(g.tags) AS t
     CROSS JOIN aureus.memory_tags AS d ON d.tenant_id = :tenant_id AND d.tag = t.value AND d.memory_id = g.memory_id),
    (SELECT count(*) FROM erased AS g
     CROSS JOIN aureus.memory_accesses AS a ON a.tenant_id = :tenant_id AND a.memory_id = g.memory_id),
    (SELECT count(*) FROM erased AS g
     CROSS JOIN aureus.memory_embeddings AS b ON b.tenant_id = :tenant_id AND b.memory_id = g.memory_id)
FROM erased AS e;
DELETE FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND (tag, memory_id) IN (
    SELECT t.value, m.memory_id
    FROM json_each(:memory_ids) AS g
    CROSS JOIN aureus.memories AS m ON m.tenant_id = :tenant_id AND m.memory_id = g.value
    CROSS JOIN json_each(m.tags) AS t);
DELETE FROM aureus.memory_versions
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));
DELETE FROM aureus.memory_accesses
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));
DELETE FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id IN (SELECT value FROM json_each(:memory_ids));

-- name: erase_memory_versions :many
-- Remove replaced versions, given as pairs of id and version.
DELETE FROM aureus.memory_versions
WHERE tenant_id = :tenant_id AND (memory_id, version) IN (
    SELECT g.value ->> 0, g.value ->> 1 FROM json_each(:versions) AS g)
RETURNING version;
