-- The audit trail on PostgreSQL; see the shared file, and events.sql for why identifiers and lists are ranges in their
-- order.

-- part: columns
-- The columns of an entry.
e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource, e.outcome, e.leaf_hash

-- name: add_audit_references :exec
-- Write what audit entries refer to, behind the statement that wrote them in the same flush and if it did; they are
-- found by their identifiers. A repeated call finds its references there.
WITH given AS MATERIALIZED (
    SELECT f.* FROM json_to_recordset(CAST(:refs AS json)) AS f (event_id text, kind text, value text)
    WHERE current_setting('aureus.mark', true) = :mark
)
INSERT INTO aureus.audit_references (tenant_id, kind, value, occurred_at, entry_no)
SELECT :tenant_id, g.kind, g.value, e.occurred_at, e.entry_no
FROM given AS g CROSS JOIN LATERAL (
    SELECT e.occurred_at, e.entry_no FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN g.event_id AND g.event_id
    ORDER BY e.event_id
    LIMIT 1) AS e
ON CONFLICT DO NOTHING;

-- name: get_audit_entry :one
-- One audit entry by its identifier, by events_tenant_id_event_id_key; the last column is false when its payload is
-- gone.
SELECT <<columns>>, p.payload, p.metadata, p.entry_no IS NOT NULL
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :event_id AND :event_id AND e.action IS NOT NULL
ORDER BY e.event_id
LIMIT 1;

-- name: get_stored_entry :one
-- One audit entry with everything that its hash is made of; by events_tenant_id_event_id_key.
SELECT <<columns>>, e.commitment, p.salt, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :event_id AND :event_id AND e.action IS NOT NULL
ORDER BY e.event_id
LIMIT 1;

-- name: list_audit_references :many
-- What is stored as references of some entries; by audit_references_entry.
SELECT r.entry_no, r.kind, r.value, r.occurred_at
FROM unnest(CAST(:entry_nos AS bigint[])) AS g (entry_no)
CROSS JOIN LATERAL (
    SELECT o.entry_no, o.kind, o.value, o.occurred_at FROM aureus.audit_references AS o
    WHERE o.tenant_id = :tenant_id AND o.entry_no BETWEEN g.entry_no AND g.entry_no
    ORDER BY o.entry_no
    OFFSET 0) AS r;

-- name: list_positions :many
-- The positions of some entries, NULL for one that is not sealed; for each the first batch along ledger_batches_entries
-- that holds it. One that only spans it, because somebody committed late, is passed over.
SELECT g.entry_no, (
    SELECT b.first_position + array_position(b.entry_nos, g.entry_no) - 1
    FROM aureus.ledger_batches AS b
    WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= g.entry_no AND b.first_entry_no <= g.entry_no
      AND b.entry_nos @> ARRAY[g.entry_no]
    ORDER BY b.last_entry_no
    LIMIT 1) AS position
FROM unnest(CAST(:entry_nos AS bigint[])) AS g (entry_no);

-- name: list_prunable :many
-- The sealed audit entries from position :first on, before :end, and whether each has its payload; batches by their
-- primary key, events and payloads by theirs.
SELECT page.position, page.entry_no, e.event_id, e.type, e.occurred_at, p.entry_no IS NOT NULL
FROM (
    SELECT b.first_position + n.at - 1 AS position, n.entry_no
    FROM aureus.ledger_batches AS b
    CROSS JOIN LATERAL unnest(b.entry_nos) WITH ORDINALITY AS n (entry_no, at)
    WHERE b.tenant_id = :tenant_id AND b.first_position < CAST(:end AS bigint)
      AND b.first_position >= coalesce((
        SELECT max(f.first_position) FROM aureus.ledger_batches AS f
        WHERE f.tenant_id = :tenant_id AND f.first_position <= CAST(:first AS bigint)), 0)
      AND b.first_position + n.at - 1 >= CAST(:first AS bigint)
      AND b.first_position + n.at - 1 < CAST(:end AS bigint)
    OFFSET 0
) AS page
CROSS JOIN LATERAL (
    SELECT e.event_id, e.type, e.occurred_at, e.action FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id AND e.entry_no BETWEEN page.entry_no AND page.entry_no
    ORDER BY e.entry_no
    LIMIT 1) AS e
