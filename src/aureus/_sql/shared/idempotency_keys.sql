-- Idempotency keys: one effect for a key that an author gave, whichever run of the tenant asks for it. A reservation is
-- made before the work begins and points at the task that does it; the task's row says whether it is done.

-- name: reserve_idempotency_key :one
-- key: idempotency_key
-- Reserve a key for a task. No row: another task holds it, done or under way. A reservation whose run has ended without
-- the task being completed is taken over.
INSERT INTO aureus.idempotency_keys AS k
    (tenant_id, idempotency_key, run_id, scope, name, occurrence, input_hash, reserved_at)
VALUES (:tenant_id, :idempotency_key, :run_id, :scope, :name, :occurrence, :input_hash, :now)
ON CONFLICT (tenant_id, idempotency_key) DO UPDATE SET
    run_id = excluded.run_id, scope = excluded.scope, name = excluded.name, occurrence = excluded.occurrence,
    input_hash = excluded.input_hash, reserved_at = excluded.reserved_at
WHERE (k.run_id = excluded.run_id AND k.scope = excluded.scope AND k.name = excluded.name
       AND k.occurrence = excluded.occurrence)
   OR NOT EXISTS (
        SELECT 1
        FROM aureus.runs AS r
        LEFT JOIN aureus.tasks AS t
          ON t.tenant_id = r.tenant_id AND t.run_id = r.run_id AND t.scope = k.scope AND t.name = k.name
          AND t.occurrence = k.occurrence
        WHERE r.tenant_id = k.tenant_id AND r.run_id = k.run_id
          AND (r.status IN ('pending', 'running', 'paused') OR t.status = 'completed'))
RETURNING run_id;

-- name: get_idempotency_key :one
-- Who holds a key, for which inputs, and the result when the work is done.
SELECT k.run_id, k.scope, k.name, k.occurrence, k.input_hash, t.status, coalesce(t.result, r.result)
FROM aureus.idempotency_keys AS k
LEFT JOIN aureus.tasks AS t
  ON t.tenant_id = k.tenant_id AND t.run_id = k.run_id AND t.scope = k.scope AND t.name = k.name
  AND t.occurrence = k.occurrence
LEFT JOIN aureus.task_results AS r
  ON r.tenant_id = k.tenant_id AND r.run_id = k.run_id AND r.scope = k.scope AND r.name = k.name
  AND r.occurrence = k.occurrence
WHERE k.tenant_id = :tenant_id AND k.idempotency_key = :idempotency_key;
