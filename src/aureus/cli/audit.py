"""``aureus audit``: the audit trail, found, shown, verified and exported, and what it records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from aureus.cli.output import (
    EXIT_INTEGRITY,
    day_time,
    mark,
    note,
    plain_text,
    show_json,
    show_table,
)
from aureus.cli.session import actor_option, database_options, json_option, opened, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aureus.client import Aureus
    from aureus.ledger.exports import ExportProof
    from aureus.model.audit import AuditEntry, AuditFilters, EntryVerification

_FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--actor", metavar="NAME", help="Who did it."),
    click.option("--action", metavar="NAME", help="What was done, such as memory.delete."),
    click.option("--resource", metavar="NAME", help="To what."),
    click.option("--outcome", metavar="NAME", help="How it ended: success, failure, denied …"),
    click.option("--correlation-id", metavar="ID", help="What it belonged to."),
    click.option("--run", "run_id", metavar="RUN", help="The run that it refers to."),
    click.option("--task", "task_id", metavar="TASK", help="The task that it refers to."),
    click.option("--step", "step_id", metavar="STEP", help="The step that it refers to."),
    click.option("--source-event", "source_event_id", metavar="EVENT", help="An event behind it."),
    click.option("--since", metavar="TIME", help="From this time on; UTC where it names no zone."),
    click.option("--until", metavar="TIME", help="Before this time."),
)

_NAMES = (
    "actor", "action", "resource", "outcome", "correlation_id", "run_id", "task_id", "step_id", "source_event_id",
)  # fmt: skip

_VALUE_CHARACTERS = 60
"""Characters of a value that a person is shown."""


def _filter_options(command: Any) -> Any:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Show, verify and export the audit trail, and say what it records."""


@audit.command("list")
@_filter_options
@click.option("--newest", "newest_first", is_flag=True, help="The newest first.")
@click.option("--limit", type=click.IntRange(1, 2000), default=100, show_default=True)
@click.option("--cursor", metavar="CURSOR", help="Go on behind the page that ended with this.")
@database_options
@json_option
def list_entries(
    *, newest_first: bool, limit: int, cursor: str | None, as_json: bool, **flags: Any
) -> None:
    """List entries, oldest first; a page may be short, and its cursor then leads on."""
    filters = _filters(flags)
    with opened(flags) as client:
        page = client.audit.list(newest_first=newest_first, cursor=cursor, limit=limit, **filters)
    if as_json:
        show_json({"entries": [entry.to_dict() for entry in page.entries], "cursor": page.cursor})
        return
    show_table(("WHEN", "ACTOR", "ACTION", "OUTCOME", "RESOURCE", "ENTRY"), map(_row, page.entries))
    if page.cursor is not None:
        note(f"there may be more: --cursor {page.cursor}")
    elif not page.entries:
        note("nothing there")


@audit.command()
@click.argument("event_id", metavar="ENTRY")
@database_options
@json_option
def show(*, event_id: str, as_json: bool, **flags: Any) -> None:
    """Show one entry: who did what to what, and what it changed."""
    with opened(flags) as client:
        entry = client.audit.get(event_id)
    if as_json:
        show_json(entry.to_dict())
        return
    for name, value in _lines(entry):
        click.echo(f"{name:<12}{plain_text(value)}")
    for one in entry.diff:
        sign, colour = {"added": ("+", "green"), "removed": ("-", "red")}.get(
            one.kind.value, ("~", "yellow")
        )
        values = one.to_dict()
        told = " → ".join(_short(values[side]) for side in ("before", "after") if side in values)
        click.echo(f"{mark(sign, colour)} {plain_text(one.pointer or '(all of it)')}  {told}")


@audit.command()
@click.argument("mode", metavar="[MODE]", required=False)
@actor_option
@database_options
@json_option
def mode(*, mode: str | None, as_json: bool, **flags: Any) -> None:
    """Show what the trail of the tenant records, or set it: decisions, all, off, or default.

    `default` goes back to what the setting audit.mode says. Setting it is itself recorded, also with `off`.
    """
    actor = settings_of(flags).actor
    with opened(flags, creates=mode is not None) as client:
        if mode is None:
            found = client.audit.get_mode()
        else:
            found = client.audit.set_mode(None if mode == "default" else mode, actor=actor)
    if as_json:
        show_json(found.to_dict())
        return
    click.echo(found.mode.value)
    if found.is_default:
        note("as the settings say")
    else:
        note(f"set by {plain_text(found.changed_by or '')}, {day_time(found.changed_at)}")


