-- Flushes: one identifier for each flush. Whoever inserts it first decides: the flush itself, or the one who asks after
-- a lost reply whether it happened. The insert waits for a commit that is still running.

-- name: save_flush :exec
-- Leave the identifier of this flush with its writes.
INSERT INTO aureus.flushes (flush_id) VALUES (:flush_id);

-- name: settle_flush :one
-- Decide a flush in doubt. A row: it never happened and never will. No row: it happened.
INSERT INTO aureus.flushes (flush_id) VALUES (:flush_id)
ON CONFLICT (flush_id) DO NOTHING
RETURNING flush_id;

-- name: prune_flushes :exec
-- Forget flushes that nobody can be in doubt about any more, oldest first. Their identifiers rise with time, so that a
-- look at the lowest of them is enough: nothing else is read, however many there are.
DELETE FROM aureus.flushes
WHERE flush_id <= (
    SELECT max(f.flush_id) FROM (
        SELECT flush_id, flushed_at FROM aureus.flushes ORDER BY flush_id LIMIT 20000) AS f
    WHERE f.flushed_at < now() - interval '1 day')
  AND flushed_at < now() - interval '1 day';
