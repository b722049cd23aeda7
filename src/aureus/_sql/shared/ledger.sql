-- The ledger: the sealed order of a tenant's entries, and its Merkle tree.

-- name: open_head :one
-- Begin the tree of a tenant. No row: there is one.
INSERT INTO aureus.ledger_heads (tenant_id, tenant_key, incarnation, size, root, peaks, last_entry_no, sealed_at)
VALUES (:tenant_id, :tenant_key, 1, 0, :root, :peaks, 0, :now)
ON CONFLICT (tenant_id) DO NOTHING
RETURNING tenant_key, incarnation, size, root, peaks, last_entry_no, sealed_at;

-- name: get_head :one
-- The state of the tenant's tree; no row before the first sealing.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id;
