-- Events: the entries of the ledger. Appended only by the recorder, together with the write whose facts they are; never
-- changed. Versions count from 1 in each stream without gaps, because the stream's row is locked by the append.

-- name: read_stream :many
-- A range of a stream, oldest first.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource,
    e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream = :stream AND e.version > :after_version
ORDER BY e.version
LIMIT :limit;

-- name: get_stream_version :one
-- How many events a stream has.
SELECT version FROM aureus.streams
WHERE tenant_id = :tenant_id AND stream = :stream;

-- name: list_audit_entries :many
-- The events that are audit entries, oldest first; served by events_audit.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource,
    e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.action IS NOT NULL AND e.entry_no > :after_no
ORDER BY e.entry_no
LIMIT :limit;

-- name: get_event :one
-- One event by its identifier; served by events_tenant_id_event_id_key.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource,
    e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id;
