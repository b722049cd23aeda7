-- Memories on PostgreSQL. A write is one statement whose first step is the guarded insert or the copy of the version
-- that it replaces; everything else selects from it.

-- part: given
-- What a write is told, as rows.
SELECT * FROM json_to_recordset(CAST(:memories AS json)) AS g (
    memory_id text, version bigint, namespace text, memory_key text, agent_id text, user_id text, session_id text,
    type text, confidence double precision, subject text, text_language text, run_id text, task_id text, step_id text,
    source_event_id text, provenance_at bigint, is_shared boolean, tier text, occurred_at bigint,
    valid_from_at bigint, valid_to_at bigint, expires_at bigint, deleted_at bigint, superseded_by text,
    operation_id text, created_at bigint, updated_at bigint, tags text, metadata text, sources text, text text,
    content text)

-- part: insert_given
-- New rows of what is given; none for an id that is there.
INSERT INTO aureus.memories (tenant_id, <<columns>>)
SELECT :tenant_id, nextval('aureus.memory_no'), g.memory_id, g.version, g.namespace, g.memory_key, g.agent_id,
    g.user_id, g.session_id, g.type, g.confidence, g.subject, g.text_language, g.run_id, g.task_id, g.step_id,
    g.source_event_id, timestamptz 'epoch' + g.provenance_at * interval '1 microsecond', g.is_shared, g.tier,
    timestamptz 'epoch' + g.occurred_at * interval '1 microsecond',
    timestamptz 'epoch' + g.valid_from_at * interval '1 microsecond',
    timestamptz 'epoch' + g.valid_to_at * interval '1 microsecond',
    timestamptz 'epoch' + g.expires_at * interval '1 microsecond',
    timestamptz 'epoch' + g.deleted_at * interval '1 microsecond', g.superseded_by, g.operation_id,
    timestamptz 'epoch' + g.created_at * interval '1 microsecond',
    timestamptz 'epoch' + g.updated_at * interval '1 microsecond',
    CAST(g.tags AS json), CAST(g.metadata AS json), CAST(g.sources AS json), g.text, CAST(g.content AS json)
FROM given AS g

-- part: add
-- New memories with their tags; an earlier write of the same operation is found again.
WITH given AS MATERIALIZED (
    <<given>>
), written AS (
    <<insert_given>>
    ON CONFLICT (tenant_id, memory_id) DO NOTHING
    RETURNING <<columns>>
), tagged AS (
    INSERT INTO aureus.memory_tags (tenant_id, tag, memory_id)
    SELECT :tenant_id, t.tag, w.memory_id
    FROM written AS w CROSS JOIN json_array_elements_text(w.tags) AS t (tag)
)
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written
UNION ALL
SELECT <<columns_of_m>>, NULL
FROM given AS g
JOIN aureus.memories AS m ON m.tenant_id = :tenant_id AND m.memory_id = g.memory_id
WHERE NOT EXISTS (SELECT FROM written) AND m.agent_id = g.agent_id AND m.user_id = g.user_id
  AND m.memory_key = g.memory_key AND (m.operation_id <> g.operation_id OR (m.text = g.text AND m.type = g.type
      AND coalesce(CAST(m.content AS text), '') = coalesce(g.content, '')))

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
ORDER BY memory_no;

-- name: get_memories :many
-- Memories by their ids, whatever became of them.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = ANY (CAST(:memory_ids AS text[]));

-- name: lock_memory :one
-- One memory with the promise that nobody changes it before this transaction ends; and whether an operation has written
-- one of its latest versions.
SELECT <<columns>>, EXISTS (
    SELECT FROM aureus.memory_versions AS v
    WHERE v.tenant_id = m.tenant_id AND v.memory_id = m.memory_id AND v.version > m.version - 100
      AND v.operation_id = :operation_id)
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = :memory_id
FOR UPDATE OF m;

-- name: replace_memory :one
-- records
-- Write the next version of a memory and keep the one before. No row: it is not the version before this one any more.
WITH given AS MATERIALIZED (
    <<given>>
), archived AS (
    INSERT INTO aureus.memory_versions (tenant_id, <<columns>>, recorded_from_at, recorded_to_at)
    SELECT tenant_id, <<columns>>, updated_at, CAST(:now AS timestamptz)
    FROM aureus.memories
    WHERE tenant_id = :tenant_id
      AND (memory_id, version) IN (SELECT g.memory_id, g.version - 1 FROM given AS g)
    RETURNING memory_id, version, tags
), written AS (
    UPDATE aureus.memories AS m SET
        version = g.version, type = g.type, confidence = g.confidence, subject = g.subject,
        text_language = g.text_language, run_id = g.run_id, task_id = g.task_id, step_id = g.step_id,
        source_event_id = g.source_event_id,
        provenance_at = timestamptz 'epoch' + g.provenance_at * interval '1 microsecond', is_shared = g.is_shared,
        tier = g.tier, occurred_at = timestamptz 'epoch' + g.occurred_at * interval '1 microsecond',
        valid_from_at = timestamptz 'epoch' + g.valid_from_at * interval '1 microsecond',
        valid_to_at = timestamptz 'epoch' + g.valid_to_at * interval '1 microsecond',
        expires_at = timestamptz 'epoch' + g.expires_at * interval '1 microsecond',
        deleted_at = timestamptz 'epoch' + g.deleted_at * interval '1 microsecond',
        superseded_by = g.superseded_by, operation_id = g.operation_id,
        updated_at = timestamptz 'epoch' + g.updated_at * interval '1 microsecond',
        tags = CAST(g.tags AS json), metadata = CAST(g.metadata AS json), sources = CAST(g.sources AS json),
        text = g.text, content = CAST(g.content AS json)
    FROM given AS g JOIN archived AS a ON a.memory_id = g.memory_id
    WHERE m.tenant_id = :tenant_id AND m.memory_id = g.memory_id
    RETURNING <<columns_of_m>>
), wanted AS (
    SELECT t.tag, w.memory_id
    FROM written AS w CROSS JOIN json_array_elements_text(w.tags) AS t (tag)
    WHERE w.deleted_at IS NULL AND w.superseded_by = ''
), untagged AS (
    DELETE FROM aureus.memory_tags AS d
    USING archived AS a CROSS JOIN json_array_elements_text(a.tags) AS t (tag)
    WHERE d.tenant_id = :tenant_id AND d.tag = t.tag AND d.memory_id = a.memory_id
      AND NOT EXISTS (SELECT FROM wanted AS n WHERE n.tag = t.tag)
), tagged AS (
    INSERT INTO aureus.memory_tags (tenant_id, tag, memory_id)
    SELECT :tenant_id, tag, memory_id FROM wanted
    ON CONFLICT DO NOTHING
)
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written;
