-- Subscriptions on PostgreSQL. What a consumer holds comes as one JSON array of bucket, epoch and position; its buckets
-- are locked in their order.

-- part: held
-- What a consumer holds.
json_to_recordset(CAST(:held AS json)) AS g (bucket integer, epoch bigint, position bigint)

-- part: bucket_of
-- The number by which a stream finds its bucket: aureus.model.subscriptions.stream_hash. A sub-select of its own is
-- carried out once for an event; in a condition it would be once for each bucket that is held, with four digests.
SELECT get_byte(h.digest, 0) * CAST(16777216 AS bigint) + get_byte(h.digest, 1) * 65536
            + get_byte(h.digest, 2) * 256 + get_byte(h.digest, 3)
            FROM (SELECT sha256(convert_to(f.stream, 'UTF8')) AS digest OFFSET 0) AS h

-- name: create_subscription :one
-- key: name
-- Make a subscription that begins with position :from_position, or behind what is sealed now. No row: there is one of
-- this name, or so much is not sealed.
WITH head AS MATERIALIZED (
    SELECT coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) AS size
), made AS (
    INSERT INTO aureus.subscriptions (tenant_id, name, stream, category, types, is_group, bucket_count, created_at)
    SELECT :tenant_id, :name, :stream, :category, CAST(:types AS json), CAST(:is_group AS boolean),
        CAST(:bucket_count AS integer), CAST(:now AS timestamptz)
    FROM head
    WHERE coalesce(CAST(:from_position AS bigint), 0) <= head.size
    ON CONFLICT (tenant_id, name) DO NOTHING
    RETURNING name
), buckets AS (
    INSERT INTO aureus.subscription_buckets (tenant_id, name, bucket, position, epoch, updated_at)
    SELECT :tenant_id, made.name, b, coalesce(CAST(:from_position AS bigint), head.size) - 1,
        CAST(:first_epoch AS bigint), CAST(:now AS timestamptz)
    FROM made CROSS JOIN head CROSS JOIN generate_series(0, CAST(:bucket_count AS integer) - 1) AS b
)
SELECT made.name FROM made;

-- name: lock_buckets :many
-- key: name
-- Keep the buckets of a subscription from being moved until the end of the transaction.
SELECT b.bucket FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name
ORDER BY b.bucket
FOR UPDATE;

-- name: reset_subscription :one
-- key: name
-- records
-- Let every bucket begin with position :from_position, or behind what is sealed now, and nothing be parked. No row:
-- there is no such subscription, or so much is not sealed. lock_buckets came before: what was parked while it waited
-- would not be seen otherwise, and stay parked.
WITH head AS MATERIALIZED (
    SELECT coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) AS size
), moved AS (
    UPDATE aureus.subscription_buckets AS b
    SET position = coalesce(CAST(:from_position AS bigint), head.size) - 1, epoch = b.epoch + 1, tried_position = NULL,
        operation_id = :operation_id, updated_at = CAST(:now AS timestamptz)
    FROM head
    WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.operation_id IS DISTINCT FROM :operation_id
      AND coalesce(CAST(:from_position AS bigint), 0) <= head.size
    RETURNING b.position
), gone AS (
    DELETE FROM aureus.subscription_parked AS p
    WHERE p.tenant_id = :tenant_id AND p.name = :name AND EXISTS (SELECT FROM moved)
)
SELECT m.position, set_config('aureus.mark', :mark, true)
FROM (SELECT max(moved.position) AS position FROM moved HAVING count(*) > 0) AS m
UNION ALL
SELECT max(b.position), NULL
FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.operation_id = :operation_id AND NOT EXISTS (SELECT FROM moved)
HAVING count(*) > 0;

-- name: advance_subscription :one
-- key: name
-- Move the position of a subscription forward, from :expected_position where that is given. No row: there is none, it
-- is there or further already, or so much is not sealed.
WITH moved AS (
    UPDATE aureus.subscription_buckets AS b
    SET position = CAST(:position AS bigint), operation_id = :operation_id, updated_at = CAST(:now AS timestamptz)
    FROM aureus.subscriptions AS s
    WHERE s.tenant_id = :tenant_id AND s.name = :name AND NOT s.is_group
      AND b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = 0
      AND b.position < CAST(:position AS bigint) AND b.operation_id IS DISTINCT FROM :operation_id
      AND (CAST(:expected_position AS bigint) IS NULL OR CAST(:expected_position AS bigint) = b.position)
      AND CAST(:position AS bigint) < (SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id)
    RETURNING b.position
)
SELECT moved.position FROM moved
UNION ALL
SELECT b.position FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = 0 AND b.operation_id = :operation_id
  AND NOT EXISTS (SELECT FROM moved);

