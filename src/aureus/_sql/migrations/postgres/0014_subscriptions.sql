-- why: readers that are told every sealed event once, in order, and remember how far they have come
-- breaking: no
--
-- A subscription has one bucket, a consumer group a fixed number of them; each bucket has a position of its own: the
-- last one that is handled, -1 before the first. epoch rises with whoever takes the bucket, and is asked for by each
-- move of its position, so that one who was taken over moves nothing. A member of a group lives until expires_at, by
-- the clock of the database; the buckets of one who is gone are free.
--
-- subscription_parked holds streams of which an event could not be handled: it and what follows it in that stream wait.
--
-- Lock order: a subscription before its members, those before its buckets, those before its parked streams.

CREATE TABLE aureus.subscriptions (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    name text COLLATE "C" NOT NULL CHECK (name <> ''),
    stream text COLLATE "C",
    category text COLLATE "C",
    types json,
    is_group boolean NOT NULL,
    bucket_count integer NOT NULL CHECK (bucket_count > 0),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name),
    CHECK (is_group OR bucket_count = 1)
);

CREATE TABLE aureus.subscription_members (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    name text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL CHECK (member_id <> ''),
    joined_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name, member_id),
    FOREIGN KEY (tenant_id, name) REFERENCES aureus.subscriptions (tenant_id, name) ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE aureus.subscription_buckets (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    name text COLLATE "C" NOT NULL,
    bucket integer NOT NULL CHECK (bucket >= 0),
    position bigint NOT NULL CHECK (position >= -1),
    epoch bigint NOT NULL CHECK (epoch >= 0),
    member_id text COLLATE "C",
    operation_id text COLLATE "C",
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name, bucket),
    FOREIGN KEY (tenant_id, name) REFERENCES aureus.subscriptions (tenant_id, name) ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE aureus.subscription_parked (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    name text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    bucket integer NOT NULL,
    position bigint NOT NULL CHECK (position >= 0),
    attempt_count integer NOT NULL CHECK (attempt_count > 0),
    error text NOT NULL,
    is_replaying boolean NOT NULL,
    first_failed_at timestamptz NOT NULL,
    last_failed_at timestamptz NOT NULL,
    operation_id text COLLATE "C",
    PRIMARY KEY (tenant_id, name, stream),
    FOREIGN KEY (tenant_id, name, bucket)
        REFERENCES aureus.subscription_buckets (tenant_id, name, bucket) ON DELETE CASCADE
);

ALTER TABLE aureus.subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.subscriptions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.subscriptions
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.subscription_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.subscription_members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.subscription_members
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.subscription_buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.subscription_buckets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.subscription_buckets
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.subscription_parked ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.subscription_parked FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.subscription_parked
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
