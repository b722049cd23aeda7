-- why: tries of an event that outlive the process which it kills, and members that nobody is mistaken for
-- breaking: no
--
-- takeover_count: how often a bucket was taken since somebody who held it ended in order; above 1 the one before may
-- have been killed by what it handled. Then, and after a failure, the event that is tried stands in tried_position,
-- with how often; it is past when the position has come to it. joining_id: which consumer has a member's name.

ALTER TABLE aureus.subscription_buckets ADD COLUMN takeover_count integer NOT NULL DEFAULT 0;
ALTER TABLE aureus.subscription_buckets ADD COLUMN tried_position bigint;
ALTER TABLE aureus.subscription_buckets ADD COLUMN tried_count integer;
ALTER TABLE aureus.subscription_buckets ADD COLUMN tried_error text;
ALTER TABLE aureus.subscription_buckets ADD COLUMN first_tried_at timestamptz;
ALTER TABLE aureus.subscription_members ADD COLUMN joining_id text COLLATE "C" NOT NULL DEFAULT '';
