-- Health: what can be asked of a database that belongs to no tenant.

-- name: get_schema_version :one
-- The number of the last migration that was applied; the smallest thing that shows that the database answers.
SELECT max(number) FROM aureus.schema_migrations;
