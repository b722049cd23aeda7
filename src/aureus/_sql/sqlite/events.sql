-- Events on SQLite: one writer at a time, so that the order of inserting is the order of committing. Entries arrive as
-- one JSON array (aureus.ledger.recorder): hashes in hexadecimal, payload and metadata as the text of their bytes. Whom
-- they concern comes beside them, as pairs of event and subject, so that an append about nobody does not look for it.
-- CROSS JOIN is SQLite's word for an order of loops, and json_each walks its array from the first item: so events are
-- numbered in their order, and each is looked up by its own key. Left to itself the planner takes a list for long, and
-- begins with all events of the tenant; asked for an order, it opens a sorter, which costs more than the inserts.

-- name: append_event :many
-- Append one fact, as append_events does many: most writes state one, and its values travel as they are.
INSERT INTO aureus.streams (tenant_id, stream, category, version, created_at, updated_at)
VALUES (:tenant_id, :stream, :category, 1, :now, :now)
ON CONFLICT (tenant_id, stream) DO UPDATE SET version = version + 1, updated_at = excluded.updated_at
RETURNING version;
INSERT INTO aureus.events (tenant_id, append_no, event_id, stream, version, type, actor, occurred_at, correlation_id,
    action, resource, outcome, commitment, leaf_hash)
VALUES (:tenant_id, (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'events'), :event_id, :stream,
    (SELECT s.version FROM aureus.streams AS s WHERE s.tenant_id = :tenant_id AND s.stream = :stream), :type, :actor,
    :now, :correlation_id, :action, :resource, :outcome, :commitment, :leaf_hash);
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
VALUES (:tenant_id,
    (SELECT e.entry_no FROM aureus.events AS e WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id),
    :salt, :payload, :metadata);
INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
SELECT :tenant_id, g.value ->> 1, e.entry_no
FROM json_each(:subjects) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = :event_id;
SELECT e.version, e.entry_no, NULL AS occurred_at, NULL AS leaf_hash
FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id;

-- name: append_events :many
-- Append facts to one stream, in their order, behind whatever is there.
INSERT INTO aureus.streams (tenant_id, stream, category, version, created_at, updated_at)
VALUES (:tenant_id, :stream, :category, :count, :now, :now)
ON CONFLICT (tenant_id, stream)
DO UPDATE SET version = version + excluded.version, updated_at = excluded.updated_at
RETURNING version;
INSERT INTO aureus.events (tenant_id, append_no, event_id, stream, version, type, actor, occurred_at, correlation_id,
    action, resource, outcome, commitment, leaf_hash)
SELECT :tenant_id, (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'events'),
    f.value ->> 'event_id', :stream, s.version - :count + f.key + 1, f.value ->> 'type', f.value ->> 'actor', :now,
    f.value ->> 'correlation_id', f.value ->> 'action', f.value ->> 'resource', f.value ->> 'outcome',
    unhex(f.value ->> 'commitment'), unhex(f.value ->> 'leaf_hash')
FROM aureus.streams AS s
CROSS JOIN jsonb_each(:entries) AS f
WHERE s.tenant_id = :tenant_id AND s.stream = :stream;
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
SELECT :tenant_id, e.entry_no, unhex(f.value ->> 'salt'), CAST(f.value ->> 'payload' AS BLOB),
    CAST(f.value ->> 'metadata' AS BLOB)
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';
INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
SELECT :tenant_id, g.value ->> 1, e.entry_no
FROM json_each(:subjects) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = g.value ->> 0;
SELECT e.version, e.entry_no, NULL AS occurred_at, NULL AS leaf_hash
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';

