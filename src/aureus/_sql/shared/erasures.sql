-- Erasures: which entries concern whom, and which lost their payload by which record. A batch takes the lock, writes
-- the row of its record, behind which the event of the record is appended, names the entries, and only then deletes
-- their payloads: a trigger on event_payloads looks for all of it.

-- name: has_erased_entries :one
-- Whether an entry of the streams between two names has lost its payload.
SELECT 1
FROM aureus.events AS e
JOIN aureus.erased_entries AS x ON x.tenant_id = e.tenant_id AND x.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream >= :first_stream AND e.stream < :end_stream
LIMIT 1;

-- name: find_entry_pruned :one
-- The first entry of the streams between two names that lost its payload by a record of :record_stream; NULL when there
-- is none.
SELECT min(e.entry_no)
FROM aureus.events AS e
JOIN aureus.erased_entries AS x ON x.tenant_id = e.tenant_id AND x.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream >= :first_stream AND e.stream < :end_stream
  AND (SELECT r.stream FROM aureus.events AS r
    WHERE r.tenant_id = :tenant_id AND r.event_id BETWEEN x.record_id AND x.record_id
    ORDER BY r.event_id
    LIMIT 1) = :record_stream;

-- name: find_record :one
-- What a record says, if this very batch was carried out before. Its event as a range in its order, for the reason
-- given at events.append_expecting.
SELECT p.payload
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :record_id AND :record_id AND EXISTS (
    SELECT 1 FROM aureus.erasures AS r WHERE r.tenant_id = :tenant_id AND r.record_id = :record_id)
ORDER BY e.event_id
LIMIT 1;

-- name: list_subject_entries :many
-- Entries that concern a person, behind one of them; those too whose payload was erased for another one.
SELECT s.entry_no, e.stream, e.version
FROM aureus.event_subjects AS s
JOIN aureus.events AS e ON e.tenant_id = s.tenant_id AND e.entry_no = s.entry_no
WHERE s.tenant_id = :tenant_id AND s.subject = :subject AND s.entry_no > :after_no
ORDER BY s.entry_no
LIMIT :limit;

-- name: list_stream_entries :many
-- Entries of a stream that have their payload, behind a version.
SELECT e.entry_no, e.stream, e.version
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream = :stream AND e.version > :after_version
ORDER BY e.version
LIMIT :limit;

-- name: list_streams_ending :many
-- Streams of a category whose names end so; reads the row of every stream.
SELECT s.stream FROM aureus.streams AS s
WHERE s.tenant_id = :tenant_id AND s.category = :category
  AND substr(s.stream, length(s.stream) - length(CAST(:ending AS text)) + 1) = CAST(:ending AS text)
ORDER BY s.stream;

-- name: is_stream_known :one
-- Whether a stream has events.
SELECT true FROM aureus.streams WHERE tenant_id = :tenant_id AND stream = :stream;

-- name: add_erasure :one
-- records
-- Note a record of an erasure, whose event travels with it.
INSERT INTO aureus.erasures (tenant_id, record_id, erasure_id, erased_at)
VALUES (:tenant_id, :record_id, :erasure_id, :now)
RETURNING record_id;

-- name: add_destroyed_key :one
-- Name a key that a record says is destroyed. No row: one says so already.
INSERT INTO aureus.destroyed_keys (tenant_id, key_id, record_id)
VALUES (:tenant_id, :key_id, :record_id)
ON CONFLICT (tenant_id, key_id) DO NOTHING
RETURNING key_id;

-- name: is_key_destroyed :one
-- Whether a record says that a key is destroyed.
SELECT true FROM aureus.destroyed_keys WHERE tenant_id = :tenant_id AND key_id = :key_id;
