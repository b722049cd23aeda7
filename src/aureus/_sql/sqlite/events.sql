-- Events on SQLite: one writer at a time, so that the order of inserting is the order of committing. Entries arrive as
-- one JSON array (aureus.ledger.recorder): hashes in hexadecimal, payload and metadata as the text of their bytes.
-- CROSS JOIN is SQLite's word for an order of loops, and json_each walks its array from the first item: so events are
-- numbered in their order, and each is looked up by its own key. Left to itself the planner takes a list for long, and
-- begins with all events of the tenant; asked for an order, it opens a sorter, which costs more than the inserts.

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
CROSS JOIN json_each(:entries) AS f
WHERE s.tenant_id = :tenant_id AND s.stream = :stream;
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
SELECT :tenant_id, e.entry_no, unhex(f.value ->> 'salt'), CAST(f.value ->> 'payload' AS BLOB),
    CAST(f.value ->> 'metadata' AS BLOB)
FROM json_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';
SELECT e.version, e.entry_no, NULL AS occurred_at, NULL AS leaf_hash
FROM json_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';

-- name: append_expecting :many
-- key: stream
-- Append a caller's events to one stream, if it has the version that is expected: a number, -1 for any, -2 for at least
-- one event. The rows are those of the events in their order, also when just these were appended before; no row: the
-- stream has another version, or one of the identifiers is taken by something else. The guard only looks: nobody else
-- writes meanwhile.
SELECT 1
WHERE NOT EXISTS (
        SELECT 1 FROM json_each(:entries) AS f
        CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id')
  AND (:expected = -1 OR coalesce((
        SELECT :expected = s.version OR :expected = -2 FROM aureus.streams AS s
        WHERE s.tenant_id = :tenant_id AND s.stream = :stream), :expected = 0));
INSERT INTO aureus.streams (tenant_id, stream, category, version, created_at, updated_at)
VALUES (:tenant_id, :stream, :category, :count, :now, :now)
ON CONFLICT (tenant_id, stream)
DO UPDATE SET version = version + excluded.version, updated_at = excluded.updated_at;
INSERT INTO aureus.events (tenant_id, append_no, event_id, stream, version, type, actor, occurred_at, correlation_id,
    commitment, leaf_hash)
SELECT :tenant_id, (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'events'),
    f.value ->> 'event_id', :stream, s.version - :count + f.key + 1, f.value ->> 'type', f.value ->> 'actor', :now,
    f.value ->> 'correlation_id', unhex(f.value ->> 'commitment'), unhex(f.value ->> 'leaf_hash')
FROM aureus.streams AS s
CROSS JOIN json_each(:entries) AS f
WHERE s.tenant_id = :tenant_id AND s.stream = :stream;
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
SELECT :tenant_id, e.entry_no, unhex(f.value ->> 'salt'), CAST(f.value ->> 'payload' AS BLOB),
    CAST(f.value ->> 'metadata' AS BLOB)
FROM json_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id';
SELECT e.version, e.entry_no, e.occurred_at, e.leaf_hash
FROM json_each(:entries) AS f
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value ->> 'event_id'
WHERE CASE WHEN e.leaf_hash = unhex(f.value ->> 'leaf_hash') THEN 1 ELSE NOT EXISTS (
    SELECT 1 FROM json_each(:entries) AS g
    WHERE NOT EXISTS (
        SELECT 1 FROM aureus.events AS k
        CROSS JOIN aureus.event_payloads AS p ON p.tenant_id = k.tenant_id AND p.entry_no = k.entry_no
        WHERE k.tenant_id = :tenant_id AND k.event_id = g.value ->> 'event_id' AND k.stream = :stream
          AND k.type = g.value ->> 'type' AND k.actor = g.value ->> 'actor'
          AND k.correlation_id IS g.value ->> 'correlation_id' AND p.payload = CAST(g.value ->> 'payload' AS BLOB)
          AND p.metadata IS CAST(g.value ->> 'metadata' AS BLOB))) END;

-- name: find_taken_id :one
-- Where one of these identifiers is in use.
SELECT e.event_id, e.stream, e.version
FROM json_each(:event_ids) AS g
CROSS JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = g.value
LIMIT 1;
