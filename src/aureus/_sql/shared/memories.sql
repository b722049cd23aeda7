-- Memories: what agents keep. A row stands for the current version of a memory; whoever replaces it first copies it to
-- memory_versions. New memories arrive as one JSON array (aureus.stores.memories) and are gathered; a change reads its
-- memory, locked where the engine has locks for it, and then writes it, because its event names version and content.
-- Tags lie in memory_tags as long as the memory is live. Live is: deleted_at IS NULL AND superseded_by = ''; indexes
-- hold only live rows, so every list repeats these words.

-- part: columns
-- One memory, as aureus.stores.memories.rows reads it.
memory_no, memory_id, version, namespace, memory_key, agent_id, user_id, session_id, type, confidence, subject,
    text_language, run_id, task_id, step_id, source_event_id, provenance_at, is_shared, tier, occurred_at,
    valid_from_at, valid_to_at, expires_at, deleted_at, superseded_by, operation_id, created_at, updated_at, tags,
    metadata, sources, text, content

-- part: columns_of_m
-- The same where another table is beside memories.
m.memory_no, m.memory_id, m.version, m.namespace, m.memory_key, m.agent_id, m.user_id, m.session_id, m.type,
    m.confidence, m.subject, m.text_language, m.run_id, m.task_id, m.step_id, m.source_event_id, m.provenance_at,
    m.is_shared, m.tier, m.occurred_at, m.valid_from_at, m.valid_to_at, m.expires_at, m.deleted_at, m.superseded_by,
    m.operation_id, m.created_at, m.updated_at, m.tags, m.metadata, m.sources, m.text, m.content

-- name: get_memory :one
-- One memory by its id, whatever became of it.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = :memory_id;

-- name: get_keyed_memory :one
-- The live memory of a key; served by memories_key.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND user_id = :user_id AND namespace = :namespace
  AND memory_key = :key AND memory_key <> '' AND deleted_at IS NULL AND superseded_by = '';

-- name: get_written_version :one
-- The version of a memory that an operation wrote and that was replaced since.
SELECT <<columns>>
FROM aureus.memory_versions
WHERE tenant_id = :tenant_id AND memory_id = :memory_id AND operation_id = :operation_id;
