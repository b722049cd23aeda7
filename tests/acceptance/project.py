"""A user's project: a folder, a database, and ``aureus`` as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aureus.client import Aureus
from aureus.config import load
from tests.support.command_server import CommandServer
from tests.support.effects import read_effects
from tests.support.waiting import eventually

SECONDS_MAX = 60.0
"""A command that takes longer hangs."""

RECORD = """\
import json, os, sys
line = {"task": os.environ["AUREUS_TASK_ID"], "attempt": int(os.environ["AUREUS_ATTEMPT"]),
        "run": os.environ["AUREUS_RUN_ID"], "key": os.environ["AUREUS_IDEMPOTENCY_KEY"]}
handle = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.write(handle, (json.dumps(line) + "\\n").encode())
os.fsync(handle)
"""
"""What a task of a drill does: leave a line outside of Aureus, on the disk before it returns."""


class Project:
    """A folder in which ``aureus`` is run."""

    def __init__(self, folder: Path, url: str | None, server: CommandServer | None = None) -> None:
        self.folder = folder
        self._server = server
        self.effects_path = folder / "effects.jsonl"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONWARNINGS": "error",
            # A successor that had to wait for the lease would run into the test's own time limit.
            "AUREUS_ENGINE_LEASE_SECONDS": "3000",
        }
        if url is not None:
            self.environment["AUREUS_DATABASE_URL"] = url
        (folder / "record.py").write_text(RECORD)
        self._processes: list[subprocess.Popen[str]] = []

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``aureus`` with arguments."""
        process = subprocess.Popen(
            [sys.executable, "-m", "aureus", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``aureus`` to its end."""
        if self._server is not None:
            return self._server.run(arguments, environment=self.environment, directory=self.folder)
        process = self.start(*arguments)
        out, err = process.communicate(timeout=SECONDS_MAX)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *arguments: str) -> Any:
        """Run a reading command and return what it prints with --json."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def open(self) -> Aureus:
        """Open the project's database in this process."""
        return Aureus(settings=load(environ=self.environment, directory=self.folder))

    def effects(self) -> list[dict[str, Any]]:
        """Return what tasks left behind, in order; a torn last line is not a line."""
        return read_effects(self.effects_path)

    def await_effect(self, task: str) -> None:
        """Wait until a task has left its line."""
        eventually(
            lambda: any(effect["task"] == task for effect in self.effects()),
            f"the effect of {task}",
        )

    def log_lines(self, run_id: str) -> list[dict[str, Any]]:
        """Return the lines of a run's log."""
        path = self.folder / "var" / "run" / run_id / "events.log"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def end_all(self) -> None:
        """End what a test left running."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def recording(task: str, needs: str = "", seconds: float = 0.0) -> str:
    """Return a task in YAML that leaves a line and then takes some time."""
    code = f"import runpy, time; runpy.run_path('record.py', run_name='__main__'); time.sleep({seconds})"
    command = json.dumps([sys.executable, "-S", "-E", "-c", code, "effects.jsonl"])
    return (
        f"  - {{id: {task}, needs: [{needs}], toolName: command, inputs: {{command: {command}}}}}\n"
    )
