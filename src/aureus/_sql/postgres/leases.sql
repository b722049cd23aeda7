-- Leases: deadlines are computed and compared with the database's own clock, so that the clocks of hosts do not matter.

-- name: acquire_lease :one
-- key: lease_id
-- Make or renew the lease of a process.
INSERT INTO aureus.leases AS l (tenant_id, lease_id, host, boot_id, pid, process_start, acquired_at,
    renewed_at, expires_at)
VALUES (:tenant_id, :lease_id, :host, :boot_id, :pid, :process_start, clock_timestamp(), clock_timestamp(),
    clock_timestamp() + make_interval(secs => CAST(:lease_seconds AS double precision)))
ON CONFLICT (tenant_id, lease_id) DO UPDATE SET renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
RETURNING lease_id, host, boot_id, pid, process_start, acquired_at, renewed_at, expires_at, false;

-- name: get_lease :one
-- A lease, and whether it is over.
SELECT lease_id, host, boot_id, pid, process_start, acquired_at, renewed_at, expires_at,
    expires_at <= clock_timestamp()
FROM aureus.leases
WHERE tenant_id = :tenant_id AND lease_id = :lease_id;

-- name: prune_leases :many
-- Forget leases that ended long ago and that no unfinished run names.
DELETE FROM aureus.leases
WHERE tenant_id = :tenant_id AND expires_at < :before_at AND NOT EXISTS (
    SELECT 1 FROM aureus.runs AS r
    WHERE r.tenant_id = :tenant_id AND r.lease_id = leases.lease_id
      AND r.status IN ('pending', 'running', 'paused'))
RETURNING lease_id;

-- name: list_notices :many
-- What others want of the runs that a lease holds: to stop, or to go on because an approval was decided. Each run's are
-- looked up: joined by equality, the approvals of all runs would be read.
SELECT 'cancel' AS kind, r.run_id
FROM aureus.runs AS r
WHERE r.tenant_id = :tenant_id AND r.lease_id = :lease_id AND r.status IN ('pending', 'running', 'paused')
  AND r.cancel_requested_at IS NOT NULL
UNION ALL
SELECT 'approval' AS kind, r.run_id
FROM aureus.runs AS r
CROSS JOIN LATERAL (
    SELECT o.scope, o.name, o.occurrence FROM aureus.approvals AS o
    WHERE o.tenant_id = :tenant_id AND o.run_id = r.run_id AND o.status IN ('approved', 'denied')
    OFFSET 0) AS a
CROSS JOIN LATERAL (
    SELECT FROM aureus.tasks AS o
    WHERE o.tenant_id = :tenant_id AND o.run_id = r.run_id AND o.scope = a.scope AND o.name = a.name
      AND o.occurrence = a.occurrence AND o.status = 'waiting'
    LIMIT 1) AS t
WHERE r.tenant_id = :tenant_id AND r.lease_id = :lease_id AND r.status IN ('pending', 'running', 'paused');
