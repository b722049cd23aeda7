-- The anchor log: a small tree over the heads of all tenants. Nothing here belongs to a tenant.

-- name: get_anchor_head :one
-- The state of the anchor log.
SELECT a.log_key, a.size, a.root, a.peaks, a.anchored_at FROM aureus.anchor_heads AS a WHERE a.log_no = 1;

-- name: list_unanchored :many
-- The heads of tenants that differ from what was last anchored of them.
SELECT h.tenant_key, h.incarnation, h.size, h.root
FROM aureus.ledger_heads AS h
WHERE h.size > 0 AND NOT EXISTS (
    SELECT 1 FROM aureus.anchors AS a
    WHERE a.tenant_key = h.tenant_key AND a.incarnation = h.incarnation AND a.size = h.size AND a.root = h.root)
ORDER BY h.tenant_key
LIMIT :limit;

-- name: find_anchor :one
-- The newest anchor of a tenant's tree, by anchors_tenant, whose order a range leaves to be asked for.
SELECT a.position, a.tenant_key, a.incarnation, a.size, a.root, a.leaf_hash, a.anchored_at
FROM aureus.anchors AS a
WHERE a.tenant_key BETWEEN :tenant_key AND :tenant_key
ORDER BY a.tenant_key DESC, a.position DESC
LIMIT 1;

-- name: list_anchors :many
-- Anchors in their order, by the primary key.
SELECT a.position, a.tenant_key, a.incarnation, a.size, a.root, a.leaf_hash, a.anchored_at
FROM aureus.anchors AS a
WHERE a.position >= :from_position
ORDER BY a.position
LIMIT :limit;

-- name: list_anchor_hashes :many
-- Hashes of one kept level of the anchor log's tree that lie side by side: of leaves at level 0.
SELECT a.position, a.leaf_hash FROM aureus.anchors AS a
WHERE :level = 0 AND a.position >= :first AND a.position < :end
UNION ALL
SELECT n.node_no, n.hash FROM aureus.anchor_nodes AS n
WHERE n.level = :level AND n.node_no >= :first AND n.node_no < :end;

-- name: begin_anchor_log :one
-- records
-- Give the anchor log another key, if it has this one. No row: it has another.
UPDATE aureus.anchor_heads SET log_key = :log_key
WHERE log_no = 1 AND log_key = :before
RETURNING log_key, size, root, peaks, anchored_at;
