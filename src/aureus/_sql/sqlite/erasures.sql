-- Erasures on SQLite.

-- name: lock_erasures :one
-- The one writer needs no lock.
SELECT :tenant_id;

-- name: list_payloads :many
-- Those of some entries that have their payload still, with the identifiers of their events.
SELECT e.entry_no, e.event_id
FROM json_each(:entry_nos) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = g.value
CROSS JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = g.value
ORDER BY e.entry_no;

-- name: count_encrypted :one
-- How many of some entries have an encrypted payload.
SELECT count(*) FROM aureus.event_payloads AS p
WHERE p.tenant_id = :tenant_id AND p.entry_no IN (SELECT value FROM json_each(:entry_nos))
  AND substr(p.payload, 1, 1) = x'5b';

-- name: mark_entries :many
-- Name the entries whose payload a record takes away.
INSERT INTO aureus.erased_entries (tenant_id, entry_no, record_id)
SELECT :tenant_id, g.value, :record_id FROM json_each(:entry_nos) AS g
RETURNING entry_no;

-- name: delete_payloads :many
-- Delete salt, payload and metadata of entries that a record names.
DELETE FROM aureus.event_payloads
WHERE tenant_id = :tenant_id AND entry_no IN (SELECT value FROM json_each(:entry_nos))
RETURNING entry_no;

-- name: delete_references :many
-- Delete what entries refer to whose payloads a record takes away.
DELETE FROM aureus.audit_references
WHERE tenant_id = :tenant_id AND entry_no IN (SELECT value FROM json_each(:entry_nos))
RETURNING entry_no;

-- name: forget_subject :many
-- Delete what says that entries concern a person.
DELETE FROM aureus.event_subjects
WHERE tenant_id = :tenant_id AND subject = :subject AND entry_no IN (SELECT value FROM json_each(:entry_nos))
RETURNING entry_no;
