-- Erasures on PostgreSQL.

-- name: lock_erasures :one
-- Let nobody else erase in this tenant before this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text), 11));

-- name: list_subject_entries :many
-- Entries that concern a person, behind one of them; those too whose payload was erased for another one.
SELECT s.entry_no, e.stream, e.version
FROM aureus.event_subjects AS s
CROSS JOIN LATERAL (
    SELECT o.stream, o.version FROM aureus.events AS o
    WHERE o.tenant_id = :tenant_id AND o.entry_no BETWEEN s.entry_no AND s.entry_no
    ORDER BY o.entry_no
    LIMIT 1) AS e
WHERE s.tenant_id = :tenant_id AND s.subject = :subject AND s.entry_no > :after_no
ORDER BY s.entry_no
LIMIT :limit;

-- name: list_payloads :many
-- Those of some entries that have their payload still, with the identifiers of their events.
SELECT e.entry_no, e.event_id
FROM unnest(CAST(:entry_nos AS bigint[])) AS g (entry_no)
CROSS JOIN LATERAL (
    SELECT o.entry_no, o.event_id FROM aureus.events AS o
    WHERE o.tenant_id = :tenant_id AND o.entry_no BETWEEN g.entry_no AND g.entry_no
    ORDER BY o.entry_no
    LIMIT 1) AS e
CROSS JOIN LATERAL (
    SELECT FROM aureus.event_payloads AS o WHERE o.tenant_id = :tenant_id AND o.entry_no = g.entry_no LIMIT 1) AS p
ORDER BY e.entry_no;

-- name: count_encrypted :one
-- How many of some entries have an encrypted payload.
SELECT count(*) FROM aureus.event_payloads AS p
WHERE p.tenant_id = :tenant_id AND p.entry_no = ANY (CAST(:entry_nos AS bigint[]))
  AND substring(p.payload FROM 1 FOR 1) = '\x5b';

-- name: mark_entries :many
-- Name the entries whose payload a record takes away.
INSERT INTO aureus.erased_entries (tenant_id, entry_no, record_id)
SELECT :tenant_id, g.entry_no, :record_id FROM unnest(CAST(:entry_nos AS bigint[])) AS g (entry_no)
RETURNING entry_no;

-- name: delete_payloads :many
-- Delete salt, payload and metadata of entries that a record names.
DELETE FROM aureus.event_payloads
WHERE tenant_id = :tenant_id AND entry_no = ANY (CAST(:entry_nos AS bigint[]))
RETURNING entry_no;

-- name: delete_references :many
-- Delete what entries refer to whose payloads a record takes away. Each entry's are looked up by
-- audit_references_entry; for a list of entries the planner would skip through the primary key, which is reading it
-- whole. Their places hold: references never change.
DELETE FROM aureus.audit_references
WHERE tenant_id = :tenant_id AND ctid = ANY (ARRAY(
    SELECT r.ctid
    FROM unnest(CAST(:entry_nos AS bigint[])) AS g (entry_no)
    CROSS JOIN LATERAL (
        SELECT o.ctid FROM aureus.audit_references AS o
        WHERE o.tenant_id = :tenant_id AND o.entry_no BETWEEN g.entry_no AND g.entry_no
        ORDER BY o.entry_no
        OFFSET 0) AS r))
RETURNING entry_no;

-- name: forget_subject :many
-- Delete what says that entries concern a person.
DELETE FROM aureus.event_subjects
WHERE tenant_id = :tenant_id AND subject = :subject AND entry_no = ANY (CAST(:entry_nos AS bigint[]))
RETURNING entry_no;
