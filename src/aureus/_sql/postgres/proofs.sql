-- Proofs on PostgreSQL.

-- name: read_page :many
-- What the ledger holds from position :first on, before :end, with the event of each: up to :bytes_max bytes of payload
-- and one more. All by their primary keys; the sizes of payloads are read without them.
-- A time that is infinite, which nobody appended, is NULL.
WITH page AS MATERIALIZED (
    SELECT b.first_position + n.at - 1 AS position, n.entry_no,
        substring(b.leaf_hashes FROM CAST(32 * (n.at - 1) + 1 AS integer) FOR 32) AS leaf_hash
    FROM (<<covering>>) AS b
    CROSS JOIN LATERAL unnest(b.entry_nos) WITH ORDINALITY AS n (entry_no, at)
    WHERE b.first_position + n.at - 1 >= CAST(:first AS bigint)
      AND b.first_position + n.at - 1 < CAST(:end AS bigint)
), sized AS MATERIALIZED (
    SELECT page.position, page.entry_no, page.leaf_hash,
        sum(coalesce(octet_length(z.payload), 0) + coalesce(octet_length(z.metadata), 0))
            OVER (ORDER BY page.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM page
    LEFT JOIN aureus.event_payloads AS z ON z.tenant_id = :tenant_id AND z.entry_no = page.entry_no
)
SELECT s.position, s.entry_no, s.leaf_hash AS sealed_hash, e.event_id, e.stream, e.version, e.type, e.actor,
    CASE WHEN isfinite(e.occurred_at) THEN CAST(extract(epoch FROM (e.occurred_at)) * 1000000 AS bigint) END AS micros,
    e.correlation_id, e.action, e.resource, e.outcome, e.category, e.commitment, e.leaf_hash, p.salt, p.payload,
    p.metadata
FROM sized AS s
LEFT JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = s.entry_no
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = s.entry_no
WHERE coalesce(s.bytes_before, 0) <= CAST(:bytes_max AS bigint)
ORDER BY s.position;

-- name: list_leaf_hashes :many
-- Leaf hashes from position :first on, before :end: one behind the other for each batch, with the position of the first
-- of them. By the primary key of the batches; cut out once for each, since every cut reads pages.
SELECT greatest(b.first_position, CAST(:first AS bigint)) AS position,
    substring(b.leaf_hashes
        FROM CAST(32 * (greatest(b.first_position, CAST(:first AS bigint)) - b.first_position) + 1 AS integer)
        FOR CAST(32 * (least(b.first_position + b.size, CAST(:end AS bigint))
            - greatest(b.first_position, CAST(:first AS bigint))) AS integer)) AS leaf_hashes
FROM (<<covering>>) AS b
WHERE b.first_position + b.size > CAST(:first AS bigint)
ORDER BY position;

-- name: get_position :one
-- The position of an entry; by ledger_batches_entries in its order, so that those behind are not looked at. No row: it
-- is not sealed.
SELECT b.first_position + array_position(b.entry_nos, CAST(:entry_no AS bigint)) - 1
FROM aureus.ledger_batches AS b
WHERE b.tenant_id = :tenant_id AND b.last_entry_no >= CAST(:entry_no AS bigint)
  AND b.first_entry_no <= CAST(:entry_no AS bigint)
  AND b.entry_nos @> ARRAY[CAST(:entry_no AS bigint)]
ORDER BY b.last_entry_no
LIMIT 1;

-- name: count_pending :one
-- How many events wait to be sealed.
SELECT count(*) FROM aureus.ledger_pending AS p WHERE p.tenant_id = :tenant_id;

-- name: lock_head :one
-- Read the head and keep it as it is until the end of the transaction; who seals waits, or comes later.
SELECT h.tenant_key, h.incarnation, h.size, h.root, h.peaks, h.last_entry_no, h.sealed_at
FROM aureus.ledger_heads AS h
WHERE h.tenant_id = :tenant_id
FOR UPDATE;

-- part: numbers
-- The numbers of a list, one a row.
SELECT unnest(CAST(:entry_nos AS bigint[]))