-- name: append_to_streams :many
-- Append facts to many streams at once, each behind whatever is there; else as append_events. ``behind`` counts the
-- facts of the same stream that follow one here, ``first`` those of the streams before it.
INSERT INTO aureus.streams (tenant_id, stream, category, version, created_at, updated_at)
SELECT :tenant_id, g.value ->> 0, g.value ->> 1, g.value ->> 2, :now, :now
FROM json_each(:streams) AS g
WHERE true
ON CONFLICT (tenant_id, stream)
DO UPDATE SET version = version + excluded.version, updated_at = excluded.updated_at
RETURNING version;
INSERT INTO aureus.events (tenant_id, append_no, event_id, stream, version, type, actor, occurred_at, correlation_id,
    action, resource, outcome, commitment, leaf_hash)
SELECT :tenant_id,
    (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'events') + (f.value ->> 'first'),
    f.value ->> 'event_id', s.stream, s.version - (f.value ->> 'behind'), f.value ->> 'type', f.value ->> 'actor', :now,
    f.value ->> 'correlation_id', f.value ->> 'action', f.value ->> 'resource', f.value ->> 'outcome',
    unhex(f.value ->> 'commitment'), unhex(f.value ->> 'leaf_hash')
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.streams AS s ON s.tenant_id = :tenant_id AND s.stream = f.value ->> 'stream';
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
SELECT :tenant_id, e.entry_no, unhex(f.value ->> 'salt'), CAST(f.value ->> 'payload' AS BLOB),
    CAST(f.value ->> 'metadata' AS BLOB)
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';
INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
SELECT :tenant_id, g.value ->> 1, e.entry_no
FROM json_each(:subjects) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = g.value ->> 0;
SELECT e.version, e.entry_no, NULL AS occurred_at, NULL AS leaf_hash
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';

