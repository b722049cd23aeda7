-- The ledger on PostgreSQL: whoever holds the lock of the tenant's head seals.

-- name: lock_head :one
-- Take the right to seal until the end of the transaction. No row: somebody else has it, or there is no tree yet.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id
FOR UPDATE SKIP LOCKED;

-- name: hold_head :one
-- Wait for the head of the tree and keep others from sealing until the end of the transaction. No row: there is no tree
-- yet.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id
FOR UPDATE;

-- name: seal_batch :one
-- Move what is visible, in the order of appends and at most :limit entries with the rest of the last append, into one
-- batch behind position :size. It must come in a later statement than the lock: what others sealed is then seen. No
-- row: nothing is pending.
WITH last_append AS MATERIALIZED (
    SELECT p.append_no FROM aureus.ledger_pending AS p
    WHERE p.tenant_id = :tenant_id
    ORDER BY p.append_no, p.entry_no
    OFFSET CAST(:limit AS bigint) - 1
    LIMIT 1
), moved AS (
    DELETE FROM aureus.ledger_pending AS p
    WHERE p.tenant_id = :tenant_id
      AND p.append_no <= coalesce((SELECT l.append_no FROM last_append AS l), 9223372036854775807)
    RETURNING p.append_no, p.entry_no, p.leaf_hash
)
INSERT INTO aureus.ledger_batches
    (tenant_id, first_position, size, first_entry_no, last_entry_no, entry_nos, leaf_hashes, sealed_at)
SELECT :tenant_id, CAST(:size AS bigint), count(*), min(m.entry_no), max(m.entry_no),
    array_agg(m.entry_no ORDER BY m.append_no, m.entry_no),
    string_agg(m.leaf_hash, CAST('' AS bytea) ORDER BY m.append_no, m.entry_no), CAST(:now AS timestamptz)
FROM moved AS m
HAVING count(*) > 0
RETURNING size, last_entry_no, leaf_hashes;

-- name: set_head :one
-- Extend the tree, if it still has the size that was read, and wake those who listen. No row: somebody else has
-- extended it.
WITH head AS (
    UPDATE aureus.ledger_heads AS h
    SET size = CAST(:size AS bigint), root = :root, peaks = :peaks, sealed_at = CAST(:now AS timestamptz),
        last_entry_no = greatest(h.last_entry_no, CAST(:last_entry_no AS bigint))
    WHERE h.tenant_id = :tenant_id AND h.size = CAST(:size_before AS bigint)
    RETURNING h.size
)
SELECT head.size, pg_notify('aureus_sealed', '') FROM head;

-- name: set_head_and_nodes :one
-- Extend the tree, if it still has the size that was read, keep the subtrees that are complete now, and wake those who
-- listen. No row: somebody else has extended it.
WITH head AS (
    UPDATE aureus.ledger_heads AS h
    SET size = CAST(:size AS bigint), root = :root, peaks = :peaks, sealed_at = CAST(:now AS timestamptz),
        last_entry_no = greatest(h.last_entry_no, CAST(:last_entry_no AS bigint))
    WHERE h.tenant_id = :tenant_id AND h.size = CAST(:size_before AS bigint)
    RETURNING h.size
), nodes AS (
    INSERT INTO aureus.ledger_nodes (tenant_id, level, node_no, hash)
    SELECT :tenant_id, n.level, n.node_no, decode(n.hash, 'hex')
    FROM head CROSS JOIN json_to_recordset(CAST(:nodes AS json)) AS n (level integer, node_no bigint, hash text)
)
SELECT head.size, pg_notify('aureus_sealed', '') FROM head;
