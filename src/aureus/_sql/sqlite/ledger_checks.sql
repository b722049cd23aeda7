-- Checks of a ledger on SQLite.

-- name: get_totals :one
-- How many events there are, how many of them wait to be sealed, and where the sealed batches end; the versions of all
-- streams, and the highest entry number that is sealed; all at one moment.
SELECT (SELECT count(*) FROM aureus.events AS e WHERE e.tenant_id = :tenant_id) AS event_count,
    (SELECT count(*) FROM aureus.events AS p
     WHERE p.tenant_id = :tenant_id AND p.entry_no > coalesce((
        SELECT w.last_entry_no FROM aureus.ledger_heads AS w WHERE w.tenant_id = :tenant_id), 0)) AS pending_count,
    (SELECT coalesce(max(b.first_position + b.size), 0) FROM aureus.ledger_batches AS b
     WHERE b.tenant_id = :tenant_id) AS sealed_end,
    coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) AS size,
    (SELECT coalesce(sum(s.version), 0) FROM aureus.streams AS s WHERE s.tenant_id = :tenant_id) AS version_count,
    coalesce((SELECT l.last_entry_no FROM aureus.ledger_heads AS l WHERE l.tenant_id = :tenant_id), 0)
        AS last_entry_no,
    coalesce((SELECT max(n.last_entry_no) FROM aureus.ledger_batches AS n WHERE n.tenant_id = :tenant_id), 0)
        AS sealed_entry_no;

-- name: list_strays :many
-- Events that are neither sealed nor waiting to be; asked only when the numbers do not add up.
SELECT e.entry_no, e.event_id
FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id
  AND e.entry_no <= coalesce((
    SELECT h.last_entry_no FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.ledger_batches AS b
    CROSS JOIN json_each(b.entry_nos) AS n
    WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= e.entry_no AND b.first_entry_no <= e.entry_no
      AND n.value = e.entry_no)
ORDER BY e.entry_no
LIMIT :limit;

-- name: is_waiting :one
-- Whether an event waits to be sealed: those behind the head's last entry do.
SELECT 1
WHERE :entry_no > coalesce((SELECT h.last_entry_no FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0);

-- name: list_wrong_batches :many
-- Batches that reach behind a position, whose numbers do not follow from the entries they hold.
SELECT b.first_position, b.size
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.first_position + b.size > :position
  AND ((b.size, b.first_entry_no, b.last_entry_no) IS NOT (
        SELECT count(*), min(n.value), max(n.value) FROM json_each(b.entry_nos) AS n)
    OR length(b.leaf_hashes) <> 32 * b.size)
ORDER BY b.first_position
LIMIT :limit;

-- name: list_wrong_streams :many
-- Streams whose row has another version than their last event, or another category than their name says; for each a
-- look into the index of streams and versions.
SELECT s.stream
FROM aureus.streams AS s
WHERE s.tenant_id = :tenant_id
  AND (s.category <> substr(s.stream, 1, instr(s.stream || '/', '/') - 1) OR s.version <> coalesce((
    SELECT e.version FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id AND e.stream = s.stream
    ORDER BY e.version DESC
    LIMIT 1), 0))
ORDER BY s.stream
LIMIT :limit;