-- name: read_sealed :many
-- A bounded look at sealed entries in their order: the :scan positions behind :after_position, and of these at most
-- :limit events that the filters let through and that lie behind the position of their bucket, and of these as many as
-- have :bytes_max bytes of content, one at least. The first columns come in any case: how much is sealed, whether
-- there is something that is not, how many positions were looked at, the last of them, and the first without its
-- event. Events are looked up one by one by events_pkey: the range and its order leave the planner no other index,
-- whatever it knows of the table.
WITH batches AS MATERIALIZED (
    SELECT b.first_position, b.entry_nos
    FROM aureus.ledger_batches AS b
    WHERE b.tenant_id = :tenant_id
      AND b.first_position >= coalesce((
        SELECT k.first_position FROM aureus.ledger_batches AS k
        WHERE k.tenant_id = :tenant_id AND k.first_position <= CAST(:after_position AS bigint) + 1
        ORDER BY k.first_position DESC
        LIMIT 1), 0)
      AND b.first_position <= CAST(:after_position AS bigint) + CAST(:scan AS bigint)
    ORDER BY b.first_position
    LIMIT 2000
), entries AS MATERIALIZED (
    SELECT b.first_position + n.ordinal - 1 AS position, n.entry_no
    FROM batches AS b CROSS JOIN LATERAL unnest(b.entry_nos) WITH ORDINALITY AS n (entry_no, ordinal)
    WHERE b.first_position + n.ordinal - 1 > CAST(:after_position AS bigint)
      AND b.first_position + n.ordinal - 1 <= CAST(:after_position AS bigint) + CAST(:scan AS bigint)
), found AS MATERIALIZED (
    SELECT x.position AS position, e.*
    FROM entries AS x
    LEFT JOIN LATERAL (
        SELECT i.entry_no, i.event_id, i.stream, i.version, i.type, i.category, i.actor, i.occurred_at,
            i.correlation_id, i.action, i.resource, i.outcome, i.leaf_hash
        FROM aureus.events AS i
        WHERE i.tenant_id = :tenant_id AND i.entry_no BETWEEN x.entry_no AND x.entry_no
        ORDER BY i.entry_no
        LIMIT 1) AS e ON true
)
SELECT coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) AS size,
    (SELECT q.entry_no FROM aureus.ledger_pending AS q WHERE q.tenant_id = :tenant_id
     ORDER BY q.append_no DESC, q.entry_no DESC LIMIT 1) IS NOT NULL AS has_unsealed,
    w.scanned_count, w.last_position, w.missing_position,
    m.position, m.event_id, m.stream, m.version, m.entry_no, m.type, m.actor, m.occurred_at, m.correlation_id,
    m.action, m.resource, m.outcome, m.leaf_hash, m.payload, m.metadata, m.bytes_to_here
FROM (
    SELECT count(*) AS scanned_count, max(s.position) AS last_position,
        min(s.position) FILTER (WHERE s.entry_no IS NULL) AS missing_position
    FROM found AS s
) AS w
LEFT JOIN (
    SELECT c.*, p.payload, p.metadata, coalesce(octet_length(p.payload), 0) + coalesce(octet_length(p.metadata), 0)
            AS bytes,
        sum(coalesce(octet_length(p.payload), 0) + coalesce(octet_length(p.metadata), 0))
            OVER (ORDER BY c.position ROWS UNBOUNDED PRECEDING) AS bytes_to_here
    FROM (
        SELECT f.* FROM found AS f
        WHERE f.entry_no IS NOT NULL
          AND (CAST(:stream AS text) IS NULL OR f.stream = :stream)
          AND (CAST(:category AS text) IS NULL OR f.category = :category)
          AND (CAST(:types AS json) IS NULL
            OR f.type IN (SELECT t.value FROM json_array_elements_text(CAST(:types AS json)) AS t (value)))
          AND CASE WHEN CAST(:bucket_count AS bigint) = 1 THEN true ELSE EXISTS (
            SELECT FROM <<held>>
            WHERE g.bucket = (<<bucket_of>>) % CAST(:bucket_count AS bigint) AND f.position > g.position) END
        ORDER BY f.position
        LIMIT :limit
    ) AS c
    LEFT JOIN LATERAL (
        SELECT o.payload, o.metadata FROM aureus.event_payloads AS o
        WHERE o.tenant_id = :tenant_id AND o.entry_no = c.entry_no
        LIMIT 1) AS p ON true
) AS m ON m.bytes_to_here - m.bytes < CAST(:bytes_max AS bigint)
ORDER BY m.position;

