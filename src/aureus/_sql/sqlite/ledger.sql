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
-- behind position :size. No row: there is nothing. No append has as many entries as the look may go beyond its limit.
INSERT INTO aureus.ledger_batches
    (tenant_id, first_position, size, first_entry_no, last_entry_no, entry_nos, leaf_hashes, sealed_at)
SELECT :tenant_id, :size, count(*), min(u.entry_no), max(u.entry_no), json_group_array(u.entry_no ORDER BY u.entry_no),
    unhex(group_concat(hex(u.leaf_hash), '' ORDER BY u.entry_no)), :now
FROM (
    SELECT e.entry_no, e.append_no, e.leaf_hash
    FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id
      AND e.entry_no > (SELECT h.last_entry_no FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id)
    ORDER BY e.entry_no
    LIMIT :limit + 100000) AS u
WHERE u.append_no <= coalesce((
    SELECT n.append_no FROM aureus.events AS n
    WHERE n.tenant_id = :tenant_id
      AND n.entry_no > (SELECT h.last_entry_no FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id)
    ORDER BY n.entry_no
    LIMIT 1 OFFSET :limit - 1), 9223372036854775807)
HAVING count(*) > 0
RETURNING size, last_entry_no, leaf_hashes;

-- name: set_head :one
-- Extend the tree, if it still has the size that was read. No row: somebody else has extended it.
UPDATE aureus.ledger_heads
SET size = :size, root = :root, peaks = :peaks, sealed_at = :now, last_entry_no = max(last_entry_no, :last_entry_no)
WHERE tenant_id = :tenant_id AND size = :size_before
RETURNING size;

-- name: set_head_and_nodes :one
-- Extend the tree, if it still has the size that was read, and keep the subtrees that are complete now. No row:
-- somebody else has extended it.
UPDATE aureus.ledger_heads
SET size = :size, root = :root, peaks = :peaks, sealed_at = :now, last_entry_no = max(last_entry_no, :last_entry_no)
WHERE tenant_id = :tenant_id AND size = :size_before
RETURNING size;
INSERT INTO aureus.ledger_nodes (tenant_id, level, node_no, hash)
SELECT :tenant_id, n.value ->> 'level', n.value ->> 'node_no', unhex(n.value ->> 'hash')
FROM json_each(:nodes) AS n;
