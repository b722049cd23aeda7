"""Snapshots on the command line and in workflows: taken, verified, gone back to, with somebody's approval."""

from __future__ import annotations

import json

from tests.acceptance.project import Project

GUARDED = """\
id: guarded
tasks:
  - id: before
    toolName: snapshot
    inputs: { agent: planner, scope: default, tags: [guard], riskTier: HIGH }
  - id: after
    needs: [before]
    toolName: remember
    inputs: { text: "did something", agent: planner, key: done }
"""


def test_a_task_takes_a_snapshot_that_a_person_goes_back_to(project: Project) -> None:
    project.write("guarded.yaml", GUARDED)
    project.run("state", "set", "plan", "1")
    done = project.run("run", "guarded.yaml")
    assert done.returncode == 0, done.stderr
    project.run("state", "set", "plan", "2")
    (taken,) = project.json("snapshots", "list", "--task", "before")
    assert (taken["task_id"], taken["tags"], taken["risk"]) == ("before", ["guard"], "HIGH")
    snapshot_id = taken["snapshot_id"]
    assert project.json("snapshots", "list", "--run", taken["run_id"]) == [taken]
    back = ("rollback", "--task", "before", "--to", snapshot_id, "--user", "ada")
    waiting = project.run(*back)
    assert waiting.returncode == 3, waiting.stderr
    approval_id = waiting.stdout.strip()
    assert "`aureus snapshots approve" in waiting.stderr
    assert project.run(*back).stdout.strip() == approval_id, "it does not ask twice"
    (asked,) = project.json("snapshots", "approvals", "--status", "pending")
    assert (asked["approval_id"], asked["requested_by"]) == (approval_id, "ada")
    assert project.run("rollback", "--to", snapshot_id, "--approval", approval_id).returncode == 3
    given = project.json("snapshots", "approve", approval_id, "--actor", "bob", "--reason", "go")
    assert (given["status"], given["decided_by"]) == ("approved", "bob")
    rolled = project.json(*back, "--reason", "it went wrong")
    assert (rolled["counts"], rolled["actor"]) == ({"forget": 1, "set": 1}, "ada")
    assert project.run("state", "get", "plan").stdout.strip() == "1"
    with project.open() as db:
        assert list(db.memories.query(agent_id="planner")) == []
        assert db.snapshots.get_approval(approval_id).rollback_id == rolled["rollback_id"]
    assert project.run(*back).returncode == 3, "an approval is good for one rollback"
    wrong = project.run("rollback", "--task", "after", "--to", snapshot_id)
    assert (wrong.returncode, "taken by task before" in wrong.stderr) == (2, True)


def test_snapshots_are_taken_shown_compared_verified_and_deleted(project: Project) -> None:
    project.run("state", "set", "plan", '{"b": 1, "a": "\\u001b[31m"}')
    project.run("memory", "add", "tea", "--agent", "a", "--id", "m1")
    first = project.run("snapshots", "create", "--agent", "a", "--scope", "default").stdout.strip()
    assert project.run("snapshots", "verify", first).stdout.startswith("intact: 2 parts")
    shown = project.json("snapshots", "show", first)
    assert [part["name"] for part in shown["parts"]] == ["plan", "m1"]
    text = project.run("snapshots", "show", first).stdout
    assert "\x1b" not in text
    assert "risk LOW" in text
    project.run("memory", "add", "coffee", "--agent", "a", "--id", "m2")
    listed = project.run("snapshots", "list", "--agent", "a", "--verified").stdout
    assert "a, world state default" in listed
    (change,) = project.json("rollback", "--to", first, "--dry-run")
    assert (change["name"], change["remedy"]) == ("m2", "forget")
    assert "forget" in project.run("rollback", "--to", first, "--dry-run").stdout
    assert project.json("snapshots", "diff", first) == [change]
    second = project.json("snapshots", "create", "--agent", "a", "--tag", "x", "--session", "s")
    (compared,) = project.json("snapshots", "diff", second["snapshot_id"], first)[:1]
    assert compared["remedy"] is None
    done = project.run("rollback", "--to", first)
    assert (done.returncode, "forget 1" in done.stderr) == (0, True), done.stderr
    risky = project.json("rollback", "--to", second["snapshot_id"], "--approve-as", "ada")
    assert (risky["risk"], risky["counts"]) == ("HIGH", {"revive": 1})
    denied = project.run(
        "rollback",
        "--to",
        second["snapshot_id"],
        "--approve-as",
        "me",
        "--user",
        "me",
        "--four-eyes",
    )
    assert (denied.returncode, "somebody else" in denied.stderr) == (4, True)
    earlier = project.run("snapshots", "create", "--scope", "default", "--at-size", "1").stdout
    assert project.json("snapshots", "show", earlier.strip())["as_of_size"] == 1
    assert project.json("snapshots", "delete", first) == {"deleted": True}
    for arguments, code, said in (
        (["snapshots", "delete", first], 6, "no snapshot"),
        (["rollback", "--to", first], 6, "no snapshot"),
        (["snapshots", "create"], 2, "name one"),
        (["snapshots", "create", "--agent", "a", "--root", "00"], 2, "--at-size"),
        (["snapshots", "create", "--scope", "w", "--at-size", "1", "--root", "zz"], 2, "no hexa"),
        (["snapshots", "create", "--scope", "w", "--at-size", "1", "--root", "00"], 5, "the root"),
        (["snapshots", "create", "--agent", "a", "--at-size", "1", "--session", "s"], 2, "newest"),
        (["snapshots", "approve", "nothing"], 6, "no approval"),
    ):
        refused = project.run(*arguments)
        assert (refused.returncode, said in refused.stderr) == (code, True), refused.stderr


def test_a_person_may_refuse_and_json_says_that_it_waits(project: Project) -> None:
    project.run("state", "set", "plan", "1")
    made = project.json("snapshots", "create", "--scope", "default", "--risk", "CRITICAL")
    back = ("rollback", "--to", made["snapshot_id"], "--actor", "ada", "--four-eyes")
    waiting = project.run(*back, "--json")
    assert waiting.returncode == 3
    told = json.loads(waiting.stdout)
    assert (told["status"], told["approval"]["needs_another"]) == ("waiting", True)
    approval_id = told["approval"]["approval_id"]
    own = project.run("snapshots", "approve", approval_id, "--actor", "ada")
    assert (own.returncode, "somebody else" in own.stderr) == (4, True)
    assert project.run("snapshots", "deny", approval_id, "--actor", "bob").stdout == "denied\n"
    assert "denied" in project.run("snapshots", "approvals").stdout
    refused = project.run("rollback", "--to", made["snapshot_id"], "--approval", approval_id)
    assert (refused.returncode, "was denied by bob" in refused.stderr) == (6, True)
    assert project.run(*back).returncode == 3, "and one may ask again"
