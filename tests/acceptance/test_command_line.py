"""The command line: calm, exact, with the right exit code, and nothing that should not be said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aureus.cli.main import COMMANDS, aureus
from tests.acceptance.project import Project, recording

HELLO = """\
id: hello
name: Hello
inputs:
  who: {type: string, default: world}
  count: {type: integer, default: 1}
tasks:
  - {id: say, toolName: command, inputs: {command: [echo, "hello ${{ input.who }}"]}}
  - {id: keep, needs: [say], inputs: {said: "${{ tasks.say.result.stdout }}", n: "${{ input.count }}"}}
"""


@pytest.fixture
def hello(project: Project) -> Project:
    """Give a project with a small workflow."""
    project.write("hello.yaml", HELLO)
    return project


def test_data_goes_to_stdout_and_everything_else_to_stderr(hello: Project) -> None:
    done = hello.run("run", "hello.yaml", "-i", "who=007")
    assert done.returncode == 0
    run_id = done.stdout.strip()
    assert run_id.startswith("r_")
    assert done.stderr.count("database: ") == 1
    assert f"run {run_id} completed" in done.stderr
    assert f"next: aureus timeline {run_id}" in done.stderr
    shown = hello.json("runs", "show", run_id)
    assert shown["inputs"] == {"who": "007", "count": 1}
    (keep,) = [task for task in shown["tasks"] if task["name"] == "keep"]
    assert keep["result"] == {"said": "hello 007\n", "n": 1}


def test_inputs_come_from_a_file_and_are_checked_before_anything_starts(hello: Project) -> None:
    hello.write("in.json", '{"who": "ada", "count": 0}')
    done = hello.run("run", "hello.yaml", "-i", "@in.json", "--json")
    assert json.loads(done.stdout)["status"] == "completed"
    for bad in ("whom=x", "count=many", "nonsense", "@missing.json"):
        refused = hello.run("run", "hello.yaml", "-i", bad)
        assert refused.returncode == 2, refused.stderr
        assert "error: " in refused.stderr
    assert len(hello.json("runs", "list")) == 1


def test_with_json_every_error_is_json_also_of_a_word_that_is_wrong(project: Project) -> None:
    """The last line of standard error is one object with its code, whoever found the mistake."""
    wrong = (
        ("memory", "search"),
        ("memory", "add", "x", "--agent", "a", "--confidence", "7"),
        ("memory", "serch", "x"),
        ("runs", "list", "--limt", "3"),
        ("run", "nowhere.yaml"),
    )
    for words in wrong:
        done = project.run(*words, "--json")
        told = json.loads(done.stderr.splitlines()[-1])
        assert done.returncode in {2, 6}
        assert told["code"] in {"invalid", "not_found"}
        assert told["message"]
        assert done.stdout == ""


def test_reading_commands_agree_with_each_other(hello: Project) -> None:
    run_id = hello.run("run", "hello.yaml").stdout.strip()
    events = [
        json.loads(line) for line in hello.run("events", run_id, "--json").stdout.splitlines()
    ]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert [line["type"] for line in hello.log_lines(run_id)] == [event["type"] for event in events]
    logged = hello.run("events", run_id, "--log", "--json").stdout.splitlines()
    assert [json.loads(line)["version"] for line in logged] == list(range(1, len(events) + 1))
    assert (
        len(hello.run("events", run_id, "--log", "--after", "3").stdout.splitlines())
        == len(events) - 3
    )
    text = hello.run("events", run_id).stdout.splitlines()
    assert len(text) == len(events)
    timeline = hello.json("timeline", run_id)
    assert [task["status"] for task in timeline["tasks"]] == ["completed", "completed"]
    assert run_id in hello.run("timeline", run_id).stdout
    assert run_id in hello.run("runs", "list").stdout
    assert hello.json("runs", "list", "--status", "failed") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["runz"], 2, "Did you mean 'run'?"),
        (["run", "missing.yaml"], 6, "missing.yaml"),
        (["run", "."], 2, "directory"),
        (["runs", "show", "r_nobody"], 6, "aureus runs list"),
        (["runs", "cancel", "r_nobody"], 6, "r_nobody"),
        (["approve", "r_nobody"], 6, "r_nobody"),
        (["events", "r_nobody"], 6, "r_nobody"),
        (["run", "hello.yaml", "--tenant", ""], 2, "tenant"),
        (["run", "hello.yaml", "--event-log-type", "paper"], 2, "filesystem"),
        (["run", "hello.yaml", "--state-store-type", "oracle"], 2, "oracle"),
        (["run", "hello.yaml", "--database-url", "mysql://x"], 2, "mysql"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_remedy_and_code(
    hello: Project, arguments: list[str], code: int, said: str
) -> None:
    if "r_nobody" in arguments:
        assert hello.run("db", "init").returncode == 0
    done = hello.run(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_every_problem_of_a_file_is_reported_at_once_with_its_place(project: Project) -> None:
    project.write(
        "bad.yaml",
        "id: x\nname: X\ntasks:\n  - {id: a, toolNmae: sleep}\n  - {id: a, needs: [b]}\n",
    )
    done = project.run("run", "bad.yaml")
    assert done.returncode == 2
    for said in (
        'bad.yaml:4:13: error: unknown field "toolNmae"',
        "bad.yaml:5:",
        'Did you mean "toolName"?',
    ):
        assert said in done.stderr, done.stderr
    assert not (project.folder / "var").exists(), "nothing is made for a file that cannot run"


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    project = Project(tmp_path, "postgresql://ada:s3cret@127.0.0.1:1/things")
    project.write("hello.yaml", HELLO)
    done = project.run("run", "hello.yaml")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    shown = project.run("config", "show")
    assert "s3cret" not in shown.stdout + shown.stderr
    assert "ada:***@127.0.0.1:1" in shown.stdout


def test_a_database_url_that_merely_lies_around_is_not_migrated_in_silence(tmp_path: Path) -> None:
    project = Project(tmp_path, None)
    project.environment["DATABASE_URL"] = "postgresql://db.example.invalid/x?sslmode=disable"
    shown = json.loads(project.run("config", "show", "--json").stdout)
    origins = {row["setting"]: row["origin"] for row in shown}
    assert origins["database.url"] == "environment DATABASE_URL"


def test_in_memory_means_that_nothing_is_kept(tmp_path: Path) -> None:
    project = Project(tmp_path, None)
    project.write("hello.yaml", HELLO)
    done = project.run("run", "hello.yaml", "--state-store-type", "in-memory")
    assert done.returncode == 0, done.stderr
    assert "SQLite in memory" in done.stderr
    assert not (tmp_path / "var" / "aureus.db").exists()
    assert (tmp_path / "var" / "run" / done.stdout.strip()).is_dir()


def test_a_full_disk_is_said_and_nothing_is_damaged(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writing beyond it fails as on a full one."""
    project = Project(tmp_path, None)
    project.write("hello.yaml", HELLO)
    assert project.run("run", "hello.yaml").returncode == 0
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "from aureus.cli.main import main; sys.argv = ['aureus', 'run', 'hello.yaml']; main()"
    )
    full = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    again = project.run("run", "hello.yaml")
    assert again.returncode == 0, again.stderr


