-- What the migrations of a PostgreSQL schema note about themselves; not part of the chain, because the chain is noted
-- in it. schema_migrations belongs to no tenant, like flushes.

-- name: create_table :exec
-- Make the table, once; under the lock of lock_schema.
CREATE TABLE IF NOT EXISTS aureus.schema_migrations (
    number integer PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    checksum text COLLATE "C" NOT NULL,
    is_breaking boolean NOT NULL,
    applied_at timestamptz NOT NULL,
    applied_by_version text NOT NULL
);

-- name: list_applied :many
-- What was applied, in order.
SELECT number, name, checksum, is_breaking, applied_at, applied_by_version
FROM aureus.schema_migrations
ORDER BY number;

-- name: note_applied :exec
-- Note a migration in the transaction that carries it out.
INSERT INTO aureus.schema_migrations (number, name, checksum, is_breaking, applied_at, applied_by_version)
VALUES (:number, :name, :checksum, :is_breaking, now(), :version);

-- name: lock_schema :one
-- Ask for the right to migrate this schema, until the end of the transaction; never waits.
SELECT pg_try_advisory_xact_lock(hashtextextended('aureus migrations of ' || :schema, 0));

-- name: set_limits :exec
-- Wait briefly for locks of others, and not at all for a statement's own limit.
SELECT set_config('lock_timeout', '3s', true), set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '0', true);

-- name: become :exec
-- Drop to the application's role until the end of the transaction.
SELECT set_config('role', :role, true);

-- name: describe_state :one
-- Who asks, and what there is; answered from the catalogues that everybody may read.
SELECT
    n.oid IS NOT NULL AS has_schema,
    c.oid IS NOT NULL AS has_table,
    coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false) AS may_read,
    coalesce(pg_has_role(c.relowner, 'USAGE'), false) AS owns_table,
    EXISTS (
        SELECT FROM pg_class AS t WHERE t.relnamespace = n.oid AND t.relkind IN ('r', 'p', 'v', 'm', 'S')
    ) AS has_relations,
    r.oid IS NOT NULL AS has_role,
    coalesce(
        has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_table_privilege(r.oid, c.oid, 'SELECT'), false
    ) AS role_may_read,
    coalesce(
        pg_has_role(
            r.oid, CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END
        ),
        false
    ) AS may_become_role,
    coalesce(r.rolsuper OR r.rolbypassrls, false) AS role_bypasses,
    u.rolsuper OR u.rolbypassrls AS user_bypasses,
    u.rolsuper AS is_superuser,
    u.rolname::text AS user_name
FROM pg_roles AS u
LEFT JOIN pg_namespace AS n ON n.nspname = :schema
LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'schema_migrations' AND c.relkind IN ('r', 'p')
LEFT JOIN pg_roles AS r ON r.rolname = :role
WHERE u.rolname = current_user;

-- name: describe_vectors :one
-- What there is of the extension for vectors, and whether our index of them was made.
SELECT x.extversion, n.nspname::text,
    b.oid IS NOT NULL AS has_base,
    CASE WHEN c.oid IS NOT NULL THEN coalesce(obj_description(c.oid, 'pg_class'), '') END AS note
FROM (SELECT) AS one
LEFT JOIN pg_extension AS x ON x.extname = :extension
LEFT JOIN pg_namespace AS n ON n.oid = x.extnamespace
LEFT JOIN pg_namespace AS s ON s.nspname = :schema
LEFT JOIN pg_class AS b ON b.relnamespace = s.oid AND b.relname = 'memory_embeddings'
LEFT JOIN pg_class AS c ON c.relnamespace = s.oid AND c.relname = 'memory_vectors';
