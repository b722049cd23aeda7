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

-- name: list_batches :many
-- Batches in their order, from the one that holds :from_position on; by the primary key.
SELECT b.first_position, b.entry_nos, b.leaf_hashes, b.sealed_at
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id
  AND b.first_position >= coalesce((
    SELECT max(f.first_position) FROM aureus.ledger_batches AS f
    WHERE f.tenant_id = :tenant_id AND f.first_position <= :from_position), 0)
ORDER BY b.first_position
LIMIT :limit;

-- name: list_nodes :many
-- Roots of complete subtrees of one level that lie side by side; by the primary key.
SELECT n.node_no, n.hash
FROM aureus.ledger_nodes AS n
WHERE n.tenant_id = :tenant_id AND n.level = :level AND n.node_no >= :first_no AND n.node_no < :end_no
ORDER BY n.node_no;

-- name: find_batches_of_entry :many
-- Batches that may hold an entry: ranges of entry numbers overlap where somebody committed late. Served by
-- ledger_batches_entries.
SELECT b.first_position, b.entry_nos, b.leaf_hashes, b.sealed_at
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= :entry_no AND b.first_entry_no <= :entry_no
ORDER BY b.last_entry_no
LIMIT 100;

-- name: get_last_entry_before :one
-- The highest number among the entries in front of a position, as far as whole batches tell; NULL when there is none.
SELECT max(b.last_entry_no)
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.first_position < :position;

-- name: list_late_batches :many
-- Batches that reach behind a position and hold entries with low numbers: what committed late, and the one that the
-- position cuts.
SELECT b.first_position, b.entry_nos, b.leaf_hashes, b.sealed_at
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.first_position + b.size > :position AND b.first_entry_no <= :entry_no
ORDER BY b.first_position
LIMIT :limit;

-- name: get_size_at :one
-- How many entries were sealed at a moment, NULL when there was none.
SELECT max(b.first_position + b.size)
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.sealed_at <= :moment;

-- name: pass_head :one
-- Change nothing of the head, but its row: who has seen the tenant at one moment, and waits for the head or comes to it
-- later, begins anew; and who holds it is waited for.
UPDATE aureus.ledger_heads SET size = size
WHERE tenant_id = :tenant_id
RETURNING size;
