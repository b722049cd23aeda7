-- Events on PostgreSQL: the stream's row is locked first, and only then are entry numbers taken, so that versions and
-- entry numbers rise together. Entries arrive as one JSON array (aureus.ledger.recorder): hashes in hexadecimal,
-- payload and metadata as the text of their bytes.

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
)
SELECT version, entry_no, NULL, NULL FROM numbered ORDER BY version;

-- name: append_expecting :many
-- key: stream
-- Append a caller's events to one stream, if it has the version that is expected: a number, -1 for any, -2 for at least
-- one event. The rows are those of the events in their order, also when just these were appended before; no row: the
-- stream has another version, or one of the identifiers is taken by something else. Identifiers are looked up one by
-- one by events_tenant_id_event_id_key: the range and its order leave the planner no other index, while of two that
-- begin with tenant_id it takes any as long as it has not seen the table grow, and then reads all of it.
WITH given AS MATERIALIZED (
    SELECT f.* FROM ROWS FROM (json_to_recordset(CAST(:entries AS json)) AS (
        event_id text, type text, actor text, correlation_id text, commitment text, leaf_hash text, salt text,
        payload text, metadata text))
        WITH ORDINALITY AS f (event_id, type, actor, correlation_id, commitment, leaf_hash, salt, payload, metadata,
            ordinal)
), known AS MATERIALIZED (
    SELECT g.ordinal, e.version, e.entry_no, e.occurred_at, e.leaf_hash,
        e.stream = :stream AND e.type = g.type AND e.actor = g.actor
        AND e.correlation_id IS NOT DISTINCT FROM g.correlation_id AND e.payload = convert_to(g.payload, 'UTF8')
        AND e.metadata IS NOT DISTINCT FROM convert_to(g.metadata, 'UTF8') AS is_same
    FROM given AS g CROSS JOIN LATERAL (
        SELECT e.version, e.entry_no, e.occurred_at, e.leaf_hash, e.stream, e.type, e.actor, e.correlation_id,
            p.payload, p.metadata
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
        correlation_id, commitment, leaf_hash)
    SELECT :tenant_id, n.entry_no, (SELECT min(entry_no) FROM numbered), n.event_id, :stream, n.version, n.type,
        n.actor, CAST(:now AS timestamptz), n.correlation_id, decode(n.commitment, 'hex'),
        decode(n.leaf_hash, 'hex')
    FROM numbered AS n
), payloads AS (
    INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
    SELECT :tenant_id, n.entry_no, decode(n.salt, 'hex'), convert_to(n.payload, 'UTF8'),
        convert_to(n.metadata, 'UTF8')
    FROM numbered AS n
)
SELECT r.version, r.entry_no, r.occurred_at, r.leaf_hash
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
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :event_id AND :event_id
ORDER BY e.event_id
LIMIT 1;

-- name: find_taken_id :one
-- Where one of these identifiers is in use.
SELECT e.event_id, e.stream, e.version
FROM unnest(CAST(:event_ids AS text[])) WITH ORDINALITY AS g (event_id, ordinal)
JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = g.event_id
ORDER BY g.ordinal
LIMIT 1;
