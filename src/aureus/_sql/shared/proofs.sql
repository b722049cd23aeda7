-- Proofs: what is read to verify the ledger and to prove something from it, and the heads that were signed.

-- name: get_entry_no :one
-- The entry number of an event; by its unique key.
SELECT e.entry_no FROM aureus.events AS e WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id;

-- name: list_node_hashes :many
-- Kept roots of one level that lie side by side; by the primary key.
SELECT n.node_no, n.hash FROM aureus.ledger_nodes AS n
WHERE n.tenant_id = :tenant_id AND n.level = :level AND n.node_no >= :first AND n.node_no < :end
ORDER BY n.node_no;

-- name: get_newest_signed :one
-- The signed head of the largest size in an incarnation; by the primary key.
SELECT s.incarnation, s.size, s.root, s.note, s.signed_at
FROM aureus.signed_heads AS s
WHERE s.tenant_id = :tenant_id AND s.incarnation = :incarnation
ORDER BY s.size DESC
LIMIT 1;

-- name: list_signed :many
-- Signed heads of all incarnations, the newest first, :limit at most.
SELECT s.incarnation, s.size, s.root, s.note, s.signed_at
FROM aureus.signed_heads AS s
WHERE s.tenant_id = :tenant_id
ORDER BY s.incarnation DESC, s.size DESC
LIMIT :limit;

-- name: keep_signed :one
-- Keep a signed head; signing the same one again, with another key, takes its place. No row: a head of that size and
-- another root was signed before.
INSERT INTO aureus.signed_heads (tenant_id, incarnation, size, root, note, signed_at)
VALUES (:tenant_id, :incarnation, :size, :root, :note, :now)
ON CONFLICT (tenant_id, incarnation, size) DO UPDATE SET note = excluded.note, signed_at = excluded.signed_at
WHERE signed_heads.tenant_id = :tenant_id AND signed_heads.root = excluded.root
RETURNING incarnation, size, root, note, signed_at;

-- name: begin_incarnation :one
-- records
-- Begin the next incarnation of a ledger that has this one. No row: it has another.
UPDATE aureus.ledger_heads SET incarnation = incarnation + 1
WHERE tenant_id = :tenant_id AND incarnation = :incarnation
RETURNING tenant_key, incarnation, size, root, peaks, last_entry_no, sealed_at;
