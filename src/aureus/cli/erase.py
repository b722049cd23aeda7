"""``aureus erase``: remove what the database holds about a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import note, plain_text, show_json, show_table
from aureus.cli.session import (
    actor_option,
    database_options,
    json_option,
    opened,
    run_log_options,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aureus.model.erasures import Erasure


@click.command()
@click.argument("subject", metavar="SUBJECT")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why; kept for ever, so without the name."
)
@click.option(
    "--session", "sessions", multiple=True, metavar="AGENT/SESSION", help="Erase this session too."
)
@click.option(
    "--collection", default="sessions", metavar="NAME", help="The collection of those sessions."
)
@click.option(
    "--state",
    "world_state",
    nargs=2,
    multiple=True,
    metavar="SCOPE KEY",
    help="Take every value that this key of the world state had, too.",
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    help="Take inputs, results and messages from this run too; it must have ended.",
)
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="NAME",
    help="Erase the payloads of this stream too.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what there is.")
@click.option(
    "--scrub/--no-scrub",
    default=None,
    help="Compact the file or the tables; default on SQLite only.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_options
@run_log_options
@actor_option
@json_option
def erase(
    *,
    subject: str,
    reason: str,
    sessions: Sequence[str],
    collection: str,
    streams: Sequence[str],
    runs: Sequence[str],
    world_state: Sequence[tuple[str, str]],
    dry_run: bool,
    scrub: bool | None,
    yes: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Remove what the database holds about a person, for good and on record.

    SUBJECT is the name that memories, profiles, hypotheses and events know the person by: as their user or as their
    subject. The entries of events stay, without what they said, so that every proof still holds.
    """
    from aureus.errors import NotFound  # `aureus --help` does without

    named = [_session(text, collection) for text in sessions]
    actor = settings_of(flags).actor
    with opened(flags) as client:
        known: dict[str, Any] = {
            "reason": reason,
            "actor": actor,
            "sessions": named,
            "streams": streams,
            "runs": runs,
            "world_state": world_state,
        }
        report = found = client.erasure.erase(subject, dry_run=True, **known)
        if not dry_run:
            if not (found.is_empty or yes):
                _confirm(found)
            # Also where nothing is found: one that was killed may have left the index or the file undone.
            report = client.erasure.erase(subject, scrub=scrub, **known)
    if as_json:
        show_json(report.to_dict())
    else:
        _show(report)
    if found.is_empty:
        raise NotFound(f"nothing is held about {subject!r}", subject=subject)


def _session(text: str, collection: str) -> tuple[str, str, str]:
    agent_id, slash, session_id = text.partition("/")
    if not (agent_id and slash and session_id):
        raise click.BadParameter(f"{text!r} is not AGENT/SESSION", param_hint="--session")
    return agent_id, session_id, collection


def _confirm(found: Erasure) -> None:
    if not _is_somebody_there():
        raise click.UsageError("nobody can be asked here; give --yes, or --dry-run to look only")
    counted = ", ".join(f"{count} {table}" for table, count in found.removed.items())
    click.confirm(
        plain_text(f"erase {counted} of {found.subject}? it cannot be undone"), abort=True, err=True
    )


def _is_somebody_there() -> bool:
    return sys.stdin.isatty()


def _show(report: Erasure) -> None:
    rows = [(table, str(count)) for table, count in report.removed.items()]
    rows += [
        (f"run log {run_id}", f"{count} lines") for run_id, count in report.run_log_lines.items()
    ]
    if rows:
        show_table(("WHERE", "FOUND" if report.is_dry_run else "ERASED"), rows)
    if report.record_ids:
        note(f"recorded in the stream erasures/{report.erasure_id}")
    for stream in report.kept_streams:
        note(plain_text(f"kept: the entries of {stream}, without what they said"))
    for name in report.named_sessions:
        note(
            plain_text(
                f"not erased: session {name.agent_id}/{name.session_id} ({name.collection}); --session names it"
            )
        )
    if report.is_dry_run:
        return
    if report.destroyed_keys:
        note(
            f"key destroyed: what {report.unreadable_count:,} payloads erased here said can be read in no older copy "
            "of the database either"
        )
    if report.scrub.is_done:
        note("the places of deleted rows were overwritten")
    for line in report.scrub.to_do:
        note(plain_text(f"to do: {line}"))
    for what in report.not_searched:
        note(f"not searched: {what}")