-- name: append_expecting :many
-- locks: stream
-- records
-- Append a caller's events to one stream, if it has the version that is expected: a number, -1 for any, -2 for at least
-- one event. The rows are those of the events in their order, also when just these were appended before; no row: the
-- stream has another version, or one of the identifiers is taken by something else. The guard only looks: nobody else
-- writes meanwhile.
SELECT 1
WHERE NOT EXISTS (
        SELECT 1 FROM jsonb_each(:entries) AS f
        CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id')
  AND (:expected = -1 OR coalesce((
        SELECT :expected = s.version OR :expected = -2 FROM aureus.streams AS s
        WHERE s.tenant_id = :tenant_id AND s.stream = :stream), :expected = 0));
INSERT INTO aureus.streams (tenant_id, stream, category, version, created_at, updated_at)
VALUES (:tenant_id, :stream, :category, :count, :now, :now)
ON CONFLICT (tenant_id, stream)
DO UPDATE SET version = version + excluded.version, updated_at = excluded.updated_at;
INSERT INTO aureus.events (tenant_id, append_no, event_id, stream, version, type, actor, occurred_at, correlation_id,
    action, resource, outcome, commitment, leaf_hash)
SELECT :tenant_id, (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'events'),
    f.value ->> 'event_id', :stream, s.version - :count + f.key + 1, f.value ->> 'type', f.value ->> 'actor', :now,
    f.value ->> 'correlation_id', f.value ->> 'action', f.value ->> 'resource', f.value ->> 'outcome',
    unhex(f.value ->> 'commitment'), unhex(f.value ->> 'leaf_hash')
FROM aureus.streams AS s
CROSS JOIN jsonb_each(:entries) AS f
WHERE s.tenant_id = :tenant_id AND s.stream = :stream;
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
SELECT :tenant_id, e.entry_no, unhex(f.value ->> 'salt'), CAST(f.value ->> 'payload' AS BLOB),
    CAST(f.value ->> 'metadata' AS BLOB)
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';
INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
SELECT :tenant_id, g.value ->> 1, e.entry_no
FROM json_each(:subjects) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = g.value ->> 0;
SELECT e.version, e.entry_no, e.occurred_at, e.leaf_hash
FROM jsonb_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id'
WHERE CASE WHEN e.leaf_hash = unhex(f.value ->> 'leaf_hash') THEN 1 ELSE NOT EXISTS (
    SELECT 1 FROM jsonb_each(:entries) AS g
    WHERE NOT EXISTS (
        SELECT 1 FROM aureus.events AS k
        CROSS JOIN aureus.event_payloads AS p ON p.tenant_id = k.tenant_id AND p.entry_no = k.entry_no
        WHERE k.tenant_id = :tenant_id AND k.event_id = g.value ->> 'event_id' AND k.stream = :stream
          AND k.type = g.value ->> 'type' AND k.actor = g.value ->> 'actor'
          AND k.correlation_id IS g.value ->> 'correlation_id' AND k.action IS g.value ->> 'action'
          AND k.resource IS g.value ->> 'resource' AND k.outcome IS g.value ->> 'outcome'
          AND p.payload = CAST(g.value ->> 'payload' AS BLOB)
          AND p.metadata IS CAST(g.value ->> 'metadata' AS BLOB))) END;

-- name: find_taken_id :one
-- Where one of these identifiers is in use.
SELECT e.event_id, e.stream, e.version
FROM json_each(:event_ids) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = g.value
LIMIT 1;

-- name: scan_events :many
-- A bounded look through events in the order of their entries: at most :scan of those that one index finds (:path says
-- by which and from which end), and of these at most :limit that every filter lets through. The first two columns
-- say how many were looked at and where the last one stands; they come also when nothing was found.
-- Words are looked for in payloads that are not encrypted.
WITH scanned AS MATERIALIZED (
    SELECT * FROM (SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'oldest of all' AND e.tenant_id = :tenant_id AND e.entry_no > :cursor
    ORDER BY e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'newest of all' AND e.tenant_id = :tenant_id AND e.entry_no < :cursor
    ORDER BY e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'oldest of stream' AND e.tenant_id = :tenant_id AND e.stream = :stream
      AND e.version > coalesce((SELECT c.version FROM aureus.events AS c
        WHERE c.tenant_id = :tenant_id AND c.entry_no = :cursor AND c.stream = :stream), 0)
      AND e.entry_no > :cursor
    ORDER BY e.version
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'newest of stream' AND e.tenant_id = :tenant_id AND e.stream = :stream
      AND e.version < coalesce((SELECT c.version FROM aureus.events AS c
        WHERE c.tenant_id = :tenant_id AND c.entry_no = :cursor AND c.stream = :stream), 9223372036854775807)
      AND e.entry_no < :cursor
    ORDER BY e.version DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'oldest of type' AND e.tenant_id = :tenant_id AND e.type = :type AND e.entry_no > :cursor
    ORDER BY e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'newest of type' AND e.tenant_id = :tenant_id AND e.type = :type AND e.entry_no < :cursor
    ORDER BY e.entry_no DESC
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'oldest of category' AND e.tenant_id = :tenant_id AND e.category = :category
      AND e.entry_no > :cursor
    ORDER BY e.entry_no
    LIMIT :scan)
    UNION ALL
    SELECT * FROM (SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
    WHERE :path = 'newest of category' AND e.tenant_id = :tenant_id AND e.category = :category
      AND e.entry_no < :cursor
    ORDER BY e.entry_no DESC
    LIMIT :scan)
)
SELECT w.scanned_count, w.reached_no, m.event_id, m.stream, m.version, m.entry_no, m.type, m.actor, m.occurred_at,
    m.correlation_id, m.action, m.resource, m.outcome, m.leaf_hash, m.payload, m.metadata
FROM (SELECT count(*) AS scanned_count, abs(max(s.rank)) AS reached_no FROM scanned AS s) AS w
LEFT JOIN (
    SELECT s.*, p.payload, p.metadata
    FROM scanned AS s
    LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = s.entry_no
    WHERE (:stream IS NULL OR s.stream = :stream)
      AND (:type IS NULL OR s.type = :type)
      AND (:category IS NULL OR s.category = :category)
      AND (:actor IS NULL OR s.actor = :actor)
      AND (:correlation_id IS NULL OR s.correlation_id = :correlation_id)
      AND (:since IS NULL OR s.occurred_at >= :since)
      AND (:until IS NULL OR s.occurred_at < :until)
      AND (:words IS NULL OR substr(p.payload, 1, 1) = x'7b' AND NOT EXISTS (
            SELECT 1 FROM json_each(:words) AS w WHERE instr(lower(CAST(p.payload AS TEXT)), w.value) = 0))
    ORDER BY s.rank
    LIMIT :limit
) AS m ON true
ORDER BY m.rank;

-- name: count_events :one
-- How many events there are with these filters, found by one index (:path says which) and counted one by one.
SELECT count(*) FROM (
    SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE :path = 'time' AND e.tenant_id = :tenant_id AND e.occurred_at >= :since
    UNION ALL
    SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE :path = 'stream' AND e.tenant_id = :tenant_id AND e.stream = :stream
    UNION ALL
    SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE :path = 'type' AND e.tenant_id = :tenant_id AND e.type = :type
    UNION ALL
    SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE :path = 'category' AND e.tenant_id = :tenant_id AND e.category = :category
) AS s
WHERE (:stream IS NULL OR s.stream = :stream)
  AND (:type IS NULL OR s.type = :type)
  AND (:category IS NULL OR s.category = :category)
  AND (:since IS NULL OR s.occurred_at >= :since)
  AND (:until IS NULL OR s.occurred_at < :until);

-- name: list_category_totals :many
-- How many streams and events each category has; reads the row of every stream.
SELECT s.category, count(*), sum(s.version)
FROM aureus.streams AS s
WHERE s.tenant_id = :tenant_id
GROUP BY s.category
ORDER BY s.category;

-- name: list_new_entries :many
-- What was committed since a look that had seen everything up to :settled_no, and :seen beyond it: the numbers of all
-- new entries, at most :limit, with those events that the filters let through. The first two columns come also when
-- there is nothing new; both are 0, because nothing else runs here while somebody looks.
SELECT 0, 0, f.entry_no, m.event_id, m.stream, m.version, m.entry_no, m.type, m.actor, m.occurred_at,
    m.correlation_id, m.action, m.resource, m.outcome, m.leaf_hash, p.payload, p.metadata
FROM (SELECT 1) AS one
LEFT JOIN (
    SELECT e.entry_no FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id AND e.entry_no > :settled_no
      AND e.entry_no NOT IN (SELECT g.value FROM json_each(:seen) AS g)
    ORDER BY e.entry_no
    LIMIT :limit
) AS f ON true
LEFT JOIN aureus.events AS m ON m.tenant_id = :tenant_id AND m.entry_no = f.entry_no
    AND (:stream IS NULL OR m.stream = :stream) AND (:type IS NULL OR m.type = :type)
    AND (:category IS NULL OR m.category = :category)
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = :tenant_id AND p.entry_no = m.entry_no
ORDER BY f.entry_no;

-- name: list_newest_entries :many
-- The numbers of the newest entries, newest first, with the first two columns of list_new_entries.
SELECT 0, 0, f.entry_no
FROM (SELECT 1) AS one
LEFT JOIN (
    SELECT e.entry_no FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id
    ORDER BY e.entry_no DESC
    LIMIT :limit
) AS f ON true;

-- name: find_last_until :one
-- The highest number among the entries before a time; walks backwards over what is newer. The sign keeps
-- SQLite from sorting all that is older instead.
SELECT e.entry_no FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id AND +e.occurred_at < :until
ORDER BY e.entry_no DESC
LIMIT 1;

-- name: read_stream :many
-- A range of a stream, oldest first.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource,
    e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream = :stream AND e.version > :after_version AND e.version <= :to_version
ORDER BY e.version
LIMIT :limit;

-- name: read_stream_backwards :many
-- A range of a stream, newest first.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource,
    e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.stream = :stream AND e.version > :after_version AND e.version <= :to_version
ORDER BY e.version DESC
LIMIT :limit;
