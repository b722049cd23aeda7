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
-- Forget flushes that nobody can be in doubt about any more, oldest first; their identifiers rise with time.
DELETE FROM aureus.flushes WHERE flush_id IN (
    SELECT flush_id FROM aureus.flushes
    WHERE flushed_at < now() - interval '1 day'
    ORDER BY flush_id
    LIMIT 20000
);
