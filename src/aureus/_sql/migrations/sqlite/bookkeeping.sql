-- What the migrations of a SQLite file note about themselves; not part of the chain, because the chain is noted in it.

-- name: claim_file :exec
-- Mark the file as ours, in the same transaction as its first table: the letters AURE.
PRAGMA application_id = 0x41555245;

-- name: create_table :exec
-- Make the table, once.
CREATE TABLE IF NOT EXISTS aureus.schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    is_breaking INTEGER NOT NULL CHECK (is_breaking IN (0, 1)),
    applied_at INTEGER NOT NULL,
    applied_by_version TEXT NOT NULL
) STRICT;

-- name: has_table :one
-- Whether anything was ever noted here.
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations';

-- name: list_applied :many
-- What was applied, in order.
SELECT number, name, checksum, is_breaking, applied_at, applied_by_version
FROM aureus.schema_migrations
ORDER BY number;

-- name: note_applied :exec
-- Note a migration in the transaction that carries it out.
INSERT INTO aureus.schema_migrations (number, name, checksum, is_breaking, applied_at, applied_by_version)
VALUES (:number, :name, :checksum, :is_breaking, CAST(unixepoch('subsec') * 1000000 AS INTEGER), :version);
