-- Snapshots: what agents were at one moment, and going back to it. A snapshot is written once and may be deleted; only
-- the mark of its last verification changes. What is captured and brought back belongs to other nouns, whose own
-- statements read and write it (aureus.snapshots).

-- part: columns
-- One snapshot, as aureus.stores.snapshots reads it.
s.snapshot_id, s.agent_id, s.user_id, s.namespace, s.world_scope, s.collection, s.session_ids, s.run_id, s.task_id,
    s.created_at, s.created_by, s.risk_tier, s.tags, s.metadata, s.ledger_key, s.ledger_incarnation, s.ledger_size,
    s.ledger_root, s.as_of_size, s.state_count, s.memory_count, s.state_hash, s.root, s.is_verified, s.verified_at

-- part: approval
-- One approval, as aureus.stores.snapshots reads it.
approval_id, snapshot_id, root, risk_tier, status, requested_by, requested_at, expires_at, reason, needs_another,
    decision_id, decided_by, decided_at, decision_reason, rollback_id

-- part: criteria
-- What a list asks for beside its order; a NULL lets everything through.
CASE WHEN (CAST(:task_id AS text) IS NULL OR s.task_id = :task_id)
    AND (CAST(:world_scope AS text) IS NULL OR s.world_scope = :world_scope)
    AND (NOT :verified_only OR s.is_verified) AND <<tagged>> THEN 1 END IS NOT NULL

-- part: newest_first
-- One page, last first, behind a place and back to a moment.
s.created_at >= :since AND (s.created_at, s.snapshot_id) < (:before_at, :before_id)
ORDER BY s.created_at DESC, s.snapshot_id DESC
LIMIT (SELECT CAST(:limit AS bigint))

-- part: listed
-- What every row fulfils and only lists say: on PostgreSQL their indexes have it as a condition (migration 0030).
s.agent_id >= ''

-- part: asked
-- The same for rollbacks and the questions about them.
snapshot_id >= ''

-- name: get_snapshot :one
-- One snapshot without its parts.
SELECT <<columns>>
FROM aureus.snapshots AS s
WHERE s.tenant_id = :tenant_id AND s.snapshot_id = :snapshot_id;

-- name: list_snapshots :many
-- A page of the tenant's snapshots; served by snapshots_newest.
SELECT <<columns>>
FROM aureus.snapshots AS s
WHERE s.tenant_id = :tenant_id AND <<listed>> AND <<criteria>>
  AND <<newest_first>>;

-- name: list_agent_snapshots :many
-- A page of the snapshots of one agent; served by snapshots_agent.
SELECT <<columns>>
FROM aureus.snapshots AS s <<by_agent>>
WHERE s.tenant_id = :tenant_id AND s.agent_id = :agent_id AND <<listed>> AND <<criteria>>
  AND CASE WHEN CAST(:run_id AS text) IS NULL OR s.run_id = :run_id THEN 1 END IS NOT NULL
  AND <<newest_first>>;

-- name: list_run_snapshots :many
-- A page of the snapshots of one run; served by snapshots_run.
SELECT <<columns>>
FROM aureus.snapshots AS s
WHERE s.tenant_id = :tenant_id AND s.run_id = :run_id AND <<criteria>>
  AND <<newest_first>>;

-- name: list_memory_snapshots :many
-- A page of the snapshots that point to a memory; served by snapshot_parts_memory.
SELECT <<columns>>
FROM aureus.snapshot_parts AS p
JOIN aureus.snapshots AS s ON s.tenant_id = p.tenant_id AND s.snapshot_id = p.snapshot_id
WHERE p.tenant_id = :tenant_id AND p.kind = 'memory' AND p.name = :memory_id
  AND CASE WHEN (CAST(:agent_id AS text) IS NULL OR s.agent_id = :agent_id)
    AND (CAST(:run_id AS text) IS NULL OR s.run_id = :run_id) THEN 1 END IS NOT NULL
  AND <<criteria>>
  AND p.created_at >= :since AND (p.created_at, p.snapshot_id) < (:before_at, :before_id)
ORDER BY p.created_at DESC, p.snapshot_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_snapshot_parts :many
-- Parts of a snapshot behind a number, in the order of its leaves; by the primary key.
SELECT p.part_no, p.kind, p.place, p.name, p.version, p.content_hash, p.leaf_hash, p.content, p.salt,
    p.erasure_record_id
FROM aureus.snapshot_parts AS p
WHERE p.tenant_id = :tenant_id AND p.snapshot_id = :snapshot_id AND p.part_no > :after_no
ORDER BY p.part_no
LIMIT :limit;

-- name: is_session_captured :one
-- Whether a snapshot holds the content of a session; served by snapshot_parts_session.
SELECT 1
FROM aureus.snapshot_parts AS p
JOIN aureus.snapshots AS s ON s.tenant_id = p.tenant_id AND s.snapshot_id = p.snapshot_id
WHERE p.tenant_id = :tenant_id AND p.kind = 'session' AND p.place = :collection AND p.name = :session_id
  AND p.content IS NOT NULL AND s.agent_id = :agent_id
LIMIT 1;