LEFT JOIN LATERAL (
    SELECT p.entry_no FROM aureus.event_payloads AS p
    WHERE p.tenant_id = :tenant_id AND p.entry_no = page.entry_no
    OFFSET 0) AS p ON true
WHERE e.action IS NOT NULL
ORDER BY page.position;

-- name: scan_audit_entries :many
-- A bounded look through audit entries between two places, in the order of time or against it: at most :scan of those
-- that one index finds (:path says by which and from which end), and of these at most :limit that every filter lets
-- through. The first three columns say how many were looked at and where the last one stands; they come also when
-- nothing was found.
WITH scanned AS MATERIALIZED (
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of all' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
          AND (e.occurred_at, e.entry_no) > (CAST(:from_at AS timestamptz), :from_no)
          AND (e.occurred_at, e.entry_no) < (CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.occurred_at, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of all' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
          AND (e.occurred_at, e.entry_no) > (CAST(:from_at AS timestamptz), :from_no)
          AND (e.occurred_at, e.entry_no) < (CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.occurred_at DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of actor' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
          AND (e.actor COLLATE "C", e.occurred_at, e.entry_no) > (:actor, CAST(:from_at AS timestamptz), :from_no)
          AND (e.actor COLLATE "C", e.occurred_at, e.entry_no) < (:actor, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.actor COLLATE "C", e.occurred_at, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of actor' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
          AND (e.actor COLLATE "C", e.occurred_at, e.entry_no) > (:actor, CAST(:from_at AS timestamptz), :from_no)
          AND (e.actor COLLATE "C", e.occurred_at, e.entry_no) < (:actor, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.actor COLLATE "C" DESC, e.occurred_at DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of action' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
          AND (e.action, e.occurred_at, e.entry_no) > (:action, CAST(:from_at AS timestamptz), :from_no)
          AND (e.action, e.occurred_at, e.entry_no) < (:action, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.action, e.occurred_at, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of action' AND e.tenant_id = :tenant_id AND e.action IS NOT NULL
          AND (e.action, e.occurred_at, e.entry_no) > (:action, CAST(:from_at AS timestamptz), :from_no)
          AND (e.action, e.occurred_at, e.entry_no) < (:action, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.action DESC, e.occurred_at DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of resource' AND e.tenant_id = :tenant_id
          AND e.action IS NOT NULL AND e.resource IS NOT NULL
          AND (e.resource, e.occurred_at, e.entry_no) > (:resource, CAST(:from_at AS timestamptz), :from_no)
          AND (e.resource, e.occurred_at, e.entry_no) < (:resource, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.resource, e.occurred_at, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of resource' AND e.tenant_id = :tenant_id
          AND e.action IS NOT NULL AND e.resource IS NOT NULL
          AND (e.resource, e.occurred_at, e.entry_no) > (:resource, CAST(:from_at AS timestamptz), :from_no)
          AND (e.resource, e.occurred_at, e.entry_no) < (:resource, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.resource DESC, e.occurred_at DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of correlation' AND e.tenant_id = :tenant_id
          AND e.action IS NOT NULL AND e.correlation_id IS NOT NULL
          AND (e.correlation_id, e.occurred_at, e.entry_no) > (:correlation_id, CAST(:from_at AS timestamptz), :from_no)
          AND (e.correlation_id, e.occurred_at, e.entry_no) < (:correlation_id, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.correlation_id, e.occurred_at, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT <<columns>>
        FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of correlation' AND e.tenant_id = :tenant_id
          AND e.action IS NOT NULL AND e.correlation_id IS NOT NULL
          AND (e.correlation_id, e.occurred_at, e.entry_no) > (:correlation_id, CAST(:from_at AS timestamptz), :from_no)
          AND (e.correlation_id, e.occurred_at, e.entry_no) < (:correlation_id, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY e.correlation_id DESC, e.occurred_at DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT <<columns>>
    FROM (SELECT b.* FROM (
        SELECT r.occurred_at, r.entry_no
        FROM aureus.audit_references AS r
        WHERE CAST(:path AS text) = 'oldest of reference' AND r.tenant_id = :tenant_id
          AND (r.kind, r.value, r.occurred_at, r.entry_no)
            > (:kind, :value, CAST(:from_at AS timestamptz), :from_no)
          AND (r.kind, r.value, r.occurred_at, r.entry_no)
            < (:kind, :value, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY r.kind, r.value, r.occurred_at, r.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint))) AS f CROSS JOIN LATERAL (
        SELECT e.* FROM aureus.events AS e
        WHERE e.tenant_id = :tenant_id AND e.entry_no BETWEEN f.entry_no AND f.entry_no
        ORDER BY e.entry_no
        LIMIT 1) AS e)
    UNION ALL
    (SELECT <<columns>>
    FROM (SELECT b.* FROM (
        SELECT r.occurred_at, r.entry_no
        FROM aureus.audit_references AS r
        WHERE CAST(:path AS text) = 'newest of reference' AND r.tenant_id = :tenant_id
          AND (r.kind, r.value, r.occurred_at, r.entry_no)
            > (:kind, :value, CAST(:from_at AS timestamptz), :from_no)
          AND (r.kind, r.value, r.occurred_at, r.entry_no)
            < (:kind, :value, CAST(:to_at AS timestamptz), :to_no)
        ORDER BY r.kind DESC, r.value DESC, r.occurred_at DESC, r.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint))) AS f CROSS JOIN LATERAL (
        SELECT e.* FROM aureus.events AS e
        WHERE e.tenant_id = :tenant_id AND e.entry_no BETWEEN f.entry_no AND f.entry_no
        ORDER BY e.entry_no
        LIMIT 1) AS e)
), reached AS (
    SELECT s.occurred_at, s.entry_no
    FROM scanned AS s
    ORDER BY CASE WHEN CAST(:is_ascending AS boolean) THEN s.occurred_at END DESC,
        CASE WHEN CAST(:is_ascending AS boolean) THEN s.entry_no END DESC, s.occurred_at, s.entry_no
    LIMIT 1
)
SELECT (SELECT count(*) FROM scanned), end_of_look.occurred_at, end_of_look.entry_no, m.*
FROM (SELECT 1) AS one
LEFT JOIN reached AS end_of_look ON true
LEFT JOIN (
    SELECT s.*, p.payload, p.metadata, p.entry_no IS NOT NULL
    FROM scanned AS s LEFT JOIN LATERAL (
        SELECT p.payload, p.metadata, p.entry_no FROM aureus.event_payloads AS p
        WHERE p.tenant_id = :tenant_id AND p.entry_no = s.entry_no
        OFFSET 0) AS p ON true
    WHERE (CAST(:actor AS text) IS NULL OR s.actor = :actor)
      AND (CAST(:action AS text) IS NULL OR s.action = :action)
      AND (CAST(:resource AS text) IS NULL OR s.resource = :resource)
      AND (CAST(:outcome AS text) IS NULL OR s.outcome = :outcome)
      AND (CAST(:correlation_id AS text) IS NULL OR s.correlation_id = :correlation_id)
      AND NOT EXISTS (
            SELECT FROM json_to_recordset(CAST(:refs AS json)) AS g (kind text, value text)
            WHERE NOT EXISTS (
                SELECT FROM aureus.audit_references AS r
                WHERE r.tenant_id = :tenant_id AND r.kind = g.kind AND r.value = g.value
                  AND r.occurred_at = s.occurred_at AND r.entry_no = s.entry_no))
    ORDER BY CASE WHEN CAST(:is_ascending AS boolean) THEN s.occurred_at END,
        CASE WHEN CAST(:is_ascending AS boolean) THEN s.entry_no END, s.occurred_at DESC, s.entry_no DESC
    LIMIT :limit
) AS m ON true
ORDER BY CASE WHEN CAST(:is_ascending AS boolean) THEN m.occurred_at END,
    CASE WHEN CAST(:is_ascending AS boolean) THEN m.entry_no END, m.occurred_at DESC, m.entry_no DESC;
