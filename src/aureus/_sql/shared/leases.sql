-- Leases: what reads the same on both engines.

-- name: release_lease :one
-- key: lease_id
-- Give a lease back, so that others need not wait for its end.
DELETE FROM aureus.leases
WHERE tenant_id = :tenant_id AND lease_id = :lease_id
RETURNING lease_id;

-- name: list_notices :many
-- What others want of the runs that a lease holds: to stop, or to go on because an approval was decided.
SELECT 'cancel' AS kind, r.run_id
FROM aureus.runs AS r
WHERE r.tenant_id = :tenant_id AND r.lease_id = :lease_id AND r.status IN ('pending', 'running', 'paused')
  AND r.cancel_requested_at IS NOT NULL
UNION ALL
SELECT 'approval' AS kind, r.run_id
FROM aureus.runs AS r
JOIN aureus.approvals AS a ON a.tenant_id = r.tenant_id AND a.run_id = r.run_id AND a.status IN ('approved', 'denied')
JOIN aureus.tasks AS t
  ON t.tenant_id = a.tenant_id AND t.run_id = a.run_id AND t.scope = a.scope AND t.name = a.name
  AND t.occurrence = a.occurrence AND t.status = 'waiting'
WHERE r.tenant_id = :tenant_id AND r.lease_id = :lease_id AND r.status IN ('pending', 'running', 'paused');
