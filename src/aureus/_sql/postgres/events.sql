-- Events on PostgreSQL: the stream's row is locked first, and only then are entry numbers taken, so that versions and
-- entry numbers rise together. Entries arrive as one JSON array (aureus.ledger.recorder): hashes in hexadecimal,
-- payload and metadata as the text of their bytes. Whom they concern comes beside them, as pairs of event and subject.

-- name: append_event :many
-- Append one fact, as append_events does many: most writes state one, and its values travel as they are.
WITH stream AS (
    INSERT INTO aureus.streams AS s (tenant_id, stream, category, version, created_at, updated_at)
    SELECT :tenant_id, :stream, :category, 1, CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    WHERE current_setting('aureus.mark', true) = :mark
    ON CONFLICT (tenant_id, stream) DO UPDATE SET version = s.version + 1, updated_at = excluded.updated_at
    RETURNING s.version
), numbered AS MATERIALIZED (
    SELECT nextval('aureus.entry_no') AS entry_no, stream.version FROM stream
), entries AS (
    INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
        correlation_id, action, resource, outcome, commitment, leaf_hash)
    SELECT :tenant_id, n.entry_no, n.entry_no, :event_id, :stream, n.version, :type, :actor,
        CAST(:now AS timestamptz), :correlation_id, :action, :resource, :outcome, CAST(:commitment AS bytea),
        CAST(:leaf_hash AS bytea)
    FROM numbered AS n
), payloads AS (
    INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
    SELECT :tenant_id, n.entry_no, CAST(:salt AS bytea), CAST(:payload AS bytea), CAST(:metadata AS bytea)
    FROM numbered AS n
), pending AS (
    INSERT INTO aureus.ledger_pending (tenant_id, append_no, entry_no, leaf_hash)
    SELECT :tenant_id, n.entry_no, n.entry_no, CAST(:leaf_hash AS bytea) FROM numbered AS n
), subjects AS (
    INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
    SELECT :tenant_id, g.value ->> 1, n.entry_no
    FROM numbered AS n CROSS JOIN json_array_elements(CAST(:subjects AS json)) AS g
)
SELECT version, entry_no, NULL, NULL FROM numbered;

-- name: append_events :many
-- Append facts to one stream, in their order, behind whatever is there; nothing, unless the write before it in the same
-- flush has set its mark.
WITH stream AS (
    INSERT INTO aureus.streams AS s (tenant_id, stream, category, version, created_at, updated_at)
    SELECT :tenant_id, :stream, :category, CAST(:count AS bigint), CAST(:now AS timestamptz),
        CAST(:now AS timestamptz)
    WHERE current_setting('aureus.mark', true) = :mark
    ON CONFLICT (tenant_id, stream)
    DO UPDATE SET version = s.version + excluded.version, updated_at = excluded.updated_at
    RETURNING s.version - CAST(:count AS bigint) AS base
), numbered AS MATERIALIZED (
    SELECT nextval('aureus.entry_no') AS entry_no, stream.base + f.ordinal AS version, f.*
    FROM stream CROSS JOIN ROWS FROM (json_to_recordset(CAST(:entries AS json)) AS (
        event_id text, type text, actor text, correlation_id text, action text, resource text, outcome text,
        commitment text, leaf_hash text, salt text, payload text, metadata text))
        WITH ORDINALITY AS f (event_id, type, actor, correlation_id, action, resource, outcome, commitment, leaf_hash,
            salt, payload, metadata, ordinal)
), entries AS (
    INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
        correlation_id, action, resource, outcome, commitment, leaf_hash)
    SELECT :tenant_id, n.entry_no, (SELECT min(entry_no) FROM numbered), n.event_id, :stream, n.version, n.type,
        n.actor, CAST(:now AS timestamptz), n.correlation_id, n.action, n.resource, n.outcome,
        decode(n.commitment, 'hex'), decode(n.leaf_hash, 'hex')
    FROM numbered AS n
), payloads AS (
    INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
    SELECT :tenant_id, n.entry_no, decode(n.salt, 'hex'), convert_to(n.payload, 'UTF8'),
        convert_to(n.metadata, 'UTF8')
    FROM numbered AS n
), pending AS (
    INSERT INTO aureus.ledger_pending (tenant_id, append_no, entry_no, leaf_hash)
    SELECT :tenant_id, (SELECT min(entry_no) FROM numbered), n.entry_no, decode(n.leaf_hash, 'hex')
    FROM numbered AS n
), subjects AS (
    INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
    SELECT :tenant_id, g.value ->> 1, n.entry_no
    FROM json_array_elements(CAST(:subjects AS json)) AS g JOIN numbered AS n ON n.event_id = g.value ->> 0
)
SELECT version, entry_no, NULL, NULL FROM numbered ORDER BY version;

