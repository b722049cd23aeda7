-- why: world state: versioned keys, with every value they had
-- breaking: no
--
-- The current value of a key lies in its own row; every value it had lies in world_state_versions, which only grows. A
-- deleted key keeps its row: its version goes on counting.

CREATE TABLE aureus.world_state (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    scope TEXT NOT NULL,
    state_key TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 0),
    value TEXT,
    is_deleted INTEGER NOT NULL CHECK (is_deleted IN (0, 1)),
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, scope, state_key),
    CHECK (is_deleted = (value IS NULL))
) STRICT;

-- value is null where the key was deleted. An operation is found again by its identifier, however much followed it.

CREATE TABLE aureus.world_state_versions (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    scope TEXT NOT NULL,
    state_key TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    value TEXT,
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, scope, state_key, version)
) STRICT;

CREATE UNIQUE INDEX world_state_versions_operation
    ON aureus.world_state_versions (tenant_id, scope, state_key, operation_id);

CREATE TRIGGER world_state_versions_no_update BEFORE UPDATE ON aureus.world_state_versions
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of world_state_versions are immutable');
END;

CREATE TRIGGER world_state_versions_no_delete BEFORE DELETE ON aureus.world_state_versions
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of world_state_versions are immutable');
END;
