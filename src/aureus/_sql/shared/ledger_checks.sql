-- Checks of what is stored beside the entries of a ledger and follows from them. Each is one statement, so that it sees
-- one moment; a row is what is wrong.

-- name: list_wrong_nodes :many
-- Kept roots of subtrees that are not complete, or of levels that are not kept.
SELECT n.level, n.node_no
FROM aureus.ledger_nodes AS n
CROSS JOIN aureus.ledger_heads AS h
WHERE n.tenant_id = :tenant_id AND h.tenant_id = :tenant_id
  AND (n.level % 8 <> 0 OR n.level NOT BETWEEN 8 AND 56 OR n.node_no >= (h.size >> n.level))
ORDER BY n.level, n.node_no
LIMIT :limit;

-- name: list_lost_streams :many
-- Streams that have events and no row; asked only when the numbers do not add up.
SELECT DISTINCT e.stream
FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id
  AND NOT EXISTS (SELECT 1 FROM aureus.streams AS s WHERE s.tenant_id = :tenant_id AND s.stream = e.stream)
ORDER BY e.stream
LIMIT :limit;

-- name: list_wrong_references :many
-- References of what is no audit entry; by the primary key of events.
SELECT r.entry_no, r.kind, r.value
FROM aureus.audit_references AS r
LEFT JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = r.entry_no
WHERE r.tenant_id = :tenant_id
  AND (e.entry_no IS NULL OR e.action IS NULL)
ORDER BY r.entry_no, r.kind, r.value
LIMIT :limit;

-- name: get_mode_and_change :one
-- The mode of the tenant's trail, and the event of its last change with its payload, both NULL where there is none; by
-- events_type, whose order leaves the planner no other way.
SELECT m.mode, m.version, m.changed_by, e.entry_no, e.actor, p.payload,
    (SELECT count(*) FROM (
        SELECT c.entry_no FROM aureus.events AS c
        WHERE c.tenant_id = :tenant_id AND c.type BETWEEN 'audit_mode_set' AND 'audit_mode_set'
        ORDER BY c.type, c.entry_no) AS made) AS changes
FROM (SELECT 1) AS one
LEFT JOIN aureus.audit_modes AS m ON m.tenant_id = :tenant_id
LEFT JOIN (
    SELECT v.entry_no, v.actor FROM aureus.events AS v
    WHERE v.tenant_id = :tenant_id AND v.type BETWEEN 'audit_mode_set' AND 'audit_mode_set'
    ORDER BY v.type DESC, v.entry_no DESC
    LIMIT 1) AS e ON 1 = 1
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = e.entry_no;

-- name: get_incarnation_and_restore :one
-- The incarnation of the tenant's ledger, and the last event that began one with its payload, NULL where there is none;
-- by events_tenant_id_stream_version_key.
SELECT h.incarnation, e.version, p.payload
FROM aureus.ledger_heads AS h
LEFT JOIN (
    SELECT v.entry_no, v.version FROM aureus.events AS v
    WHERE v.tenant_id = :tenant_id AND v.stream = :stream
    ORDER BY v.version DESC
    LIMIT 1) AS e ON 1 = 1
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = e.entry_no
WHERE h.tenant_id = :tenant_id;