-- name: erase_captured_session :many
-- Take the content of a session away from every snapshot; one row for each. Served by snapshot_parts_session.
UPDATE aureus.snapshot_parts AS p
SET content = NULL, salt = NULL, erasure_record_id = :record_id
WHERE p.tenant_id = :tenant_id AND p.kind = 'session' AND p.place = :collection AND p.name = :session_id
  AND p.content IS NOT NULL AND EXISTS (
    SELECT 1 FROM aureus.snapshots AS s
    WHERE s.tenant_id = :tenant_id AND s.snapshot_id = p.snapshot_id AND s.agent_id = :agent_id)
RETURNING part_no;

-- name: is_key_captured :one
-- Whether a snapshot holds a value of a key; served by snapshot_parts_key.
SELECT 1
FROM aureus.snapshot_parts AS p
WHERE p.tenant_id = :tenant_id AND p.kind = 'world_state' AND p.place = :scope AND p.name = :key
  AND p.content IS NOT NULL
LIMIT 1;

-- name: erase_captured_key :many
-- Take the values of a key away from every snapshot; one row for each. Served by snapshot_parts_key.
UPDATE aureus.snapshot_parts AS p
SET content = NULL, salt = NULL, erasure_record_id = :record_id
WHERE p.tenant_id = :tenant_id AND p.kind = 'world_state' AND p.place = :scope AND p.name = :key
  AND p.content IS NOT NULL
RETURNING part_no;

-- name: mark_snapshot :one
-- key: snapshot_id
-- records
-- Note what verifying a snapshot has found.
UPDATE aureus.snapshots SET is_verified = :is_verified, verified_at = :now
WHERE tenant_id = :tenant_id AND snapshot_id = :snapshot_id
RETURNING snapshot_id;

-- name: delete_snapshot :one
-- key: snapshot_id
-- records
-- Remove a snapshot with its parts. No row: there is none.
DELETE FROM aureus.snapshots
WHERE tenant_id = :tenant_id AND snapshot_id = :snapshot_id
RETURNING snapshot_id;

-- name: get_rollback :one
-- What one rollback did.
SELECT rollback_id, snapshot_id, before_id, approval_id, risk_tier, actor, reason, created_at, counts, kept
FROM aureus.rollbacks
WHERE tenant_id = :tenant_id AND rollback_id = :rollback_id;

-- name: list_rollbacks :many
-- A page of rollbacks, newest first; served by rollbacks_newest.
SELECT rollback_id, snapshot_id, before_id, approval_id, risk_tier, actor, reason, created_at, counts, kept
FROM aureus.rollbacks
WHERE tenant_id = :tenant_id AND <<asked>> AND (created_at, rollback_id) < (:before_at, :before_id)
  AND CASE WHEN CAST(:snapshot_id AS text) IS NULL OR snapshot_id = :snapshot_id THEN 1 END IS NOT NULL
ORDER BY created_at DESC, rollback_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: add_rollback_approval :one
-- records
-- Ask whether an agent may go back. No row: this question was asked before.
INSERT INTO aureus.rollback_approvals
    (tenant_id, approval_id, snapshot_id, root, risk_tier, status, requested_by, requested_at, expires_at, reason,
        needs_another)
VALUES (:tenant_id, :approval_id, :snapshot_id, :root, :risk_tier, 'pending', :requested_by, :now, :expires_at,
    :reason, :needs_another)
ON CONFLICT (tenant_id, approval_id) DO NOTHING
RETURNING <<approval>>;

-- name: get_rollback_approval :one
-- One approval.
SELECT <<approval>>
FROM aureus.rollback_approvals
WHERE tenant_id = :tenant_id AND approval_id = :approval_id;

-- name: list_rollback_approvals :many
-- A page of approvals, newest first; served by rollback_approvals_newest.
SELECT <<approval>>
FROM aureus.rollback_approvals
WHERE tenant_id = :tenant_id AND <<asked>> AND (requested_at, approval_id) < (:before_at, :before_id)
  AND CASE WHEN (CAST(:status AS text) IS NULL OR status = :status)
    AND (CAST(:snapshot_id AS text) IS NULL OR snapshot_id = :snapshot_id) THEN 1 END IS NOT NULL
ORDER BY requested_at DESC, approval_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: decide_rollback_approval :one
-- key: approval_id
-- records
-- Answer a question. No row: it is answered already, has expired, or was never asked.
UPDATE aureus.rollback_approvals
SET status = :status, decision_id = :decision_id, decided_by = :decided_by, decided_at = :now,
    decision_reason = :decision_reason
WHERE tenant_id = :tenant_id AND approval_id = :approval_id AND status = 'pending' AND expires_at > :now
RETURNING <<approval>>;

-- name: use_rollback_approval :one
-- key: approval_id
-- Use an approval up for one rollback. No row: it was not given, not for this, or is used or over.
UPDATE aureus.rollback_approvals
SET status = 'used', rollback_id = :rollback_id
WHERE tenant_id = :tenant_id AND approval_id = :approval_id AND snapshot_id = :snapshot_id AND root = :root
  AND status = 'approved' AND expires_at > :now
RETURNING <<approval>>;

-- name: list_subject_snapshots :many
-- Snapshots of a user, behind an id in the order of ids.
SELECT s.snapshot_id
FROM aureus.snapshots AS s
WHERE s.tenant_id = :tenant_id AND s.snapshot_id > :after_id
  AND CASE WHEN s.user_id = :subject THEN 1 END IS NOT NULL
ORDER BY s.snapshot_id
LIMIT (SELECT CAST(:limit AS bigint));
