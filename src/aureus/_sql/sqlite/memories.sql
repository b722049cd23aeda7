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

-- part: add
-- New memories with their tags; an earlier write of the same operation is found again.
<<insert_given>>
WHERE true
ON CONFLICT (tenant_id, memory_id) DO NOTHING
RETURNING memory_id;
<<tag_given>>;
SELECT <<columns>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id IN (
    SELECT g.value ->> 'memory_id' FROM json_each(:memories) AS g
    WHERE m.agent_id = g.value ->> 'agent_id' AND m.user_id = g.value ->> 'user_id'
      AND m.memory_key = g.value ->> 'memory_key' AND (m.operation_id <> g.value ->> 'operation_id' OR (
          m.text = g.value ->> 'text' AND m.type = g.value ->> 'type' AND m.content IS g.value ->> 'content')))

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

-- name: lock_memory :one
-- One memory, and whether an operation has written one of its latest versions. The one writer needs no lock.
SELECT <<columns>>, EXISTS (
    SELECT 1 FROM aureus.memory_versions AS v
    WHERE v.tenant_id = m.tenant_id AND v.memory_id = m.memory_id AND v.version > m.version - 100
      AND v.operation_id = :operation_id)
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = :memory_id;

-- name: replace_memory :one
-- records
-- Write the next version of a memory and keep the one before. No row: it is not the version before this one any more.
INSERT INTO aureus.memory_versions (tenant_id, <<columns>>, recorded_from_at, recorded_to_at)
SELECT tenant_id, <<columns>>, updated_at, :now
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = :memories ->> '$[0].memory_id'
  AND version = (:memories ->> '$[0].version') - 1
RETURNING memory_id;
DELETE FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND memory_id = :memories ->> '$[0].memory_id' AND tag IN (
    SELECT t.value
    FROM aureus.memories AS m CROSS JOIN json_each(m.tags) AS t
    WHERE m.tenant_id = :tenant_id AND m.memory_id = :memories ->> '$[0].memory_id');
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
FROM json_each(:memories) AS g
WHERE m.tenant_id = :tenant_id AND m.memory_id = g.value ->> 'memory_id';
<<tag_given>>;
SELECT <<columns>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = :memories ->> '$[0].memory_id'
  AND m.version = :memories ->> '$[0].version';
