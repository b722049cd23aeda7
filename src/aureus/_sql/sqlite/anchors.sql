-- The anchor log on SQLite.

-- name: begin_anchoring :one
-- Read the head of the anchor log; nobody else writes meanwhile.
SELECT a.log_key, a.size, a.root, a.peaks, a.anchored_at FROM aureus.anchor_heads AS a WHERE a.log_no = 1;

-- name: end_anchoring :one
-- Nothing has to be hidden again here.
SELECT 1;

-- name: append_anchors :one
-- Extend the anchor log, if it still has the size that was read. No row: somebody else has extended it.
UPDATE aureus.anchor_heads
SET size = :size, root = :root, peaks = :peaks, anchored_at = :now
WHERE log_no = 1 AND size = :size_before
RETURNING size;
INSERT INTO aureus.anchors (position, tenant_key, incarnation, size, root, leaf_hash, anchored_at)
SELECT a.value ->> 'position', a.value ->> 'tenant_key', a.value ->> 'incarnation', a.value ->> 'size',
    unhex(a.value ->> 'root'), unhex(a.value ->> 'leaf_hash'), :now
FROM jsonb_each(:anchors) AS a;
INSERT INTO aureus.anchor_nodes (level, node_no, hash)
SELECT n.value ->> 'level', n.value ->> 'node_no', unhex(n.value ->> 'hash')
FROM jsonb_each(:nodes) AS n;
