-- why: a page of the runs of a workflow, or in a status, costs a page
-- breaking: no
--
-- What lists of runs are asked for beside the newest ones. A page behind a place begins there.

CREATE INDEX runs_workflow ON aureus.runs (tenant_id, workflow_id, created_at, run_id);
CREATE INDEX runs_status ON aureus.runs (tenant_id, status, created_at, run_id);
