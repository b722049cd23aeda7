-- Events: the entries of the ledger. Appended only by the recorder, together with the write whose facts they are; never
-- changed. Versions count from 1 in each stream without gaps, because the stream's row is locked by the append.

-- name: get_stream_version :one
-- How many events a stream has.
SELECT version FROM aureus.streams
WHERE tenant_id = :tenant_id AND stream = :stream;

-- name: list_streams :many
-- The streams whose names lie between two texts, behind one of them, in the order of their names; served by
-- streams_pkey.
SELECT stream, category, version, created_at, updated_at
FROM aureus.streams
WHERE tenant_id = :tenant_id AND stream >= :first_stream AND stream < :end_stream AND stream > :after_stream
  AND version > 0
ORDER BY stream
LIMIT :limit;

-- name: get_entry :one
-- One entry with the bytes that its leaf is made of; served by events_tenant_id_stream_version_key, whose order leaves
-- no other way.
SELECT e.event_id, e.type, e.actor, e.occurred_at, e.correlation_id, e.action, e.resource, e.outcome, e.entry_no,
    e.leaf_hash, p.salt, p.payload, p.metadata
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream = :stream AND e.version BETWEEN :version AND :version
ORDER BY e.version
LIMIT 1;

-- name: list_stream_range :many
-- Events of the streams between two names, stream by stream, behind a place; served by
-- events_tenant_id_stream_version_key.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource, e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream >= :first_stream AND e.stream < :end_stream
  AND (e.stream, e.version) > (:after_stream, :after_version)
ORDER BY e.stream, e.version
LIMIT :limit;

-- name: get_event :one
-- One event by its identifier; served by events_tenant_id_event_id_key.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource,
    e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id;

-- name: find_first_since :one
-- The lowest number among the entries from a time on, NULL when there is none; by events_time, of which it reads
-- what is newer. The addition keeps PostgreSQL from walking through all that is older instead.
SELECT min(e.entry_no + 0) FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id AND e.occurred_at >= :since;

-- name: list_type_totals :many
-- How many events each type has; reads the whole of events_type.
SELECT e.type, count(*)
FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id
GROUP BY e.type
ORDER BY e.type;

-- name: get_time_range :one
-- The times of the first and the last event by the clock, both NULL when there is none; the two ends of events_time.
SELECT (SELECT min(e.occurred_at) FROM aureus.events AS e WHERE e.tenant_id = :tenant_id) AS first_at,
    (SELECT max(e.occurred_at) FROM aureus.events AS e WHERE e.tenant_id = :tenant_id) AS last_at;
