-- Snapshots on SQLite: parts arrive as one JSON array, hashes in hexadecimal, content as the text that it is.

-- part: tagged
-- A snapshot has a tag, where one is asked for.
(:tag IS NULL OR :tag IN (SELECT t.value FROM json_each(s.tags) AS t))

-- part: by_agent
-- Without statistics SQLite takes an interval for more selective than it is, so the index is named.
INDEXED BY snapshots_agent

-- name: add_snapshot :one
-- key: snapshot_id
-- records
-- Keep a new snapshot; its parts follow.
INSERT INTO aureus.snapshots (tenant_id, snapshot_id, agent_id, user_id, namespace, world_scope, collection,
    session_ids, run_id, task_id, created_at, created_by, risk_tier, tags, metadata, ledger_key, ledger_incarnation,
    ledger_size, ledger_root, as_of_size, state_count, memory_count, state_hash, root, is_verified)
VALUES (:tenant_id, :snapshot_id, :agent_id, :user_id, :namespace, :world_scope, :collection, :session_ids, :run_id,
    :task_id, :now, :created_by, :risk_tier, :tags, :metadata, :ledger_key, :ledger_incarnation, :ledger_size,
    :ledger_root, :as_of_size, :state_count, :memory_count, :state_hash, :root, false)
RETURNING snapshot_id;

-- name: add_snapshot_parts :many
-- Keep parts of a snapshot, whose own row this transaction has written; one row for each.
INSERT INTO aureus.snapshot_parts
    (tenant_id, snapshot_id, part_no, kind, place, name, version, content_hash, leaf_hash, content, salt,
        created_at)
SELECT :tenant_id, :snapshot_id, g.value ->> 'part_no', g.value ->> 'kind', g.value ->> 'place', g.value ->> 'name',
    g.value ->> 'version', unhex(g.value ->> 'content_hash'), unhex(g.value ->> 'leaf_hash'), g.value ->> 'content',
    unhex(g.value ->> 'salt'), :now
FROM json_each(:parts) AS g
RETURNING part_no;

-- name: add_rollback :one
-- key: rollback_id
-- records
-- Keep what a rollback did.
INSERT INTO aureus.rollbacks
    (tenant_id, rollback_id, snapshot_id, before_id, approval_id, risk_tier, actor, reason, created_at, counts, kept)
VALUES (:tenant_id, :rollback_id, :snapshot_id, :before_id, :approval_id, :risk_tier, :actor, :reason, :now, :counts,
    :kept)
RETURNING rollback_id;

-- name: erase_snapshots :many
-- Remove snapshots with their parts; each row has the number of all these parts.
SELECT s.snapshot_id, (
    SELECT count(*) FROM json_each(:snapshot_ids) AS g
    CROSS JOIN aureus.snapshot_parts AS p ON p.tenant_id = :tenant_id AND p.snapshot_id = g.value)
FROM json_each(:snapshot_ids) AS o
CROSS JOIN aureus.snapshots AS s ON s.tenant_id = :tenant_id AND s.snapshot_id = o.value;
DELETE FROM aureus.snapshots
WHERE tenant_id = :tenant_id AND snapshot_id IN (SELECT value FROM json_each(:snapshot_ids));

-- name: erase_pointers :many
-- Take the salt of pointers away whose memories, or versions of them, are not there any more; one row for each. Served
-- by snapshot_parts_memory.
UPDATE aureus.snapshot_parts AS p
SET content = NULL, salt = NULL, erasure_record_id = :record_id
WHERE p.tenant_id = :tenant_id AND p.kind = 'memory' AND p.erasure_record_id IS NULL
  AND p.name IN (SELECT g.value FROM json_each(:memory_ids) AS g)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.memories AS m
    WHERE m.tenant_id = :tenant_id AND m.memory_id = p.name AND m.version = p.version)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.memory_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.memory_id = p.name AND v.version = p.version)
RETURNING part_no;