-- name: advance_buckets :many
-- key: name
-- Move the positions of buckets forward, each only while its epoch is the one that is held. With :is_strict a bucket
-- that is there already does not move. The rows are the buckets that did.
WITH locked AS MATERIALIZED (
    SELECT b.bucket, g.position
    FROM <<held>>
    JOIN aureus.subscription_buckets AS b ON b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = g.bucket
    WHERE b.epoch = g.epoch
      AND (b.position < g.position OR b.position = g.position AND NOT CAST(:is_strict AS boolean))
    ORDER BY b.bucket
    FOR UPDATE OF b
)
UPDATE aureus.subscription_buckets AS b
SET position = locked.position, updated_at = CAST(:now AS timestamptz)
FROM locked
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = locked.bucket
RETURNING b.bucket;

-- name: release_buckets :many
-- key: name
-- Move the positions of buckets forward, and give them back in order, each only while its epoch is the one that is
-- held.
UPDATE aureus.subscription_buckets AS b
SET position = greatest(b.position, g.position), takeover_count = 0, updated_at = CAST(:now AS timestamptz)
FROM <<held>>
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = g.bucket AND b.epoch = g.epoch
RETURNING b.bucket;

-- name: lock_bucket :one
-- key: name
-- Hold a bucket until the end of the transaction. No row: somebody else has taken it over.
SELECT b.bucket FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = :bucket AND b.epoch = :epoch
FOR UPDATE;

-- name: lock_group :one
-- key: name
-- Let one member at a time share out the buckets of a group. No row: there is no such group.
SELECT s.name FROM aureus.subscriptions AS s
WHERE s.tenant_id = :tenant_id AND s.name = :name AND s.is_group
FOR NO KEY UPDATE;

-- name: renew_member :one
-- key: name
-- Make or renew a membership, by the clock of the database.
INSERT INTO aureus.subscription_members AS m (tenant_id, name, member_id, joined_at, expires_at, joining_id)
VALUES (:tenant_id, :name, :member_id, clock_timestamp(),
    clock_timestamp() + make_interval(secs => CAST(:lease_seconds AS double precision)), :joining_id)
ON CONFLICT (tenant_id, name, member_id) DO UPDATE SET expires_at = excluded.expires_at,
    joining_id = excluded.joining_id
RETURNING m.member_id, m.joined_at, m.expires_at, m.joining_id;

-- name: extend_member :one
-- key: name
-- Renew a membership between two lookings at the shares. No row: it has ended, or another process has its name.
UPDATE aureus.subscription_members
SET expires_at = clock_timestamp() + make_interval(secs => CAST(:lease_seconds AS double precision))
WHERE tenant_id = :tenant_id AND name = :name AND member_id = :member_id AND joining_id = :joining_id
RETURNING member_id;

-- name: drop_lapsed_members :many
-- key: name
-- End the memberships of those who did not renew them in time.
DELETE FROM aureus.subscription_members AS m
WHERE m.tenant_id = :tenant_id AND m.name = :name AND m.expires_at <= clock_timestamp()
  AND m.member_id <> :member_id
RETURNING m.member_id;

-- name: take_buckets :many
-- key: name
-- Take buckets over; whoever had them moves nothing from now on.
UPDATE aureus.subscription_buckets
SET member_id = :member_id, epoch = epoch + 1, takeover_count = takeover_count + 1
WHERE tenant_id = :tenant_id AND name = :name AND bucket = ANY (CAST(:buckets AS integer[]))
RETURNING <<bucket>>;

-- name: give_buckets :many
-- key: name
-- Give buckets back to be taken by others.
UPDATE aureus.subscription_buckets AS b SET member_id = NULL, takeover_count = 0
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.member_id = :member_id
  AND b.bucket = ANY (CAST(:buckets AS integer[]))
RETURNING b.bucket;
