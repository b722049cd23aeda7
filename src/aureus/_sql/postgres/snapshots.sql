-- Snapshots on PostgreSQL: parts arrive as one JSON array, hashes in hexadecimal, content as the text that it is.

-- part: tagged
-- A snapshot has a tag, where one is asked for.
(CAST(:tag AS text) IS NULL OR CAST(s.tags AS jsonb) ? CAST(:tag AS text))

-- part: by_agent
-- The planner knows which index serves.

-- name: add_snapshot :one
-- key: snapshot_id
-- records
-- Keep a new snapshot; its parts follow.
INSERT INTO aureus.snapshots (tenant_id, snapshot_id, agent_id, user_id, namespace, world_scope, collection,
    session_ids, run_id, task_id, created_at, created_by, risk_tier, tags, metadata, ledger_key, ledger_incarnation,
    ledger_size, ledger_root, as_of_size, state_count, memory_count, state_hash, root, is_verified)
VALUES (:tenant_id, :snapshot_id, :agent_id, :user_id, :namespace, :world_scope, :collection,
    CAST(:session_ids AS json), :run_id, :task_id, CAST(:now AS timestamptz), :created_by, :risk_tier,
    CAST(:tags AS json), CAST(:metadata AS json), :ledger_key, :ledger_incarnation, :ledger_size, :ledger_root,
    :as_of_size, :state_count, :memory_count, :state_hash, :root, false)
RETURNING snapshot_id;

-- name: add_snapshot_parts :many
-- Keep parts of a snapshot, whose own row this transaction has written; one row for each.
INSERT INTO aureus.snapshot_parts
    (tenant_id, snapshot_id, part_no, kind, place, name, version, content_hash, leaf_hash, content, salt,
        created_at)
SELECT :tenant_id, :snapshot_id, g.part_no, g.kind, g.place, g.name, g.version, decode(g.content_hash, 'hex'),
    decode(g.leaf_hash, 'hex'), g.content, decode(g.salt, 'hex'), CAST(:now AS timestamptz)
FROM json_to_recordset(CAST(:parts AS json)) AS g (part_no integer, kind text, place text, name text, version bigint,
    content_hash text, leaf_hash text, content text, salt text)
RETURNING part_no;

-- name: add_rollback :one
-- key: rollback_id
-- records
-- Keep what a rollback did.
INSERT INTO aureus.rollbacks
    (tenant_id, rollback_id, snapshot_id, before_id, approval_id, risk_tier, actor, reason, created_at, counts, kept)
VALUES (:tenant_id, :rollback_id, :snapshot_id, :before_id, :approval_id, :risk_tier, :actor, :reason,
    CAST(:now AS timestamptz), CAST(:counts AS json), CAST(:kept AS json))
RETURNING rollback_id;

-- name: erase_snapshots :many
-- Remove snapshots with their parts; each row has the number of all these parts.
WITH held AS MATERIALIZED (
    SELECT count(*) AS part_count FROM aureus.snapshot_parts AS p
    WHERE p.tenant_id = :tenant_id AND p.snapshot_id = ANY (CAST(:snapshot_ids AS text[]))
), erased AS (
    DELETE FROM aureus.snapshots
    WHERE tenant_id = :tenant_id AND snapshot_id = ANY (CAST(:snapshot_ids AS text[]))
    RETURNING snapshot_id
)
SELECT e.snapshot_id, h.part_count FROM erased AS e CROSS JOIN held AS h;

-- name: erase_pointers :many
-- Take the salt of pointers away whose memories, or versions of them, are not there any more; one row for each. Served
-- by snapshot_parts_memory.
UPDATE aureus.snapshot_parts AS p
SET content = NULL, salt = NULL, erasure_record_id = :record_id
WHERE p.tenant_id = :tenant_id AND p.kind = 'memory' AND p.erasure_record_id IS NULL
  AND p.name = ANY (ARRAY(SELECT g.value FROM json_array_elements_text(CAST(:memory_ids AS json)) AS g (value)))
  AND NOT EXISTS (
    SELECT 1 FROM aureus.memories AS m
    WHERE m.tenant_id = :tenant_id AND m.memory_id = p.name AND m.version = p.version
    OFFSET 0)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.memory_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.memory_id = p.name AND v.version = p.version
    OFFSET 0)
RETURNING part_no;
