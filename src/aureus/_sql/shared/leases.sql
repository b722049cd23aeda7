-- Leases: what reads the same on both engines.

-- name: release_lease :one
-- key: lease_id
-- Give a lease back, so that others need not wait for its end.
DELETE FROM aureus.leases
WHERE tenant_id = :tenant_id AND lease_id = :lease_id
RETURNING lease_id;
