-- Subscriptions: who reads the sealed events, and how far each has come. A bucket's row is the only thing that a reader
-- writes while nothing fails; a group locks its row before its members and buckets, so that one shares out at a time.

-- part: subscription
-- A subscription, how far it has come, and how many entries are sealed.
SELECT s.name, s.stream, s.category, s.types, s.is_group, s.bucket_count, s.created_at,
    (SELECT min(b.position) FROM aureus.subscription_buckets AS b
        WHERE b.tenant_id = :tenant_id AND b.name = s.name) AS position,
    (SELECT max(b.updated_at) FROM aureus.subscription_buckets AS b
        WHERE b.tenant_id = :tenant_id AND b.name = s.name) AS updated_at,
    (SELECT count(*) FROM aureus.subscription_parked AS p
        WHERE p.tenant_id = :tenant_id AND p.name = s.name) AS parked_count,
    (SELECT count(*) FROM aureus.subscription_members AS m
        WHERE m.tenant_id = :tenant_id AND m.name = s.name) AS member_count,
    coalesce((SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id), 0) AS size
FROM aureus.subscriptions AS s

-- part: bucket
-- A bucket as its holder knows it: how far it has come, whether the one before ended in order, and what is being tried.
bucket, epoch, position, takeover_count, tried_position, tried_count, tried_error, first_tried_at

-- part: parked
-- A parked stream.
SELECT p.stream, p.bucket, p.position, p.attempt_count, p.error, p.is_replaying, p.first_failed_at, p.last_failed_at,
    p.operation_id
FROM aureus.subscription_parked AS p

-- name: get_subscription :one
-- A subscription, how far it has come, and how many entries are sealed.
<<subscription>>
WHERE s.tenant_id = :tenant_id AND s.name = :name;

-- name: list_subscriptions :many
-- Subscriptions in the order of their names.
<<subscription>>
WHERE s.tenant_id = :tenant_id AND s.name > :after_name
ORDER BY s.name
LIMIT :limit;

-- name: get_size :one
-- How many entries of the tenant are sealed; no row before the first.
SELECT h.size FROM aureus.ledger_heads AS h WHERE h.tenant_id = :tenant_id;

-- name: delete_subscription :one
-- key: name
-- records
-- Forget a subscription with all that belongs to it. No row: there is none.
DELETE FROM aureus.subscriptions
WHERE tenant_id = :tenant_id AND name = :name
RETURNING name;

-- name: claim_bucket :one
-- key: name
-- Take over the one bucket of a subscription; whoever had it moves nothing from now on. No row: there is no such
-- subscription.
UPDATE aureus.subscription_buckets SET epoch = epoch + 1, takeover_count = takeover_count + 1
WHERE tenant_id = :tenant_id AND name = :name AND bucket = 0
RETURNING <<bucket>>;

-- name: note_try :one
-- key: name
-- Note how often the event at a position was tried, while the epoch is the one that is held. No row: somebody else has
-- taken the bucket over.
UPDATE aureus.subscription_buckets
SET tried_position = :position, tried_count = :count, tried_error = :error, first_tried_at = :first_tried_at
WHERE tenant_id = :tenant_id AND name = :name AND bucket = :bucket AND epoch = :epoch
RETURNING bucket;

-- name: get_position :one
-- How far a bucket has come while the epoch is the one that is held. No row: somebody else has taken it over.
SELECT b.position FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name AND b.bucket = :bucket AND b.epoch = :epoch;

-- name: list_parked :many
-- The parked streams of a subscription, in the order of their names.
<<parked>>
WHERE p.tenant_id = :tenant_id AND p.name = :name AND p.stream > :after_stream
ORDER BY p.stream
LIMIT :limit;

-- name: get_parked :one
-- A parked stream.
<<parked>>
WHERE p.tenant_id = :tenant_id AND p.name = :name AND p.stream = :stream;

-- name: replay_parked :one
-- key: name
-- records
-- Let the consumer try a parked stream again. No row: it is not parked, or is about to be tried already.
UPDATE aureus.subscription_parked SET is_replaying = true
WHERE tenant_id = :tenant_id AND name = :name AND stream = :stream AND NOT is_replaying
RETURNING stream;

-- name: skip_parked :one
-- key: name
-- records
-- Give up the event at which a stream is parked, and let the consumer go on behind it. No row: it is parked elsewhere,
-- or not at all.
UPDATE aureus.subscription_parked SET position = :position + 1, is_replaying = true, operation_id = :operation_id
WHERE tenant_id = :tenant_id AND name = :name AND stream = :stream AND position = :position
RETURNING stream;

-- name: leave_group :one
-- key: name
-- End a membership. Buckets of one who is no member are free. No row: there is none, or another process has its name.
DELETE FROM aureus.subscription_members
WHERE tenant_id = :tenant_id AND name = :name AND member_id = :member_id AND joining_id = :joining_id
RETURNING member_id;

-- name: free_buckets :many
-- key: name
-- Give back in order whatever a member holds.
UPDATE aureus.subscription_buckets SET member_id = NULL, takeover_count = 0
WHERE tenant_id = :tenant_id AND name = :name AND member_id = :member_id
RETURNING bucket;

-- name: list_members :many
-- The members of a group, in the order of their names.
SELECT m.member_id, m.joined_at, m.expires_at, m.joining_id
FROM aureus.subscription_members AS m
WHERE m.tenant_id = :tenant_id AND m.name = :name
ORDER BY m.member_id;

-- name: list_buckets :many
-- The buckets of a group, who holds each of them, and how far it has come.
SELECT b.bucket, b.epoch, b.position, b.takeover_count, b.tried_position, b.tried_count, b.tried_error,
    b.first_tried_at, b.member_id, b.updated_at
FROM aureus.subscription_buckets AS b
WHERE b.tenant_id = :tenant_id AND b.name = :name
ORDER BY b.bucket;

-- name: park_stream :one
-- key: name
-- Keep a stream from being handled from a position on, because its event there could not be.
INSERT INTO aureus.subscription_parked AS p (tenant_id, name, stream, bucket, position, attempt_count, error,
    is_replaying, first_failed_at, last_failed_at)
VALUES (:tenant_id, :name, :stream, :bucket, :position, :attempt_count, :error, false, :first_failed_at, :now)
ON CONFLICT (tenant_id, name, stream) DO UPDATE SET position = excluded.position,
    attempt_count = excluded.attempt_count, error = excluded.error, is_replaying = false,
    last_failed_at = excluded.last_failed_at
RETURNING stream;

-- name: keep_parked :one
-- key: name
-- Note that the event at which a stream is parked failed again. No row: it is parked elsewhere by now, or not at all.
UPDATE aureus.subscription_parked
SET attempt_count = :attempt_count, error = :error, is_replaying = false, last_failed_at = :now
WHERE tenant_id = :tenant_id AND name = :name AND stream = :stream AND position = :position
RETURNING stream;

-- name: move_parked :one
-- key: name
-- Note that an event of a parked stream is handled, and go on behind it. With :is_strict not for a second time. No row:
-- it is parked further on by now, or not at all.
UPDATE aureus.subscription_parked SET position = :position + 1, is_replaying = true
WHERE tenant_id = :tenant_id AND name = :name AND stream = :stream
  AND (position <= :position OR position = :position + 1 AND NOT :is_strict)
RETURNING stream;

-- name: unpark_stream :one
-- key: name
-- Let a stream be handled with the others again.
DELETE FROM aureus.subscription_parked
WHERE tenant_id = :tenant_id AND name = :name AND stream = :stream
RETURNING stream;
