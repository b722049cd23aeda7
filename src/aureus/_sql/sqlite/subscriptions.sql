-- Subscriptions on SQLite. What a consumer holds comes as one JSON array of bucket, epoch and position. CROSS JOIN
-- keeps what is given outside, and the table inside.

-- name: create_subscription :one
-- key: name
-- Make a subscription that begins with position :from_position, or behind what is sealed now. No row: there is one of
-- this name, or so much is not sealed.
INSERT INTO aureus.subscriptions (tenant_id, name, stream, category, types, is_group, bucket_count, created_at)
SELECT :tenant_id, :name, :stream, :category, :types, :is_group, :bucket_count, :now
WHERE coalesce(:from_position, 0)
    <= coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING name;
WITH RECURSIVE number (bucket) AS (
    SELECT 0 UNION ALL SELECT number.bucket + 1 FROM number WHERE number.bucket + 1 < :bucket_count
)
INSERT INTO aureus.subscription_buckets (tenant_id, name, bucket, position, epoch, updated_at)
SELECT :tenant_id, :name, number.bucket,
    coalesce(:from_position, (SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) - 1,
    :first_epoch, :now
FROM number;

-- name: lock_buckets :many
-- key: name
-- See which buckets a subscription has; nobody else writes meanwhile.
SELECT b.bucket FROM aureus.subscription_buckets AS b WHERE b.tenant_id = :tenant_id AND b.name = :name;

-- name: reset_subscription :one
-- key: name
-- records
-- Let every bucket begin with position :from_position, or behind what is sealed now, and nothing be parked. No row:
-- there is no such subscription, or so much is not sealed.
UPDATE aureus.subscription_buckets
SET position = coalesce(:from_position,
        (SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) - 1,
    epoch = epoch + 1, tried_position = NULL, operation_id = :operation_id, updated_at = :now
WHERE tenant_id = :tenant_id AND name = :name AND operation_id IS NOT :operation_id
  AND coalesce(:from_position, 0)
    <= coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0)
RETURNING position;
DELETE FROM aureus.subscription_parked WHERE tenant_id = :tenant_id AND name = :name;
SELECT max(b.position) FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.operation_id = :operation_id
HAVING count(*) > 0;

-- name: advance_subscription :one
-- key: name
-- Move the position of a subscription forward, from :expected_position where that is given. No row: there is none, it
-- is there or further already, or so much is not sealed.
UPDATE aureus.subscription_buckets SET position = :position, operation_id = :operation_id, updated_at = :now
WHERE tenant_id = :tenant_id AND name = :name AND bucket = 0
  AND EXISTS (SELECT 1 FROM aureus.subscriptions AS s
    WHERE s.tenant_id = :tenant_id AND s.name = :name AND NOT s.is_group)
  AND position < :position AND operation_id IS NOT :operation_id
  AND (:expected_position IS NULL OR :expected_position = position)
  AND :position < (SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id)
RETURNING position;
SELECT b.position FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = 0 AND b.operation_id = :operation_id;

-- name: read_sealed :many
-- A bounded look at sealed entries in their order: the :scan positions behind :after_position, and of these at most
-- :limit events that the filters let through and that lie behind the position of their bucket, and of these as many as
-- have :bytes_max bytes of content, one at least. The first columns come in any case: how much is sealed, whether
-- there is something that is not, how many positions were looked at, the last of them, and the first without its
-- event. Content is looked up a second time: what a window goes over is copied, and that would be all of it.
-- A stream's bucket is worked out once for an event, and not once for each bucket that is held.
WITH head AS MATERIALIZED (
    SELECT coalesce(max(h.size), 0) AS size, coalesce(max(h.last_entry_no), 0) AS last_entry_no
    FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id
), held AS MATERIALIZED (
    SELECT json_group_object(g.value ->> 'bucket', g.value ->> 'position') AS positions FROM json_each(:held) AS g
), entries AS MATERIALIZED (
    SELECT b.first_position + n.key AS position, n.value AS entry_no
    FROM aureus.ledger_batches AS b
    CROSS JOIN json_each(b.entry_nos) AS n
    WHERE b.tenant_id = :tenant_id
      AND b.first_position >= coalesce((
        SELECT k.first_position FROM aureus.ledger_batches AS k
        WHERE k.tenant_id = :tenant_id AND k.first_position <= :after_position + 1
        ORDER BY k.first_position DESC
        LIMIT 1), 0)
      AND b.first_position <= :after_position + :scan
      AND b.first_position + n.key > :after_position AND b.first_position + n.key <= :after_position + :scan
), found AS MATERIALIZED (
    SELECT x.position, e.entry_no, e.event_id, e.stream, e.version, e.type, e.category, e.actor, e.occurred_at,
        e.correlation_id, e.action, e.resource, e.outcome, e.leaf_hash
    FROM entries AS x
    LEFT JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.entry_no = x.entry_no
)
SELECT head.size, EXISTS (
        SELECT 1 FROM aureus.events AS q WHERE q.tenant_id = :tenant_id AND q.entry_no > head.last_entry_no
    ) AS has_unsealed, w.scanned_count, w.last_position, w.missing_position,
    m.position, m.event_id, m.stream, m.version, m.entry_no, m.type, m.actor, m.occurred_at, m.correlation_id,
    m.action, m.resource, m.outcome, m.leaf_hash, m.payload, m.metadata, m.bytes_to_here
FROM head
CROSS JOIN (
    SELECT count(*) AS scanned_count, max(s.position) AS last_position,
        min(s.position) FILTER (WHERE s.entry_no IS NULL) AS missing_position
    FROM found AS s
) AS w
LEFT JOIN (
    SELECT z.*, p.payload, p.metadata
    FROM (
        SELECT c.*, sum(c.bytes) OVER (ORDER BY c.position ROWS UNBOUNDED PRECEDING) AS bytes_to_here
        FROM (
            SELECT f.*, coalesce((
                    SELECT octet_length(o.payload) + coalesce(octet_length(o.metadata), 0)
                    FROM aureus.event_payloads AS o WHERE o.tenant_id = :tenant_id AND o.entry_no = f.entry_no), 0
                ) AS bytes
            FROM found AS f
            WHERE f.entry_no IS NOT NULL
              AND (:stream IS NULL OR f.stream = :stream)
              AND (:category IS NULL OR f.category = :category)
              AND (:types IS NULL OR f.type IN (SELECT t.value FROM json_each(:types) AS t))
              AND CASE WHEN :bucket_count = 1 THEN 1 ELSE
                f.position > (SELECT y.positions FROM held AS y)
                  ->> CAST(stream_hash(f.stream) % :bucket_count AS TEXT) END
            ORDER BY f.position
            LIMIT :limit
        ) AS c
    ) AS z
    LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = z.entry_no
    WHERE z.bytes_to_here - z.bytes < :bytes_max
) AS m ON true
ORDER BY m.position;

-- name: advance_buckets :many
-- key: name
-- Move the positions of buckets forward, each only while its epoch is the one that is held. With :is_strict a bucket
-- that is there already does not move. The rows are the buckets that did.
UPDATE aureus.subscription_buckets AS b
SET position = g.value ->> 'position', updated_at = :now
FROM json_each(:held) AS g
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = g.value ->> 'bucket' AND b.epoch = g.value ->> 'epoch'
  AND (b.position < g.value ->> 'position' OR b.position = g.value ->> 'position' AND NOT :is_strict)
RETURNING bucket;

-- name: release_buckets :many
-- key: name
-- Move the positions of buckets forward, and give them back in order, each only while its epoch is the one that is
-- held.
UPDATE aureus.subscription_buckets AS b
SET position = max(b.position, g.value ->> 'position'), takeover_count = 0, updated_at = :now
FROM json_each(:held) AS g
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = g.value ->> 'bucket' AND b.epoch = g.value ->> 'epoch'
RETURNING bucket;

-- name: lock_bucket :one
-- key: name
-- See whether a bucket is still held; nobody else writes meanwhile. No row: somebody else has taken it over.
SELECT b.bucket FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = :bucket AND b.epoch = :epoch;

-- name: lock_group :one
-- key: name
-- See whether there is a group; nobody else writes meanwhile. No row: there is no such group.
SELECT s.name FROM aureus.subscriptions AS s
WHERE s.tenant_id = :tenant_id AND s.name = :name AND s.is_group;

-- name: renew_member :one
-- key: name
-- Make or renew a membership, by the clock of the database.
INSERT INTO aureus.subscription_members AS m (tenant_id, name, member_id, joined_at, expires_at, joining_id)
VALUES (:tenant_id, :name, :member_id, CAST(unixepoch('subsec') * 1000000 AS INTEGER),
    CAST((unixepoch('subsec') + :lease_seconds) * 1000000 AS INTEGER), :joining_id)
ON CONFLICT (tenant_id, name, member_id) DO UPDATE SET expires_at = excluded.expires_at,
    joining_id = excluded.joining_id
RETURNING member_id, joined_at, expires_at, joining_id;

-- name: extend_member :one
-- key: name
-- Renew a membership between two lookings at the shares. No row: it has ended, or another process has its name.
UPDATE aureus.subscription_members
SET expires_at = CAST((unixepoch('subsec') + :lease_seconds) * 1000000 AS INTEGER)
WHERE tenant_id = :tenant_id AND name = :name AND member_id = :member_id AND joining_id = :joining_id
RETURNING member_id;

-- name: drop_lapsed_members :many
-- key: name
-- End the memberships of those who did not renew them in time.
DELETE FROM aureus.subscription_members
WHERE tenant_id = :tenant_id AND name = :name AND expires_at <= CAST(unixepoch('subsec') * 1000000 AS INTEGER)
  AND member_id <> :member_id
RETURNING member_id;

-- name: take_buckets :many
-- key: name
-- Take buckets over; whoever had them moves nothing from now on.
UPDATE aureus.subscription_buckets
SET member_id = :member_id, epoch = epoch + 1, takeover_count = takeover_count + 1
WHERE tenant_id = :tenant_id AND name = :name AND bucket IN (SELECT g.value FROM json_each(:buckets) AS g)
RETURNING <<bucket>>;

-- name: give_buckets :many
-- key: name
-- Give buckets back to be taken by others.
UPDATE aureus.subscription_buckets SET member_id = NULL, takeover_count = 0
WHERE tenant_id = :tenant_id AND name = :name AND member_id = :member_id
  AND bucket IN (SELECT g.value FROM json_each(:buckets) AS g)
RETURNING bucket;