-- name: append_to_streams :many
-- Append facts to many streams at once, each behind whatever is there: all their rows are locked in the order of their
-- names before the first number is taken. Otherwise as append_events. ``behind`` counts the facts of the same stream
-- that follow one here.
WITH stream AS MATERIALIZED (
    INSERT INTO aureus.streams AS s (tenant_id, stream, category, version, created_at, updated_at)
    SELECT :tenant_id, g.value ->> 0, g.value ->> 1, CAST(g.value ->> 2 AS bigint), CAST(:now AS timestamptz),
        CAST(:now AS timestamptz)
    FROM json_array_elements(CAST(:streams AS json)) AS g
    WHERE current_setting('aureus.mark', true) = :mark
    ORDER BY CAST(g.value ->> 0 AS text) COLLATE "C"
    ON CONFLICT (tenant_id, stream)
    DO UPDATE SET version = s.version + excluded.version, updated_at = excluded.updated_at
    RETURNING s.stream, s.version
), numbered AS MATERIALIZED (
    SELECT nextval('aureus.entry_no') AS entry_no, o.*
    FROM (
        SELECT stream.version - f.behind AS version, f.*
        FROM ROWS FROM (json_to_recordset(CAST(:entries AS json)) AS (
            stream text, behind bigint, event_id text, type text, actor text, correlation_id text, action text,
            resource text, outcome text, commitment text, leaf_hash text, salt text, payload text, metadata text))
            WITH ORDINALITY AS f (stream, behind, event_id, type, actor, correlation_id, action, resource, outcome,
                commitment, leaf_hash, salt, payload, metadata, ordinal)
        JOIN stream ON stream.stream = f.stream
        ORDER BY f.ordinal) AS o
), placed AS MATERIALIZED (
    SELECT n.*, min(n.entry_no) OVER (PARTITION BY n.stream) AS append_no FROM numbered AS n
), entries AS (
    INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
        correlation_id, action, resource, outcome, commitment, leaf_hash)
    SELECT :tenant_id, n.entry_no, n.append_no, n.event_id, n.stream, n.version, n.type, n.actor,
        CAST(:now AS timestamptz), n.correlation_id, n.action, n.resource, n.outcome, decode(n.commitment, 'hex'),
        decode(n.leaf_hash, 'hex')
    FROM placed AS n
), payloads AS (
    INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
    SELECT :tenant_id, n.entry_no, decode(n.salt, 'hex'), convert_to(n.payload, 'UTF8'),
        convert_to(n.metadata, 'UTF8')
    FROM placed AS n
), pending AS (
    INSERT INTO aureus.ledger_pending (tenant_id, append_no, entry_no, leaf_hash)
    SELECT :tenant_id, n.append_no, n.entry_no, decode(n.leaf_hash, 'hex')
    FROM placed AS n
), subjects AS (
    INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
    SELECT :tenant_id, g.value ->> 1, n.entry_no
    FROM json_array_elements(CAST(:subjects AS json)) AS g JOIN placed AS n ON n.event_id = g.value ->> 0
)
SELECT version, entry_no, NULL, NULL FROM placed ORDER BY ordinal;

