-- Checks of a ledger on PostgreSQL.

-- name: get_totals :one
-- How many events there are, how many of them wait to be sealed as they were appended, and where sealed batches end;
-- the versions of all streams, and the highest entry number that is sealed; all at one moment.
SELECT (SELECT count(*) FROM aureus.events AS e WHERE e.tenant_id = :tenant_id) AS event_count,
    (SELECT count(*) FROM aureus.ledger_pending AS p
     JOIN aureus.events AS w ON w.tenant_id = :tenant_id AND w.entry_no = p.entry_no
        AND w.append_no = p.append_no AND w.leaf_hash = p.leaf_hash
     WHERE p.tenant_id = :tenant_id) AS pending_count,
    (SELECT coalesce(max(b.first_position + b.size), 0) FROM aureus.ledger_batches AS b
     WHERE b.tenant_id = :tenant_id) AS sealed_end,
    coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) AS size,
    (SELECT CAST(coalesce(sum(s.version), 0) AS bigint) FROM aureus.streams AS s
     WHERE s.tenant_id = :tenant_id) AS version_count,
    coalesce((SELECT l.last_entry_no FROM aureus.ledger_heads AS l WHERE l.tenant_id = :tenant_id), 0)
        AS last_entry_no,
    coalesce((SELECT max(n.last_entry_no) FROM aureus.ledger_batches AS n WHERE n.tenant_id = :tenant_id), 0)
        AS sealed_entry_no;

-- name: list_strays :many
-- Events that are neither sealed nor waiting to be as they were appended; asked only when the numbers do not add up.
SELECT e.entry_no, e.event_id
FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id
  AND NOT EXISTS (
    SELECT 1 FROM aureus.ledger_pending AS p
    WHERE p.tenant_id = :tenant_id AND p.append_no = e.append_no AND p.entry_no = e.entry_no
      AND p.leaf_hash = e.leaf_hash)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.ledger_batches AS b
    WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= e.entry_no AND b.first_entry_no <= e.entry_no
      AND e.entry_no = ANY (b.entry_nos))
ORDER BY e.entry_no
LIMIT :limit;

-- name: is_waiting :one
-- Whether an event waits to be sealed as it was appended.
SELECT 1
FROM (
    SELECT o.append_no, o.entry_no, o.leaf_hash FROM aureus.events AS o
    WHERE o.tenant_id = :tenant_id AND o.entry_no BETWEEN :entry_no AND :entry_no
    ORDER BY o.entry_no
    LIMIT 1) AS e
JOIN aureus.ledger_pending AS p
    ON p.tenant_id = :tenant_id AND p.append_no = e.append_no AND p.entry_no = e.entry_no AND p.leaf_hash = e.leaf_hash;

-- name: list_wrong_batches :many
-- Batches that reach behind a position, whose numbers do not follow from the entries they hold.
SELECT b.first_position, b.size
FROM aureus.ledger_batches AS b
CROSS JOIN LATERAL (
    SELECT count(*) AS size, min(n.entry_no) AS first_entry_no, max(n.entry_no) AS last_entry_no
    FROM unnest(b.entry_nos) AS n (entry_no)) AS held
WHERE b.tenant_id = :tenant_id AND b.first_position + b.size > :position
  AND (b.size IS DISTINCT FROM held.size OR b.first_entry_no IS DISTINCT FROM held.first_entry_no
    OR b.last_entry_no IS DISTINCT FROM held.last_entry_no OR octet_length(b.leaf_hashes) <> 32 * held.size)
ORDER BY b.first_position
LIMIT :limit;

-- name: list_wrong_streams :many
-- Streams whose row has another version than their last event, or another category than their name says; for each a
-- look into events_tenant_id_stream_version_key.
SELECT s.stream
FROM aureus.streams AS s
WHERE s.tenant_id = :tenant_id
  AND (s.category <> split_part(s.stream, '/', 1) OR s.version <> coalesce((
    SELECT e.version FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id AND e.stream = s.stream
    ORDER BY e.version DESC
    LIMIT 1), 0))
ORDER BY s.stream
LIMIT :limit;
