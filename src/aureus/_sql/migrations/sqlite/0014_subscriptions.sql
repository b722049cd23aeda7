-- why: readers that are told every sealed event once, in order, and remember how far they have come
-- breaking: no
--
-- A subscription has one bucket, a consumer group a fixed number of them; each bucket has a position of its own: the
-- last one that is handled, -1 before the first. epoch rises with whoever takes the bucket, and is asked for by each
-- move of its position, so that one who was taken over moves nothing. A member of a group lives until expires_at, by
-- the clock of the database; the buckets of one who is gone are free.
--
-- subscription_parked holds streams of which an event could not be handled: it and what follows it in that stream wait.

CREATE TABLE aureus.subscriptions (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    stream TEXT,
    category TEXT,
    types TEXT,
    is_group INTEGER NOT NULL CHECK (is_group IN (0, 1)),
    bucket_count INTEGER NOT NULL CHECK (bucket_count > 0),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name),
    CHECK (is_group OR bucket_count = 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.subscription_members (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    name TEXT NOT NULL,
    member_id TEXT NOT NULL CHECK (member_id <> ''),
    joined_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name, member_id),
    FOREIGN KEY (tenant_id, name) REFERENCES aureus.subscriptions (tenant_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.subscription_buckets (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    name TEXT NOT NULL,
    bucket INTEGER NOT NULL CHECK (bucket >= 0),
    position INTEGER NOT NULL CHECK (position >= -1),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    member_id TEXT,
    operation_id TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name, bucket),
    FOREIGN KEY (tenant_id, name) REFERENCES aureus.subscriptions (tenant_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.subscription_parked (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    name TEXT NOT NULL,
    stream TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    attempt_count INTEGER NOT NULL CHECK (attempt_count > 0),
    error TEXT NOT NULL,
    is_replaying INTEGER NOT NULL CHECK (is_replaying IN (0, 1)),
    first_failed_at INTEGER NOT NULL,
    last_failed_at INTEGER NOT NULL,
    operation_id TEXT,
    PRIMARY KEY (tenant_id, name, stream),
    FOREIGN KEY (tenant_id, name, bucket)
        REFERENCES aureus.subscription_buckets (tenant_id, name, bucket) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