-- name: append_expecting :many
-- locks: stream
-- records
-- Append a caller's events to one stream, if it has the version that is expected: a number, -1 for any, -2 for at least
-- one event. The rows are those of the events in their order, also when just these were appended before; no row: the
-- stream has another version, or one of the identifiers is taken by something else. Identifiers are looked up one by
-- one by events_tenant_id_event_id_key: the range and its order leave the planner no other index, while of two that
-- begin with tenant_id it takes any as long as it has not seen the table grow, and then reads all of it.
WITH given AS MATERIALIZED (
    SELECT f.* FROM ROWS FROM (json_to_recordset(CAST(:entries AS json)) AS (
        event_id text, type text, actor text, correlation_id text, action text, resource text, outcome text,
        commitment text, leaf_hash text, salt text, payload text, metadata text))
        WITH ORDINALITY AS f (event_id, type, actor, correlation_id, action, resource, outcome, commitment, leaf_hash,
            salt, payload, metadata, ordinal)
), known AS MATERIALIZED (
    SELECT g.ordinal, e.version, e.entry_no, e.occurred_at, e.leaf_hash,
        e.stream = :stream AND e.type = g.type AND e.actor = g.actor
        AND e.correlation_id IS NOT DISTINCT FROM g.correlation_id AND e.action IS NOT DISTINCT FROM g.action
        AND e.resource IS NOT DISTINCT FROM g.resource AND e.outcome IS NOT DISTINCT FROM g.outcome
        AND e.payload = convert_to(g.payload, 'UTF8')
        AND e.metadata IS NOT DISTINCT FROM convert_to(g.metadata, 'UTF8') AS is_same
    FROM given AS g CROSS JOIN LATERAL (
        SELECT e.version, e.entry_no, e.occurred_at, e.leaf_hash, e.stream, e.type, e.actor, e.correlation_id,
            e.action, e.resource, e.outcome, p.payload, p.metadata
        FROM aureus.events AS e
        LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
        WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN g.event_id AND g.event_id
        ORDER BY e.event_id
        LIMIT 1) AS e
), stream AS (
    INSERT INTO aureus.streams AS s (tenant_id, stream, category, version, created_at, updated_at)
    SELECT :tenant_id, :stream, :category, CAST(:count AS bigint), CAST(:now AS timestamptz),
        CAST(:now AS timestamptz)
    WHERE NOT EXISTS (SELECT FROM known)
      AND (CAST(:expected AS bigint) IN (-1, 0) OR EXISTS (
            SELECT FROM aureus.streams AS t WHERE t.tenant_id = :tenant_id AND t.stream = :stream))
    ON CONFLICT (tenant_id, stream)
    DO UPDATE SET version = s.version + excluded.version, updated_at = excluded.updated_at
    WHERE CAST(:expected AS bigint) IN (-1, -2, s.version)
    RETURNING s.version - CAST(:count AS bigint) AS base
), numbered AS MATERIALIZED (
    SELECT nextval('aureus.entry_no') AS entry_no, stream.base + g.ordinal AS version, g.*
    FROM stream CROSS JOIN given AS g
), entries AS (
    INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
        correlation_id, action, resource, outcome, commitment, leaf_hash)
    SELECT :tenant_id, n.entry_no, (SELECT min(entry_no) FROM numbered), n.event_id, :stream, n.version, n.type,
        n.actor, CAST(:now AS timestamptz), n.correlation_id, n.action, n.resource, n.outcome,
        decode(n.commitment, 'hex'), decode(n.leaf_hash, 'hex')
    FROM numbered AS n
), payloads AS (
    INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
    SELECT :tenant_id, n.entry_no, decode(n.salt, 'hex'), convert_to(n.payload, 'UTF8'),
        convert_to(n.metadata, 'UTF8')
    FROM numbered AS n
), pending AS (
    INSERT INTO aureus.ledger_pending (tenant_id, append_no, entry_no, leaf_hash)
    SELECT :tenant_id, (SELECT min(entry_no) FROM numbered), n.entry_no, decode(n.leaf_hash, 'hex')
    FROM numbered AS n
), subjects AS (
    INSERT INTO aureus.event_subjects (tenant_id, subject, entry_no)
    SELECT :tenant_id, g.value ->> 1, n.entry_no
    FROM json_array_elements(CAST(:subjects AS json)) AS g JOIN numbered AS n ON n.event_id = g.value ->> 0
)
SELECT r.version, r.entry_no, r.occurred_at, r.leaf_hash, set_config('aureus.mark', :mark, true)
FROM (
    SELECT n.ordinal, n.version, n.entry_no, CAST(NULL AS timestamptz) AS occurred_at,
        CAST(NULL AS bytea) AS leaf_hash
    FROM numbered AS n
    UNION ALL
    SELECT k.ordinal, k.version, k.entry_no, k.occurred_at, k.leaf_hash FROM known AS k
    WHERE (SELECT count(*) FROM known AS s WHERE s.is_same) = CAST(:count AS bigint)
) AS r
ORDER BY r.ordinal;

