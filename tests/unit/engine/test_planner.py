"""What the planner of workflow files decides, rule by rule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aureus.engine import retries
from aureus.engine.commands import BeginCompensation, StartTask
from aureus.engine.outcomes import Cancelled, Ended, Interrupted
from aureus.engine.planner import Rules
from aureus.errors import Invalid
from aureus.model.states import RunPhase
from aureus.model.tasks import TaskKey
from aureus.model.workflows import RetryPolicy
from tests.unit.engine.simulation import START, Simulation, broken, done, late, task, workflow


def test_a_task_starts_when_all_it_needs_is_completed() -> None:
    run = Simulation(workflow(task("a"), task("b"), task("c", "a", "b")))
    assert run.statuses() == {"a": "running", "b": "running"}
    run.tick(("a", done()))
    assert run.status("c") is None
    run.tick(("b", done()))
    assert run.status("c") == "running"


def test_a_sequence_of_three_takes_a_start_and_three_steps() -> None:
    run = Simulation(workflow(task("a"), task("b", "a"), task("c", "b")))
    for name in "abc":
        run.tick((name, done()))
    assert run.state == "completed"
    assert run.run.version == 4
    assert run.run.lease_id is None


def test_outcomes_of_the_same_moment_travel_in_one_step() -> None:
    run = Simulation(workflow(task("a"), task("b"), task("c", "a"), task("d", "b")))
    run.tick(("a", done()), ("b", done()))
    assert run.run.version == 2
    assert run.statuses() == {"a": "completed", "b": "completed", "c": "running", "d": "running"}


def test_no_more_tasks_run_than_the_bound() -> None:
    run = Simulation(workflow(*(task(f"t{n}") for n in range(5))), Rules(parallel_max=2))
    assert list(run.working) == [TaskKey("", "t0"), TaskKey("", "t1")]
    run.tick(("t1", done()))
    assert list(run.working) == [TaskKey("", "t0"), TaskKey("", "t2")]


def test_inputs_are_filled_in_from_the_run_and_from_results() -> None:
    inputs = {"all": "${{ input.who }} got ${{ tasks.a.result.n }} in ${{ run.id }}"}
    run = Simulation(workflow(task("a"), task("b", "a", inputs=inputs)), inputs={"who": "Ada"})
    run.tick(("a", done({"n": 0})))
    assert run.working[TaskKey("", "b")].inputs == {"all": "Ada got 0 in r_1"}


def test_a_result_without_what_a_reference_names_fails_the_task_and_says_where() -> None:
    inputs = {"x": "${{ tasks.a.result.missing }}"}
    run = Simulation(workflow(task("a"), task("b", "a", inputs=inputs)))
    run.tick(("a", done({"n": 1})))
    problem = run.working[TaskKey("", "b")].problem
    assert problem is not None
    assert problem.code == "invalid"
    assert "'b'" in problem.message
    assert "tasks.a.result" in problem.message


def test_a_false_condition_skips_the_task() -> None:
    when = "${{ tasks.a.result.n > 1 }}"
    run = Simulation(workflow(task("a"), task("b", "a", when=when)))
    run.tick(("a", done({"n": 1})))
    assert run.statuses() == {"a": "completed", "b": "skipped"}
    assert run.state == "completed"


def test_a_condition_that_cannot_be_evaluated_fails_the_task() -> None:
    run = Simulation(workflow(task("a"), task("b", "a", when="${{ tasks.a.result.n > 1 }}")))
    run.tick(("a", done({"n": "many"})))
    assert run.working[TaskKey("", "b")].problem is not None


def test_what_needs_a_skipped_task_is_skipped_too() -> None:
    run = Simulation(workflow(task("a", when=False), task("b", "a"), task("c", "b"), task("d")))
    assert run.statuses() == {"a": "skipped", "b": "skipped", "c": "skipped", "d": "running"}
    reasons = [fact.payload["data"] for fact in run.facts if fact.type == "TASK_SKIPPED"]
    assert reasons == [
        {"reason": "condition"},
        {"reason": "need_skipped", "need": "a"},
        {"reason": "need_skipped", "need": "b"},
    ]


def test_a_condition_that_looks_at_the_skipped_task_decides_for_itself() -> None:
    run = Simulation(
        workflow(
            task("a", when=False),
            task("otherwise", "a", when="${{ tasks.a.status == 'skipped' }}"),
            task("unrelated", "a", when=True),
        )
    )
    assert run.statuses() == {"a": "skipped", "otherwise": "running", "unrelated": "skipped"}


def test_a_join_behind_two_branches_runs_when_one_of_them_did() -> None:
    either = "${{ tasks.yes.status == 'completed' || tasks.no.status == 'completed' }}"
    run = Simulation(
        workflow(
            task("yes", when="${{ input.x }}"),
            task("no", when="${{ !input.x }}"),
            task("join", "yes", "no", when=either),
        ),
        inputs={"x": True},
    )
    run.tick(("yes", done()))
    assert run.statuses() == {"yes": "completed", "no": "skipped", "join": "running"}


def test_a_workflow_whose_tasks_are_all_skipped_completes() -> None:
    run = Simulation(workflow(task("a", when=False)))
    assert run.state == "completed"
    assert run.told() == ["TASK_SKIPPED a", "WORKFLOW_COMPLETED"]


def test_a_failed_attempt_waits_and_is_repeated() -> None:
    policy = RetryPolicy(attempts_max=2, backoff_ms=4000)
    run = Simulation(workflow(task("a", retry=policy)))
    run.tick(("a", broken("first")))
    row = run.rows[TaskKey("", "a")]
    assert (row.status.value, row.error_message) == ("retrying", "first")
    assert row.wake_at == START + timedelta(seconds=4)
    assert run.planner.next_wake(run.now) == row.wake_at
    run.pass_time(3.9)
    assert run.status("a") == "retrying"
    run.pass_time(0.1)
    row = run.rows[TaskKey("", "a")]
    assert (row.status.value, row.attempt, row.error_message) == ("running", 2, None)
    run.tick(("a", broken("second")))
    assert run.status("a") == "failed"
    assert run.run.error_message == "task a failed: second"
    assert run.told() == [
        "TASK_STARTED a",
        "TASK_RETRY a",
        "TASK_STARTED a",
        "TASK_FAILED a",
        "WORKFLOW_FAILED",
    ]


def test_what_was_refused_is_not_repeated() -> None:
    run = Simulation(workflow(task("a", retry=RetryPolicy(attempts_max=5))))
    run.tick(("a", broken(is_retryable=False)))
    assert run.status("a") == "failed"


def test_a_timeout_uses_the_retry_budget_and_ends_as_a_timeout() -> None:
    run = Simulation(workflow(task("a", retry=RetryPolicy(attempts_max=2, backoff_ms=1))))
    run.tick(("a", late()))
    run.pass_time(1)
    run.tick(("a", late()))
    assert run.status("a") == "timeout"
    assert run.run.error_code == "task_timed_out"
    assert run.told()[-2:] == ["TASK_TIMEOUT a", "WORKFLOW_FAILED"]


def test_a_retry_that_is_due_waits_for_a_free_place_and_goes_first() -> None:
    policy = RetryPolicy(attempts_max=2, backoff_ms=1000, jitter=False)
    run = Simulation(workflow(task("a", retry=policy), task("b"), task("c")), Rules(parallel_max=1))
    run.tick(("a", broken()))
    assert run.status("b") == "running"
    run.pass_time(2)
    assert run.status("a") == "retrying"
    assert run.planner.next_wake(run.now) is None, "time alone changes nothing"
    run.tick(("b", done()))
    assert run.statuses() == {"a": "running", "b": "completed"}


def test_an_interrupted_attempt_does_not_use_the_retry_budget() -> None:
    run = Simulation(workflow(task("a")))
    run.crash()
    row = run.rows[TaskKey("", "a")]
    assert (row.status.value, row.attempt, row.interruptions) == ("running", 2, 1)
    assert run.told() == ["TASK_STARTED a", "TASK_RETRY a", "TASK_STARTED a"]
    assert run.facts[1].payload["data"] == {"reason": "interrupted"}
    run.tick(("a", broken()))
    assert run.status("a") == "failed"


def test_after_an_interruption_the_retry_budget_is_still_whole() -> None:
    run = Simulation(workflow(task("a", retry=RetryPolicy(attempts_max=2, backoff_ms=1))))
    run.crash()
    run.tick(("a", broken()))
    assert run.status("a") == "retrying"
    run.pass_time(1)
    run.tick(("a", broken()))
    assert (run.status("a"), run.rows[TaskKey("", "a")].attempt) == ("failed", 3)


def test_of_two_failures_at_the_same_moment_the_first_is_the_error_of_the_run() -> None:
    run = Simulation(workflow(task("a"), task("b")))
    run.tick(("b", broken("earlier")), ("a", broken("later")))
    assert run.run.error_message == "task b failed: earlier"


def test_a_task_that_is_interrupted_too_often_fails() -> None:
    run = Simulation(workflow(task("a")))
    for _ in range(retries.INTERRUPTIONS_MAX):
        run.crash()
    assert run.status("a") == "running"
    run.crash()
    assert run.status("a") == "failed"
    assert run.run.error_code == "task_interrupted"
    assert "26 times" in str(run.rows[TaskKey("", "a")].error_message)


def test_an_interrupted_task_waits_for_a_place_when_the_bound_was_lowered() -> None:
    run = Simulation(workflow(task("a"), task("b")))
    run.resume(rules=Rules(parallel_max=1))
    run.settle([Ended(key, Interrupted()) for key in list(run.journal.running)])
    assert run.statuses() == {"a": "running", "b": "retrying"}


def test_the_key_and_the_limit_of_a_task_reach_its_work() -> None:
    run = Simulation(
        workflow(
            task("own", idempotency_key="order-7", timeout_ms=5),
            task("derived", tool="command", inputs={"command": ["ls"]}),
        ),
        Rules(task_timeout_ms=900),
    )
    own, derived = run.working[TaskKey("", "own")], run.working[TaskKey("", "derived")]
    assert (own.idempotency_key, own.is_key_shared, own.timeout_ms) == ("order-7", True, 5)
    assert (len(derived.idempotency_key), derived.is_key_shared, derived.timeout_ms) == (
        64,
        False,
        900,
    )


def test_the_derived_key_is_the_same_for_every_attempt() -> None:
    run = Simulation(workflow(task("a", inputs={"x": 1})))
    first = run.working[TaskKey("", "a")].idempotency_key
    run.crash()
    assert run.working[TaskKey("", "a")].idempotency_key == first


def test_the_key_stays_even_when_the_definition_changes() -> None:
    run = Simulation(workflow(task("a", inputs={"x": 1})))
    first = run.working[TaskKey("", "a")].idempotency_key
    run.resume(workflow(task("a", inputs={"x": 2})))
    run.settle([Ended(TaskKey("", "a"), Interrupted())])
    work = run.working[TaskKey("", "a")]
    assert (work.inputs, work.idempotency_key) == ({"x": 2}, first)


def test_a_run_that_takes_too_long_turns_round() -> None:
    rules = Rules(run_timeout_ms=10_000)
    run = Simulation(workflow(task("a", retry=RetryPolicy(attempts_max=9)), task("b", "a")), rules)
    assert run.working[TaskKey("", "a")].timeout_ms == 10_000
    run.pass_time(10)
    assert run.run.phase is RunPhase.COMPENSATING
    run.tick(("a", late()))
    assert run.statuses() == {"a": "timeout"}
    assert (run.state, run.run.error_code) == ("failed", "run_timed_out")


def test_a_cancelled_run_waits_for_its_tools_and_ends_without_compensation() -> None:
    run = Simulation(
        workflow(
            task("a", retry=RetryPolicy(attempts_max=3)),
            task("b", retry=RetryPolicy(attempts_max=3)),
            task("c", "a"),
        )
    )
    run.tick(("b", broken()))
    run.journal.is_cancel_requested = True
    run.tick()
    assert run.state == "running"
    run.tick(("a", Cancelled()))
    assert run.statuses() == {"a": "cancelled", "b": "cancelled"}
    assert run.state == "cancelled"
    assert run.told()[-1] == "WORKFLOW_CANCELLED"


def test_a_run_whose_cancellation_was_asked_for_is_cancelled_on_resume() -> None:
    run = Simulation(workflow(task("a"), task("b", "a")))
    run.resume()
    run.journal.is_cancel_requested = True
    run.settle([Ended(TaskKey("", "a"), Interrupted())])
    assert run.statuses() == {"a": "cancelled"}
    assert run.state == "cancelled"


def test_tasks_that_a_changed_definition_dropped_are_given_up_and_results_kept() -> None:
    policy = RetryPolicy(attempts_max=2)
    run = Simulation(workflow(task("a"), task("gone", retry=policy), task("old")))
    run.tick(("a", done(1)), ("gone", broken()))
    run.resume(workflow(task("a"), task("new", "a", inputs={"x": "${{ tasks.a.result }}"})))
    run.settle([Ended(TaskKey("", "old"), Interrupted())])
    assert run.statuses() == {
        "a": "completed",
        "gone": "cancelled",
        "old": "cancelled",
        "new": "running",
    }
    assert run.working[TaskKey("", "new")].inputs == {"x": 1}
    run.tick(("new", done()))
    assert run.state == "completed"


def test_tasks_that_wait_for_each_other_are_an_error_and_not_an_endless_wait() -> None:
    with pytest.raises(Invalid, match="wait for each other"):
        Simulation(workflow(task("a", "b"), task("b", "a")))


def test_a_need_that_never_runs_is_refused() -> None:
    with pytest.raises(Invalid, match="needs 'b'"):
        Simulation(workflow(task("a", "b")))


def test_the_same_journal_gives_the_same_plan() -> None:
    def history() -> Simulation:
        run = Simulation(workflow(task("a"), task("b"), task("c", "a"), task("d", "b", "c")))
        run.tick(("b", broken()), ("a", done()))
        return run

    first, second = history(), history()
    assert first.commands == second.commands
    assert first.facts == second.facts
    assert [type(command) for command in first.commands[:2]] == [StartTask, StartTask]
    assert any(isinstance(command, BeginCompensation) for command in first.commands)
