-- Events on SQLite: one writer at a time, so that the order of inserting is the order of committing. Bytes arrive as
-- hexadecimal text inside JSON arrays.

-- name: append_events :many
-- Append facts to one stream, in their order, behind whatever is there.
INSERT INTO aureus.streams (tenant_id, stream, category, version, created_at, updated_at)
VALUES (:tenant_id, :stream, :category, :count, :now, :now)
ON CONFLICT (tenant_id, stream)
DO UPDATE SET version = version + excluded.version, updated_at = excluded.updated_at
RETURNING version;
INSERT INTO aureus.events (tenant_id, append_no, event_id, stream, version, type, actor, occurred_at, correlation_id,
    action, resource, outcome, commitment, leaf_hash)
SELECT :tenant_id, (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'events'), f.value, :stream,
    s.version - :count + f.key + 1, :types ->> f.key, :actors ->> f.key, :now, :correlation_ids ->> f.key,
    :actions ->> f.key, :resources ->> f.key, :outcomes ->> f.key, unhex(:commitments ->> f.key),
    unhex(:leaf_hashes ->> f.key)
FROM json_each(:event_ids) AS f
JOIN aureus.streams AS s ON s.tenant_id = :tenant_id AND s.stream = :stream
ORDER BY f.key;
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload, metadata)
SELECT :tenant_id, e.entry_no, unhex(:salts ->> f.key), unhex(:payloads ->> f.key), unhex(:metadatas ->> f.key)
FROM json_each(:event_ids) AS f
JOIN aureus.events AS e ON e.tenant_id = :tenant_id AND e.event_id = f.value
ORDER BY f.key;
SELECT e.version, e.entry_no
FROM aureus.events AS e
JOIN aureus.streams AS s ON s.tenant_id = e.tenant_id AND s.stream = e.stream
WHERE e.tenant_id = :tenant_id AND e.stream = :stream AND e.version > s.version - :count
ORDER BY e.version;