-- name: get_event :one
-- One event by its identifier, by events_tenant_id_event_id_key; as a range for the reason given above.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource, e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :event_id AND :event_id
ORDER BY e.event_id
LIMIT 1;

-- name: find_taken_id :one
-- Where one of these identifiers is in use.
SELECT e.event_id, e.stream, e.version
FROM unnest(CAST(:event_ids AS text[])) WITH ORDINALITY AS g (event_id, ordinal)
CROSS JOIN LATERAL (
    SELECT o.event_id, o.stream, o.version FROM aureus.events AS o
    WHERE o.tenant_id = :tenant_id AND o.event_id BETWEEN g.event_id AND g.event_id
    ORDER BY o.event_id
    LIMIT 1) AS e
ORDER BY g.ordinal
LIMIT 1;

-- name: scan_events :many
-- A bounded look through events in the order of their entries: at most :scan of those that one index finds (:path says
-- by which and from which end), and of these at most :limit that every filter lets through. The first two columns
-- say how many were looked at and where the last one stands; they come also when nothing was found.
-- Words are looked for in payloads that are not encrypted.
-- Each branch is a range of pairs in their order, and the most that :scan may be: whatever the planner believes about
-- the number of rows, walking along one index is then cheaper than gathering and sorting. By equality it would take a
-- common type for a rare one, or the other way round, in a plan that it keeps.
WITH place AS MATERIALIZED (
    SELECT coalesce((
        SELECT c.version FROM aureus.events AS c
        WHERE c.tenant_id = :tenant_id AND c.entry_no BETWEEN :cursor AND :cursor
          AND CASE WHEN c.stream = :stream THEN 1 END IS NOT NULL
        ORDER BY c.entry_no
        LIMIT 1
    ), CASE WHEN CAST(:path AS text) = 'oldest of stream' THEN 0 ELSE 9223372036854775807 END) AS version
), scanned AS MATERIALIZED (
    (SELECT b.* FROM (
        SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of all' AND e.tenant_id = :tenant_id
          AND e.entry_no > :cursor
        ORDER BY e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of all' AND e.tenant_id = :tenant_id
          AND e.entry_no < :cursor
        ORDER BY e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of stream' AND e.tenant_id = :tenant_id
          AND (e.stream, e.version) > (:stream, (SELECT version FROM place))
          AND e.stream <= :stream AND e.entry_no > :cursor
        ORDER BY e.stream, e.version
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of stream' AND e.tenant_id = :tenant_id
          AND (e.stream, e.version) < (:stream, (SELECT version FROM place))
          AND e.stream >= :stream AND e.entry_no < :cursor
        ORDER BY e.stream DESC, e.version DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of type' AND e.tenant_id = :tenant_id
          AND (e.type, e.entry_no) > (:type, :cursor) AND e.type <= :type
        ORDER BY e.type, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of type' AND e.tenant_id = :tenant_id
          AND (e.type, e.entry_no) < (:type, :cursor) AND e.type >= :type
        ORDER BY e.type DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'oldest of category' AND e.tenant_id = :tenant_id
          AND (e.category, e.entry_no) > (:category, :cursor) AND e.category <= :category
        ORDER BY e.category, e.entry_no
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
    UNION ALL
    (SELECT b.* FROM (
        SELECT e.*, -e.entry_no AS rank FROM aureus.events AS e
        WHERE CAST(:path AS text) = 'newest of category' AND e.tenant_id = :tenant_id
          AND (e.category, e.entry_no) < (:category, :cursor) AND e.category >= :category
        ORDER BY e.category DESC, e.entry_no DESC
        LIMIT 2000) AS b
    LIMIT (SELECT CAST(:scan AS bigint)))
)
SELECT w.scanned_count, w.reached_no, m.event_id, m.stream, m.version, m.entry_no, m.type, m.actor, m.occurred_at,
    m.correlation_id, m.action, m.resource, m.outcome, m.leaf_hash, m.payload, m.metadata
FROM (SELECT count(*) AS scanned_count, abs(max(s.rank)) AS reached_no FROM scanned AS s) AS w
LEFT JOIN (
    SELECT s.*, p.payload, p.metadata
    FROM scanned AS s LEFT JOIN LATERAL (
        SELECT p.payload, p.metadata FROM aureus.event_payloads AS p
        WHERE p.tenant_id = :tenant_id AND p.entry_no = s.entry_no
        OFFSET 0) AS p ON true
    WHERE (CAST(:stream AS text) IS NULL OR s.stream = :stream)
      AND (CAST(:type AS text) IS NULL OR s.type = :type)
      AND (CAST(:category AS text) IS NULL OR s.category = :category)
      AND (CAST(:actor AS text) IS NULL OR s.actor = :actor)
      AND (CAST(:correlation_id AS text) IS NULL OR s.correlation_id = :correlation_id)
      AND (CAST(:since AS timestamptz) IS NULL OR s.occurred_at >= CAST(:since AS timestamptz))
      AND (CAST(:until AS timestamptz) IS NULL OR s.occurred_at < CAST(:until AS timestamptz))
      AND (CAST(:words AS json) IS NULL OR substring(p.payload FROM 1 FOR 1) = '\x7b' AND NOT EXISTS (
            SELECT FROM json_array_elements_text(CAST(:words AS json)) AS w (word)
            WHERE strpos(lower(convert_from(p.payload, 'UTF8') COLLATE "C"), w.word) = 0))
    ORDER BY s.rank
    LIMIT :limit
) AS m ON true
ORDER BY m.rank;

-- name: count_events :one
-- How many events there are with these filters, found by one index (:path says which) and counted one by one; the order
-- is that of the index, which a planner without statistics would not take else.
SELECT count(*) FROM (
    SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE CAST(:path AS text) = 'time' AND e.tenant_id = :tenant_id AND e.occurred_at >= CAST(:since AS timestamptz)
    UNION ALL
    (SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE CAST(:path AS text) = 'stream' AND e.tenant_id = :tenant_id AND e.stream BETWEEN :stream AND :stream
    ORDER BY e.stream, e.version)
    UNION ALL
    (SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE CAST(:path AS text) = 'type' AND e.tenant_id = :tenant_id AND e.type BETWEEN :type AND :type
    ORDER BY e.type, e.entry_no)
    UNION ALL
    (SELECT e.stream, e.type, e.category, e.occurred_at FROM aureus.events AS e
    WHERE CAST(:path AS text) = 'category' AND e.tenant_id = :tenant_id
      AND e.category BETWEEN :category AND :category
    ORDER BY e.category, e.entry_no)
) AS s
WHERE (CAST(:stream AS text) IS NULL OR s.stream = :stream)
  AND (CAST(:type AS text) IS NULL OR s.type = :type)
  AND (CAST(:category AS text) IS NULL OR s.category = :category)
  AND (CAST(:since AS timestamptz) IS NULL OR s.occurred_at >= CAST(:since AS timestamptz))
  AND (CAST(:until AS timestamptz) IS NULL OR s.occurred_at < CAST(:until AS timestamptz));

-- name: list_category_totals :many
-- How many streams and events each category has; reads the row of every stream.
SELECT s.category, count(*), CAST(sum(s.version) AS bigint)
FROM aureus.streams AS s
WHERE s.tenant_id = :tenant_id
GROUP BY s.category
ORDER BY s.category;

-- name: list_new_entries :many
-- What became visible since a look that had seen everything up to :settled_no, and :seen beyond it: the numbers of all
-- new entries, at most :limit, with those events that the filters let through. The first two columns are the oldest
-- transaction that is still running and the first that had not begun, as this statement saw them; they come also when
-- there is nothing new. By events_pkey.
WITH fresh AS MATERIALIZED (
    SELECT e.entry_no FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id AND e.entry_no > :settled_no AND e.entry_no <> ALL (CAST(:seen AS bigint[]))
    ORDER BY e.entry_no
    LIMIT :limit
)
SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint),
    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint), f.entry_no,
    m.event_id, m.stream, m.version, m.entry_no, m.type, m.actor, m.occurred_at, m.correlation_id, m.action,
    m.resource, m.outcome, m.leaf_hash, m.payload, m.metadata
