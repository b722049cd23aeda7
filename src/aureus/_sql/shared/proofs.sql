-- Proofs: what is read to verify the ledger and to prove something from it, and the heads that were signed.

-- part: covering
-- The batches that hold positions from :first on, before :end: those that begin there, and the one before, where :first
-- may lie. Two ranges of the primary key; "from the last that begins before" as one condition is not taken for a range.
SELECT c.first_position, c.size, c.entry_nos, c.leaf_hashes
FROM aureus.ledger_batches AS c
WHERE c.tenant_id = :tenant_id AND c.first_position >= CAST(:first AS bigint)
  AND c.first_position < CAST(:end AS bigint)
UNION ALL
SELECT l.first_position, l.size, l.entry_nos, l.leaf_hashes
FROM (
    SELECT d.first_position, d.size, d.entry_nos, d.leaf_hashes
    FROM aureus.ledger_batches AS d
    WHERE d.tenant_id = :tenant_id AND d.first_position < CAST(:first AS bigint)
    ORDER BY d.first_position DESC
    LIMIT 1
) AS l

-- name: get_entry_no :one
-- The entry number of an event; by its unique key, whose order leaves no other way.
SELECT e.entry_no FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :event_id AND :event_id
ORDER BY e.event_id
LIMIT 1;

-- name: list_node_hashes :many
-- Kept roots of one level that lie side by side; by the primary key.
SELECT n.node_no, n.hash FROM aureus.ledger_nodes AS n
WHERE n.tenant_id = :tenant_id AND n.level = :level AND n.node_no >= :first AND n.node_no < :end
ORDER BY n.node_no;

-- name: get_next_position :one
-- Where the next batch begins, from :first on; by the primary key, NULL where there is none.
SELECT min(b.first_position) FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.first_position >= :first;

-- name: list_records :many
-- The records by which these entries lost their payloads; by the primary key.
SELECT DISTINCT x.record_id FROM aureus.erased_entries AS x
WHERE x.tenant_id = :tenant_id AND x.entry_no IN (<<numbers>>)
ORDER BY x.record_id;

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
-- Keep a signed head; the note of the same one with more signatures takes its place. No row: a head of that size and
-- another root was signed before.
INSERT INTO aureus.signed_heads (tenant_id, incarnation, size, root, note, signed_at)
VALUES (:tenant_id, :incarnation, :size, :root, :note, :now)
ON CONFLICT (tenant_id, incarnation, size) DO UPDATE SET note = excluded.note, signed_at = excluded.signed_at
WHERE signed_heads.tenant_id = :tenant_id AND signed_heads.root = excluded.root
RETURNING incarnation, size, root, note, signed_at;

-- name: begin_incarnation :one
-- records
-- Begin the next incarnation of a ledger that has this one. No row: it has another.
UPDATE aureus.ledger_heads SET incarnation = :following
WHERE tenant_id = :tenant_id AND incarnation = :incarnation
RETURNING tenant_key, incarnation, size, root, peaks, last_entry_no, sealed_at;
