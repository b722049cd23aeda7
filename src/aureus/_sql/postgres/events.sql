-- Events on PostgreSQL: the stream's row is locked first, and only then are entry numbers taken, so that versions and
-- entry numbers rise together. Nothing is appended unless the write before it in the same flush set its mark.

-- name: append_events :many
-- Append facts to one stream, in their order, behind whatever is there.
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
    FROM stream CROSS JOIN unnest(CAST(:event_ids AS text[]), CAST(:types AS text[]), CAST(:actors AS text[]),
        CAST(:correlation_ids AS text[]), CAST(:actions AS text[]), CAST(:resources AS text[]),
        CAST(:outcomes AS text[]), CAST(:commitments AS bytea[]), CAST(:leaf_hashes AS bytea[]),
        CAST(:salts AS bytea[]), CAST(:payloads AS bytea[]), CAST(:metadatas AS bytea[]))
        WITH ORDINALITY AS f (event_id, type, actor, correlation_id, action, resource, outcome, commitment, leaf_hash,
            salt, payload, metadata, ordinal)
), entries AS (
    INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
        correlation_id, action, resource, outcome, commitment, leaf_hash)
    SELECT :tenant_id, n.entry_no, (SELECT min(entry_no) FROM numbered), n.event_id, :stream, n.version, n.type,
        n.actor, CAST(:now AS timestamptz), n.correlation_id, n.action, n.resource, n.outcome, n.commitment,
        n.leaf_hash
    FROM numbered AS n
), payloads AS (
    INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
    SELECT :tenant_id, n.entry_no, n.salt, n.payload, n.metadata FROM numbered AS n
)
SELECT version, entry_no FROM numbered ORDER BY version;