FROM (SELECT 1) AS one
LEFT JOIN fresh AS f ON true
LEFT JOIN LATERAL (
    SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
        e.resource, e.outcome, e.leaf_hash, p.payload, p.metadata
    FROM aureus.events AS e
    LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
    WHERE e.tenant_id = :tenant_id AND e.entry_no BETWEEN f.entry_no AND f.entry_no
      AND (CAST(:stream AS text) IS NULL OR e.stream = :stream)
      AND (CAST(:type AS text) IS NULL OR e.type = :type)
      AND (CAST(:category AS text) IS NULL OR e.category = :category)
    ORDER BY e.entry_no
    LIMIT 1) AS m ON true
ORDER BY f.entry_no;

-- name: list_newest_entries :many
-- The numbers of the newest entries, newest first, with the first two columns of list_new_entries. By events_pkey.
SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint),
    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint), f.entry_no
FROM (SELECT 1) AS one
LEFT JOIN (
    SELECT e.entry_no FROM aureus.events AS e
    WHERE e.tenant_id = :tenant_id
    ORDER BY e.entry_no DESC
    LIMIT :limit
) AS f ON true;

-- name: find_last_until :one
-- The highest number among the entries before a time; walks events_pkey backwards over what is newer.
SELECT e.entry_no FROM aureus.events AS e
WHERE e.tenant_id = :tenant_id AND e.occurred_at < :until
ORDER BY e.entry_no DESC
LIMIT 1;

-- name: read_stream :many
-- A range of a stream, oldest first; a range of pairs for the reason given at scan_events.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource, e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND (e.stream, e.version) > (:stream, :after_version)
  AND (e.stream, e.version) <= (:stream, :to_version)
ORDER BY e.stream, e.version
LIMIT :limit;

-- name: read_stream_backwards :many
-- A range of a stream, newest first.
SELECT e.event_id, e.stream, e.version, e.entry_no, e.type, e.actor, e.occurred_at, e.correlation_id, e.action,
    e.resource, e.outcome, e.leaf_hash, p.payload, p.metadata
FROM aureus.events AS e
LEFT JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND (e.stream, e.version) > (:stream, :after_version)
  AND (e.stream, e.version) <= (:stream, :to_version)
ORDER BY e.stream DESC, e.version DESC
LIMIT :limit;
