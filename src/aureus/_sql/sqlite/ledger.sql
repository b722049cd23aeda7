-- The ledger on SQLite: the one writer seals in its own commit.

-- name: lock_head :one
-- Read the head; nobody else writes meanwhile. No row: there is no tree yet.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id;

-- name: hold_head :one
-- Read the head; nobody else writes meanwhile. No row: there is no tree yet.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id;

-- name: seal_batch :one
-- Put what lies behind the head's last entry, at most :limit entries with the rest of the last append, into one batch
-- behind position :size. No row: there is nothing.
WITH head AS MATERIALIZED (
    SELECT h.last_entry_no FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id
), last_append AS MATERIALIZED (
    SELECT n.append_no
    FROM head CROSS JOIN aureus.events AS n
    WHERE n.tenant_id = :tenant_id AND n.entry_no > head.last_entry_no
    ORDER BY n.entry_no
    LIMIT 1 OFFSET :limit - 1
), bound AS MATERIALIZED (
    SELECT b.entry_no
    FROM head CROSS JOIN last_append AS l CROSS JOIN aureus.events AS b
    WHERE b.tenant_id = :tenant_id AND b.entry_no > head.last_entry_no AND b.append_no > l.append_no
    ORDER BY b.entry_no
    LIMIT 1
)
INSERT INTO aureus.ledger_batches
    (tenant_id, first_position, size, first_entry_no, last_entry_no, entry_nos, leaf_hashes, sealed_at)
SELECT :tenant_id, :size, count(*), min(e.entry_no), max(e.entry_no), json_group_array(e.entry_no ORDER BY e.entry_no),
    unhex(group_concat(hex(e.leaf_hash), '' ORDER BY e.entry_no)), :now
FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id AND e.entry_no > (SELECT head.last_entry_no FROM head)
  AND e.entry_no < coalesce((SELECT bound.entry_no FROM bound), 9223372036854775807)
HAVING count(*) > 0
RETURNING size, last_entry_no, leaf_hashes;

-- name: set_head :one
-- Extend the tree, if it still has the size that was read, and keep the subtrees that are complete now. No row:
-- somebody else has extended it.
UPDATE aureus.ledger_heads
SET size = :size, root = :root, peaks = :peaks, sealed_at = :now, last_entry_no = max(last_entry_no, :last_entry_no)
WHERE tenant_id = :tenant_id AND size = :size_before
RETURNING size;
INSERT INTO aureus.ledger_nodes (tenant_id, level, node_no, hash)
SELECT :tenant_id, n.value ->> 'level', n.value ->> 'node_no', unhex(n.value ->> 'hash')
FROM json_each(:nodes) AS n;
