-- why: what agents know about users, and the hypotheses they test
-- breaking: no
--
-- profiles is the row that is locked and read; profile_versions holds every write with what it left behind, so that a
-- repeated call finds its own. A deletion empties both and keeps the bare rows: a late write can neither bring back
-- what was deleted nor start the versions anew.
-- The status of a hypothesis is generated from its confidence, so that no writer can say otherwise.
-- Lock order: a profile before its versions, a hypothesis before its evidence, both before their streams.

CREATE TABLE aureus.profiles (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    user_id TEXT NOT NULL CHECK (user_id <> ''),
    sections TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    first_version INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (tenant_id, user_id)
) STRICT;

CREATE TABLE aureus.profile_versions (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    user_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sections TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, version),
    UNIQUE (tenant_id, user_id, operation_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES aureus.profiles (tenant_id, user_id)
) STRICT;

-- Hypotheses: one row for each, updated by every piece of evidence. user_id is '' when it is about nobody. Status is in
-- no index, so that an update need not touch any.

CREATE TABLE aureus.hypotheses (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    hypothesis_id TEXT NOT NULL CHECK (hypothesis_id <> ''),
    agent_id TEXT NOT NULL CHECK (agent_id <> ''),
    user_id TEXT NOT NULL,
    statement TEXT NOT NULL,
    initial_confidence REAL NOT NULL CHECK (initial_confidence BETWEEN 0 AND 1),
    confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    status TEXT NOT NULL GENERATED ALWAYS AS (
        CASE WHEN confidence < 0.2 THEN 'rejected' WHEN confidence > 0.8 THEN 'validated' ELSE 'active' END) STORED,
    evidence_for_count INTEGER NOT NULL CHECK (evidence_for_count >= 0),
    evidence_against_count INTEGER NOT NULL CHECK (evidence_against_count >= 0),
    confidence_change_total REAL NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    operation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_tested_at INTEGER,
    deleted_at INTEGER,
    PRIMARY KEY (tenant_id, hypothesis_id)
) STRICT;

CREATE INDEX hypotheses_newest ON aureus.hypotheses (tenant_id, created_at, hypothesis_id);
CREATE INDEX hypotheses_of_agent ON aureus.hypotheses (tenant_id, agent_id, created_at, hypothesis_id);
CREATE INDEX hypotheses_of_user ON aureus.hypotheses (tenant_id, user_id, created_at, hypothesis_id)
    WHERE user_id <> '';

-- Evidence: one row for each test of a hypothesis, in order, never changed; gone with what it was about.

CREATE TABLE aureus.hypothesis_evidence (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    hypothesis_id TEXT NOT NULL,
    evidence_no INTEGER NOT NULL CHECK (evidence_no > 0),
    evidence_id TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('for', 'against')),
    text TEXT NOT NULL,
    source TEXT,
    agent_id TEXT NOT NULL,
    confidence_before REAL NOT NULL,
    confidence_after REAL NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, hypothesis_id, evidence_no),
    UNIQUE (tenant_id, hypothesis_id, evidence_id),
    FOREIGN KEY (tenant_id, hypothesis_id) REFERENCES aureus.hypotheses (tenant_id, hypothesis_id)
) STRICT;
