-- Proofs on SQLite.

-- name: read_page :many
-- What the ledger holds from position :first on, before :end, with the event of each: up to :bytes_max bytes of payload
-- and one more. All by their primary keys; the sizes of payloads are read without them.
WITH page AS MATERIALIZED (
    SELECT b.first_position + n.key AS position, n.value AS entry_no,
        substr(b.leaf_hashes, 32 * n.key + 1, 32) AS leaf_hash
    FROM (<<covering>>) AS b
    CROSS JOIN json_each(b.entry_nos) AS n
    WHERE b.first_position + n.key >= :first AND b.first_position + n.key < :end
), sized AS MATERIALIZED (
    SELECT page.position, page.entry_no, page.leaf_hash,
        sum(coalesce(length(z.payload), 0) + coalesce(length(z.metadata), 0))
            OVER (ORDER BY page.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM page
    LEFT JOIN aureus.event_payloads AS z ON z.tenant_id = :tenant_id AND z.entry_no = page.entry_no
)
SELECT s.position, s.entry_no, s.leaf_hash AS sealed_hash, e.event_id, e.stream, e.version, e.type, e.actor,
    e.occurred_at AS micros, e.correlation_id, e.action, e.resource, e.outcome, e.category, e.commitment, e.leaf_hash,
    p.salt, p.payload, p.metadata
FROM sized AS s
LEFT JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = s.entry_no
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = s.entry_no
WHERE coalesce(s.bytes_before, 0) <= :bytes_max
ORDER BY s.position;

-- name: list_leaf_hashes :many
-- Leaf hashes from position :first on, before :end: one behind the other for each batch, with the position of the first
-- of them. By the primary key of the batches.
SELECT max(b.first_position, :first) AS position,
    substr(b.leaf_hashes, 32 * (max(b.first_position, :first) - b.first_position) + 1,
        32 * (min(b.first_position + b.size, :end) - max(b.first_position, :first))) AS leaf_hashes
FROM (<<covering>>) AS b
WHERE b.first_position + b.size > :first
ORDER BY position;

-- name: get_position :one
-- The position of an entry; by ledger_batches_entries in its order, so that those behind are not looked at. No row: it
-- is not sealed.
SELECT b.first_position + n.key
FROM aureus.ledger_batches AS b
CROSS JOIN json_each(b.entry_nos) AS n
WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= :entry_no AND b.first_entry_no <= :entry_no
  AND n.value = :entry_no
ORDER BY b.last_entry_no
LIMIT 1;

-- name: count_pending :one
-- How many events wait to be sealed: those behind the head's last entry.
SELECT count(*) FROM aureus.events AS p
WHERE p.tenant_id = :tenant_id AND p.entry_no > coalesce((
    SELECT h.last_entry_no FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0);

-- name: lock_head :one
-- Read the head; nobody else writes meanwhile.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id;

-- part: numbers
-- The numbers of a list, one a row.
SELECT j.value FROM json_each(:entry_nos) AS j
