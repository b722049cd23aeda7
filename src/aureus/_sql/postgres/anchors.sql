-- The anchor log on PostgreSQL.

-- name: begin_anchoring :one
-- Take the right to extend the anchor log until the end of the transaction, which from here on sees the head of every
-- tenant's tree.
SELECT a.log_key, a.size, a.root, a.peaks, a.anchored_at, set_config('aureus.anchoring', 'on', true)
FROM aureus.anchor_heads AS a
WHERE a.log_no = 1
FOR UPDATE;

-- name: end_anchoring :one
-- Hide the heads of other tenants again, for whatever else the transaction does.
SELECT set_config('aureus.anchoring', 'off', true);

-- name: append_anchors :one
-- Extend the anchor log, if it still has the size that was read. No row: somebody else has extended it.
WITH head AS (
    UPDATE aureus.anchor_heads AS h
    SET size = CAST(:size AS bigint), root = :root, peaks = :peaks, anchored_at = CAST(:now AS timestamptz)
    WHERE h.log_no = 1 AND h.size = CAST(:size_before AS bigint)
    RETURNING h.size
), put AS (
    INSERT INTO aureus.anchors (position, tenant_key, incarnation, size, root, leaf_hash, anchored_at)
    SELECT a.position, a.tenant_key, a.incarnation, a.size, decode(a.root, 'hex'), decode(a.leaf_hash, 'hex'),
        CAST(:now AS timestamptz)
    FROM head CROSS JOIN json_to_recordset(CAST(:anchors AS json)) AS a (
        position bigint, tenant_key text, incarnation integer, size bigint, root text, leaf_hash text)
), nodes AS (
    INSERT INTO aureus.anchor_nodes (level, node_no, hash)
    SELECT n.level, n.node_no, decode(n.hash, 'hex')
    FROM head CROSS JOIN json_to_recordset(CAST(:nodes AS json)) AS n (level integer, node_no bigint, hash text)
)
SELECT head.size FROM head;
