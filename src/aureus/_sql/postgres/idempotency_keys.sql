-- Idempotency keys on PostgreSQL; see the shared file.

-- name: get_idempotency_key :one
-- Who holds a key, for which inputs, and the result when the work is done; the task and its result by their keys, which
-- a join would not be sure to take.
SELECT k.run_id, k.scope, k.name, k.occurrence, k.input_hash, t.status, coalesce(t.result, r.result)
FROM aureus.idempotency_keys AS k
LEFT JOIN LATERAL (
    SELECT o.status, o.result FROM aureus.tasks AS o
    WHERE o.tenant_id = :tenant_id AND o.run_id = k.run_id AND o.scope = k.scope AND o.name = k.name
      AND o.occurrence = k.occurrence
    LIMIT 1) AS t ON true
LEFT JOIN LATERAL (
    SELECT o.result FROM aureus.task_results AS o
    WHERE o.tenant_id = :tenant_id AND o.run_id = k.run_id AND o.scope = k.scope AND o.name = k.name
      AND o.occurrence = k.occurrence
    LIMIT 1) AS r ON true
WHERE k.tenant_id = :tenant_id AND k.idempotency_key = :idempotency_key;
