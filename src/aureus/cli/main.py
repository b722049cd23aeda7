"""The command ``aureus``: finds the command that was asked for, and ends with the right exit code.

``aureus --help`` must answer at once, so nothing is imported here that only one command needs: a command is named by
its module, and its short help stands in the table below. A test holds the table against the commands.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from aureus._version import __version__

if TYPE_CHECKING:
    from aureus.errors import AureusError


class Entry(NamedTuple):
    """Where a command is, and what it does in a few words."""

    module: str
    name: str
    help: str


COMMANDS: dict[str, Entry] = {
    "run": Entry(
        "aureus.cli.run", "run", "Run a workflow file, or go on with an unfinished run of it."
    ),
    "validate": Entry("aureus.cli.run", "validate", "Check a workflow file without running it."),
    "runs": Entry("aureus.cli.runs", "runs", "List, show, resume and cancel runs."),
    "timeline": Entry(
        "aureus.cli.timeline",
        "timeline",
        "Show what a run did: each task with its start, its time and its end.",
    ),
    "events": Entry(
        "aureus.cli.events",
        "events",
        "Append to streams of events, list them, read them, follow them.",
    ),
    "subscriptions": Entry(
        "aureus.cli.subscriptions",
        "subscriptions",
        "List and show subscriptions, and decide about what they could not handle.",
    ),
    "memory": Entry(
        "aureus.cli.memories",
        "memory",
        "Add, find, list, show and forget memories, and list their versions.",
    ),
    "sessions": Entry(
        "aureus.cli.sessions", "sessions", "List, show, delete and adopt sessions of agents."
    ),
    "state": Entry(
        "aureus.cli.state",
        "state",
        "Read and set the world state: versioned keys that agents share.",
    ),
    "snapshots": Entry(
        "aureus.cli.snapshots",
        "snapshots",
        "Take, list, verify and delete snapshots of agents; approve going back to them.",
    ),
    "rollback": Entry(
        "aureus.cli.rollback",
        "rollback",
        "Go back to a snapshot: world state, sessions and memories, as new versions.",
    ),
    "approve": Entry(
        "aureus.cli.approvals", "approve", "Let a task go on that waits for approval."
    ),
    "deny": Entry("aureus.cli.approvals", "deny", "Refuse a task that waits for approval."),
    "profiles": Entry(
        "aureus.cli.profiles", "profiles", "List, show and delete what agents know about users."
    ),
    "hypotheses": Entry(
        "aureus.cli.hypotheses",
        "hypotheses",
        "List and show what agents believe, and how well they learn.",
    ),
    "audit": Entry(
        "aureus.cli.audit",
        "audit",
        "Show, verify and export the audit trail, and say what it records.",
    ),
    "ledger": Entry(
        "aureus.cli.ledger",
        "ledger",
        "Seal, sign, prove and verify what was recorded.",
    ),
    "erase": Entry(
        "aureus.cli.erase",
        "erase",
        "Remove what the database holds about a person, for good and on record.",
    ),
    "subject-keys": Entry(
        "aureus.cli.subject_keys",
        "subject_keys",
        "Make and replace the key that protects the keys of people.",
    ),
    "db": Entry("aureus.cli.db", "db", "Create, upgrade and look at the database schema."),
    "config": Entry("aureus.cli.config", "config", "Show the settings and where they come from."),
    "version": Entry(
        "aureus.cli.version", "version", "Show the versions of Aureus and of what it stands on."
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        found: click.Command = getattr(import_module(entry.module), entry.name)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the name of a command; an option of a command is told its place."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            message = (
                f"{name} is no option of `aureus` itself; those of a command stand behind it, "
                f"as in `aureus runs list {name} …`."
            )
            raise click.NoSuchOption(name, message, error.possibilities, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of an argument list; a near miss is named."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `aureus --help` lists the commands."
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


_HELP = """Durable memory and state for AI agents: workflows that survive kill -9.

\b
aureus run workflow.yaml       run it; after a crash, the same command goes on
aureus runs list               what ran, runs and waits
aureus timeline RUN            what a run did
"""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, help=_HELP)
@click.version_option(__version__, prog_name="aureus", message="%(prog)s %(version)s")
def aureus() -> None:
    """Find the command and carry it out."""


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    from aureus.errors import AureusError

    _print_what_a_terminal_lacks()
    try:
        code = aureus.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        code = _report_usage(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130
    except AureusError as error:
        code = _report(error)
    except OSError as error:  # what was stored stands; only the telling of it failed
        code = _report_lost_output(error)
    sys.exit(code if isinstance(code, int) else 0)


def _print_what_a_terminal_lacks() -> None:
    """Let a stream of another encoding than UTF-8 show what it lacks by its number instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report_lost_output(error: OSError) -> int:
    """Say that standard output cannot be written, and keep the interpreter from trying again when it ends."""
    with suppress(OSError):
        click.echo(
            f"error: the output cannot be written: {os.strerror(error.errno or 0)}", err=True
        )
    with Path(os.devnull).open("wb") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    return 1


def _report(error: AureusError) -> int:
    from aureus.cli.output import exit_code_of, show_error

    show_error(error, as_json=_wants_json())
    return exit_code_of(error)


def _report_usage(error: click.ClickException) -> int:
    """Say what is wrong with the words of a command; as JSON it is an ``Invalid`` like any other."""
    if _wants_json():
        from aureus.errors import Invalid

        _report(Invalid(error.format_message()))
    else:
        error.show()
    return error.exit_code


def _wants_json() -> bool:
    return "--json" in sys.argv[1:]