def test_the_schema_commands_create_show_and_print_it(tmp_path: Path) -> None:
    project = Project(tmp_path, None)
    assert project.run("db", "status").returncode == 1
    assert not (tmp_path / "var").exists()
    assert "applied 0001_initial" in project.run("db", "init").stdout
    assert project.run("db", "migrate").stderr.strip().endswith("the schema is up to date")
    assert project.json("db", "status")["missing"] == []
    assert "CREATE TABLE" in project.run("db", "sql").stdout


def test_help_lists_every_command() -> None:
    said = CliRunner().invoke(aureus, ["--help"]).stdout
    assert all(name in said for name in COMMANDS)


def test_every_command_has_help_that_matches_the_table() -> None:
    from importlib import import_module

    for entry in COMMANDS.values():
        command = getattr(import_module(entry.module), entry.name)
        assert command.help
        assert (
            command.get_short_help_str(200).rstrip(".") in entry.help
            or entry.help.rstrip(".") in (command.help.splitlines()[0])
        )


def test_what_is_stored_cannot_steer_the_terminal(tmp_path: Path) -> None:
    project = Project(tmp_path, None)
    text = r"\u001b[31mred\u001b]0;title\u0007"
    project.write(
        "esc.yaml",
        f'id: esc\nname: Esc\ntasks:\n  - {{id: a, toolName: wait-for-approval, inputs: {{message: "{text}"}}}}\n',
    )
    done = project.run("run", "esc.yaml")
    assert done.returncode == 3, done.stderr
    shown = project.run("runs", "show", done.stdout.strip())
    assert "\x1b]" not in done.stderr + shown.stdout
    assert "\x07" not in done.stderr + shown.stdout


def test_a_run_may_be_named_and_goes_on_under_its_name(project: Project) -> None:
    project.write("r.yaml", f"id: r\nname: R\ntasks:\n{recording('a')}")
    first = project.run("run", "r.yaml", "--run-id", "tides-1")
    assert first.stdout.strip() == "tides-1"
    again = project.run("run", "r.yaml", "--run-id", "tides-1")
    assert again.returncode == 0, again.stderr
    assert len(project.effects()) == 1
    assert project.run("run", "r.yaml", "--new").stdout.strip() != "tides-1"