@audit.command()
@click.argument("event_id", metavar="[ENTRY]", required=False)
@click.option("--from", "first", type=click.IntRange(0), metavar="POSITION", help="Only from here.")
@click.option("--to", "end", type=click.IntRange(0), metavar="POSITION", help="Only before here.")
@click.option(
    "--export", type=click.Path(path_type=Path), metavar="FILE",
    help="Verify this export, with the proof in FILE.proof, instead of a database.",
)  # fmt: skip
@click.option(
    "--key", "keys", multiple=True, metavar="KEY",
    help="Public key of whom you trust to sign, or a file with such keys; may be given often.",
)  # fmt: skip
@database_options
@json_option
def verify(
    *,
    event_id: str | None,
    first: int | None,
    end: int | None,
    export: Path | None,
    keys: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Verify one entry, a range of positions, or all that is sealed; exit code 5 when something is wrong."""
    from aureus.cli.verifying import public_keys, show_report, verify_export_files

    if sum((event_id is not None, export is not None, first is not None or end is not None)) > 1:
        raise click.UsageError("ENTRY, --from with --to, and --export exclude each other")
    trusted = public_keys(keys, settings_of(flags))
    if export is not None:
        report = verify_export_files(export, _proof_of(export), trusted)
        show_report(report, as_json=as_json)
        return
    with opened(flags) as client:
        if event_id is not None:
            _show_entry(client.audit.verify_entry(event_id), as_json=as_json)
            return
        if first is None and end is None:
            report = client.audit.verify_all(keys=trusted)
        else:
            report = client.audit.verify_range(first or 0, end)
    show_report(report, as_json=as_json)


@audit.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@_filter_options
@click.option(
    "--whole", is_flag=True, help="Every event of the tenant, which proves that none is missing."
)
@database_options
@json_option
def export(*, file: Path, whole: bool, as_json: bool, **flags: Any) -> None:
    """Write entries as JSON lines into FILE and their proof into FILE.proof; they verify without a database."""
    filters = _filters(flags)
    with opened(flags) as client:
        proof, count = _write(client, file, filters, whole=whole)
    if not proof.signed_heads:
        note(f"{mark('NOT ANCHORED', 'yellow')}: no head was signed yet; see `aureus ledger sign`")
    if as_json:
        told = {"file": str(file), "proof": str(_proof_of(file)), "entry_count": count}
        show_json({**told, "head": proof.head.to_dict()})
    else:
        entries = "1 entry" if count == 1 else f"{count:,} entries"
        click.echo(
            f"{file}, {_proof_of(file)}: {entries}, under the head of size {proof.head.size}"
        )


@audit.command()
@click.option(
    "--before",
    metavar="TIME",
    required=True,
    help="Only entries older than this; UTC without a zone.",
)
@click.option("--reason", metavar="TEXT", default="", help="Why; it is recorded.")
@actor_option
@database_options
@json_option
def prune(*, before: str, reason: str, as_json: bool, **flags: Any) -> None:
    """Remove what the oldest sealed entries held, on record; their hashes stay, and every proof holds."""
    moment = _moment(before, "--before")
    actor = settings_of(flags).actor
    assert moment is not None  # noqa: S101 - the option is required
    with opened(flags) as client:
        done = client.audit.prune(moment, actor=actor, reason=reason)
    if as_json:
        show_json(done.to_dict())
    else:
        click.echo(f"{done.pruned_count} entries, up to position {done.pruned_to}")


def _write(
    client: Aureus, file: Path, filters: AuditFilters, *, whole: bool
) -> tuple[ExportProof, int]:
    """Write both files, neither over another one, and none that is not whole; count the entries."""
    from aureus.errors import AlreadyExists, Invalid

    made: list[Path] = []
    try:
        with file.open("xb") as lines:
            made.append(file)
            proof = client.audit.export(lines, whole=whole, **filters)
        with file.open("rb") as lines:
            count = sum(not line.startswith(b'{"level"') for line in lines)
        with _proof_of(file).open("x", encoding="utf-8") as beside:
            made.append(_proof_of(file))
            beside.write(str(proof))
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise AlreadyExists(
                f"{error.filename} is there already; name another file", path=str(error.filename)
            ) from error
        if isinstance(error, OSError):
            raise Invalid(f"{file} cannot be written: {error.strerror}", path=str(file)) from error
        raise
    return proof, count


def _proof_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.proof")


def _filters(flags: dict[str, Any]) -> AuditFilters:
    """Take the filters out of the flags."""
    found: dict[str, Any] = {name: flags.pop(name) for name in _NAMES}
    for name in ("since", "until"):
        found[name] = _moment(flags.pop(name), f"--{name}")
    return cast("AuditFilters", found)


def _moment(text: str | None, what: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time, such as 2026-05-01 or 2026-05-01T12:00:00Z", param_hint=what
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _row(entry: AuditEntry) -> tuple[str, ...]:
    return (
        day_time(entry.occurred_at),
        entry.actor,
        entry.action,
        entry.outcome,
        entry.resource or "",
        entry.event_id,
    )


def _lines(entry: AuditEntry) -> list[tuple[str, str]]:
    """Return what there is to say about an entry, without what is absent."""
    shown = entry.to_dict()
    lines = [
        ("entry", entry.event_id),
        ("when", shown["occurred_at"]),
        ("actor", entry.actor),
        ("action", entry.action),
        ("resource", entry.resource or ""),
        ("outcome", entry.outcome),
        ("correlation", entry.correlation_id or ""),
        ("sources", ", ".join(entry.source_event_ids)),
    ]
    lines += [
        (name, _text(shown[name])) for name in ("provenance", "metadata", "details") if shown[name]
    ]
    if entry.is_redacted:
        lines.append(("payload", "erased; its hash is still proved"))
    return [(name, value) for name, value in lines if value]


def _text(value: Any) -> str:
    from aureus.codec import encode_text

    return encode_text(value)


def _short(value: Any) -> str:
    text = plain_text(_text(value))
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[: _VALUE_CHARACTERS - 1]}…"


def _show_entry(found: EntryVerification, *, as_json: bool) -> None:
    if as_json:
        show_json(found.to_dict())
    else:
        where = "not sealed yet" if found.position is None else f"position {found.position}"
        redacted = ", payload erased" if found.is_redacted else ""
        verdict = mark("intact", "green") if found.is_intact else mark("BROKEN", "red")
        click.echo(f"{verdict}: {where}{redacted}")
        for one in found.findings:
            click.echo(f"{one.kind.value}: {one.message}")
    if not found.is_intact:
        raise click.exceptions.Exit(EXIT_INTEGRITY)
