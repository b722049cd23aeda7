-- The audit trail on SQLite; see the shared file, and events.sql for the order of loops.

-- part: columns
-- The columns of an entry.
e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource, e.outcome, e.leaf_hash

-- name: add_audit_references :exec
-- Write what audit entries refer to, behind the statement that wrote them and if it did; they are found by their
-- identifiers. A repeated call finds its references there.
INSERT INTO aureus.audit_references (tenant_id, kind, value, occurred_at, entry_no)
SELECT :tenant_id, f.value ->> 'kind', f.value ->> 'value', e.occurred_at, e.entry_no
FROM json_each(:refs) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id'
WHERE true
ON CONFLICT DO NOTHING;

-- name: get_audit_entry :one
-- One audit entry by its identifier; the last column is false when its payload is gone.
SELECT <<columns>>, p.payload, p.metadata, p.entry_no IS NOT NULL
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id AND e.action IS NOT NULL;

-- name: get_stored_entry :one
-- One audit entry with everything that its hash is made of; by events_tenant_id_event_id_key.
SELECT <<columns>>, e.commitment, p.salt, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id AND e.action IS NOT NULL;

-- name: list_audit_references :many
-- What is stored as references of some entries; by audit_references_entry.
SELECT r.entry_no, r.kind, r.value, r.occurred_at
FROM json_each(:entry_nos) AS g
CROSS JOIN aureus.audit_references AS r ON r.tenant_id = :tenant_id AND r.entry_no = g.value;

-- name: list_positions :many
-- The positions of some entries, NULL for one that is not sealed; for each the first batch along ledger_batches_entries
-- that holds it. One that only spans it, because somebody committed late, is passed over: a copy may have such.
SELECT g.value, (
    SELECT b.first_position + n.key
    FROM aureus.ledger_batches AS b
    CROSS JOIN json_each(b.entry_nos) AS n
    WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= g.value AND b.first_entry_no <= g.value
      AND n.value = g.value
    ORDER BY b.last_entry_no
    LIMIT 1) AS position
FROM json_each(:entry_nos) AS g;

-- name: list_prunable :many
-- The sealed audit entries from position :first on, before :end, and whether each has its payload; batches by their
-- primary key, events and payloads by theirs.
SELECT b.first_position + n.key AS position, n.value AS entry_no, e.event_id, e.type, e.occurred_at,
    p.entry_no IS NOT NULL
FROM aureus.ledger_batches AS b
CROSS JOIN json_each(b.entry_nos) AS n
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = n.value
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = n.value
WHERE b.tenant_id = :tenant_id AND b.first_position < :end
  AND b.first_position >= coalesce((
    SELECT max(f.first_position) FROM aureus.ledger_batches AS f
    WHERE f.tenant_id = :tenant_id AND f.first_position <= :first), 0)
  AND b.first_position + n.key >= :first AND b.first_position + n.key < :end AND e.action IS NOT NULL
ORDER BY position;

-- name: scan_audit_entries :many
-- A bounded look through audit entries between two places, in the order of time or against it: at most :scan of those
-- that one index finds (:path says by which and from which end), and of these at most :limit that every filter lets
-- through. The first three columns say how many were looked at and where the last one stands; they come also when
-- nothing was found. Each branch names its index: the planner takes any that begins with the tenant for as good.
WITH scanned AS MATERIALIZED (
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit
    WHERE :path = 'oldest of all' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at, e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit
    WHERE :path = 'newest of all' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at DESC, e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_actor
    WHERE :path = 'oldest of actor' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL AND e.actor = :actor
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at, e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_actor
    WHERE :path = 'newest of actor' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL AND e.actor = :actor
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at DESC, e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_action
    WHERE :path = 'oldest of action' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL AND e.action = :action
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at, e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_action
    WHERE :path = 'newest of action' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL AND e.action = :action
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at DESC, e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_resource
    WHERE :path = 'oldest of resource' AND e.tenant_id = :tenant_id
      AND e.action IS NOT NULL AND e.resource IS NOT NULL AND e.resource = :resource
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at, e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_resource
    WHERE :path = 'newest of resource' AND e.tenant_id = :tenant_id
      AND e.action IS NOT NULL AND e.resource IS NOT NULL AND e.resource = :resource
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at DESC, e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_correlation
    WHERE :path = 'oldest of correlation' AND e.tenant_id = :tenant_id
      AND e.action IS NOT NULL AND e.correlation_id IS NOT NULL AND e.correlation_id = :correlation_id
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at, e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.events AS e INDEXED BY events_audit_correlation
    WHERE :path = 'newest of correlation' AND e.tenant_id = :tenant_id
      AND e.action IS NOT NULL AND e.correlation_id IS NOT NULL AND e.correlation_id = :correlation_id
      AND (e.occurred_at, e.entry_no) > (:from_at, :from_no) AND (e.occurred_at, e.entry_no) < (:to_at, :to_no)
    ORDER BY e.occurred_at DESC, e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.audit_references AS r
    CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = r.entry_no
    WHERE :path = 'oldest of reference' AND r.tenant_id = :tenant_id AND r.kind = :kind AND r.value = :value
      AND (r.occurred_at, r.entry_no) > (:from_at, :from_no) AND (r.occurred_at, r.entry_no) < (:to_at, :to_no)
    ORDER BY r.occurred_at, r.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT <<columns>>
    FROM aureus.audit_references AS r
    CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = r.entry_no
    WHERE :path = 'newest of reference' AND r.tenant_id = :tenant_id AND r.kind = :kind AND r.value = :value
      AND (r.occurred_at, r.entry_no) > (:from_at, :from_no) AND (r.occurred_at, r.entry_no) < (:to_at, :to_no)
    ORDER BY r.occurred_at DESC, r.entry_no DESC
    LIMIT :scan)
), reached AS (
    SELECT s.occurred_at, s.entry_no
    FROM scanned AS s
    ORDER BY iif(:is_ascending, -1, 1) * s.occurred_at, iif(:is_ascending, -1, 1) * s.entry_no
    LIMIT 1
)
SELECT (SELECT count(*) FROM scanned), end_of_look.occurred_at, end_of_look.entry_no, m.*
FROM (SELECT 1) AS one
LEFT JOIN reached AS end_of_look ON true
LEFT JOIN (
    SELECT s.*, p.payload, p.metadata, p.entry_no IS NOT NULL
    FROM scanned AS s
    LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = s.entry_no
    WHERE (:actor IS NULL OR s.actor = :actor)
      AND (:action IS NULL OR s.action = :action)
      AND (:resource IS NULL OR s.resource = :resource)
      AND (:outcome IS NULL OR s.outcome = :outcome)
      AND (:correlation_id IS NULL OR s.correlation_id = :correlation_id)
      AND NOT EXISTS (
            SELECT 1 FROM json_each(:refs) AS g
            WHERE NOT EXISTS (
                SELECT 1 FROM aureus.audit_references AS r
                WHERE r.tenant_id = :tenant_id AND r.kind = g.value ->> 'kind' AND r.value = g.value ->> 'value'
                  AND r.occurred_at = s.occurred_at AND r.entry_no = s.entry_no))
    ORDER BY iif(:is_ascending, 1, -1) * s.occurred_at, iif(:is_ascending, 1, -1) * s.entry_no
    LIMIT :limit
) AS m ON true
ORDER BY iif(:is_ascending, 1, -1) * m.occurred_at, iif(:is_ascending, 1, -1) * m.entry_no;
