"""``aureus snapshots``: what agents were at one moment; and who may go back there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import ago, day_time, note, plain_text, show_json, show_table, utc_now
from aureus.cli.session import actor_option, database_options, json_option, opened, settings_of
from aureus.errors import Invalid
from aureus.model.rollbacks import RollbackApprovalStatus
from aureus.model.workflows import RiskTier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aureus.model.rollbacks import RollbackApproval, SnapshotChange
    from aureus.model.snapshots import Snapshot, SnapshotPart, SnapshotScope

_TIERS = click.Choice([tier.value for tier in RiskTier])


@click.group()
def snapshots() -> None:
    """Take, list, verify and delete snapshots of agents; approve going back to them."""


@snapshots.command("list")
@click.option("--agent", "agent_id", metavar="ID", help="Only snapshots of this agent.")
@click.option("--run", "run_id", metavar="ID", help="Only those that this run took.")
@click.option("--task", "task_id", metavar="ID", help="Only those that this task took.")
@click.option("--memory", "memory_id", metavar="ID", help="Only those that point to this memory.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--verified", "verified_only", is_flag=True, help="Only those found intact.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def list_snapshots(*, limit: int, as_json: bool, **flags: Any) -> None:
    """List snapshots, newest first."""
    names = ("agent_id", "run_id", "task_id", "memory_id", "tag", "verified_only")
    filters = {name: flags.pop(name) for name in names}
    with opened(flags) as client:
        found = client.snapshots.list(limit=limit, **filters)
    if as_json:
        show_json([snapshot.to_dict() for snapshot in found])
        return
    now = utc_now()
    show_table(
        ("SNAPSHOT", "OF", "TAKEN", "STATES", "MEMORIES", "VERIFIED", "RISK"),
        [
            (
                snapshot.snapshot_id,
                _of(snapshot.scope),
                ago(snapshot.created_at, now),
                str(snapshot.state_count),
                str(snapshot.memory_count),
                "yes" if snapshot.is_verified else "no",
                snapshot.risk.value,
            )
            for snapshot in found
        ],
    )
    if not found:
        note("no snapshots; `aureus snapshots create --agent ID` takes one")


@snapshots.command()
@click.option("--agent", "agent_id", metavar="ID", help="Its sessions and memories.")
@click.option("--user", "user_id", metavar="ID", help="Only memories of this user.")
@click.option("--namespace", metavar="NAME", help="Only memories of this namespace.")
@click.option("--scope", "world_scope", metavar="NAME", help="This scope of the world state.")
@click.option(
    "--session", "session_ids", metavar="ID", multiple=True, help="Only this session; repeatable."
)
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag; repeatable.")
@click.option("--id", "snapshot_id", metavar="ID", help="Its id; the same again returns it.")
@click.option("--risk", "risk_tier", type=_TIERS, help="How bad going back may be.")
@click.option(
    "--at-size",
    "size",
    type=click.IntRange(1),
    help="Of an earlier moment: the size of the ledger then.",
)
@click.option("--root", metavar="HEX", help="With --at-size: the root of the head that says so.")
@database_options
@actor_option
@json_option
def create(
    *,
    session_ids: Sequence[str],
    size: int | None,
    root: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Take a snapshot of an agent, of a scope of the world state, or of both; print its id."""
    names = (
        "agent_id", "user_id", "namespace", "world_scope", "tags", "risk_tier", "snapshot_id",
    )  # fmt: skip
    given = {name: flags.pop(name) for name in names}
    actor = settings_of(flags).actor
    if root is not None and size is None:
        raise Invalid("--root belongs to --at-size: a head has both")
    if size is not None and session_ids:
        raise Invalid("sessions keep only their newest document; leave --session out")
    with opened(flags) as client:
        if size is None:
            snapshot = client.snapshots.create(
                **given, session_ids=session_ids or None, actor=actor
            )
        else:
            snapshot = client.snapshots.reconstruct(
                **given, size=size, root=_bytes_of(root), actor=actor
            )
    if as_json:
        show_json(snapshot.to_dict())
        return
    click.echo(snapshot.snapshot_id)
    note(
        f"{snapshot.state_count} keys and sessions, {snapshot.memory_count} memories; "
        f"ledger at {snapshot.ledger_size:,}"
    )


@snapshots.command()
@click.argument("snapshot_id", metavar="SNAPSHOT")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@database_options
@json_option
def show(*, snapshot_id: str, limit: int, as_json: bool, **flags: Any) -> None:
    """Show a snapshot and what it holds."""
    with opened(flags) as client:
        snapshot = client.snapshots.get(snapshot_id)
        parts = client.snapshots.list_parts(snapshot_id, limit=limit)
    if as_json:
        shown = [
            {
                "kind": part.kind.value,
                "place": part.place,
                "name": part.name,
                "version": part.version,
                "hash": part.hash.hex(),
                "content": part.content,
                "erasure_record_id": part.erasure_record_id,
            }
            for part in parts
        ]
        show_json({**snapshot.to_dict(), "parts": shown})
        return
    _show_head(snapshot)
    show_table(
        ("KIND", "NAME", "VERSION", "CONTENT"),
        [(part.kind.value, _name(part), str(part.version), _shown(part)) for part in parts],
    )
    if len(parts) < snapshot.part_count:
        note(f"{snapshot.part_count - len(parts):,} more")


@snapshots.command()
@click.argument("snapshot_id", metavar="SNAPSHOT")
@database_options
@json_option
def verify(*, snapshot_id: str, as_json: bool, **flags: Any) -> None:
    """Compute a snapshot anew, down to the ledger; exit code 5 names what was changed."""
    with opened(flags) as client:
        found = client.snapshots.verify(snapshot_id)
    if as_json:
        show_json(found.to_dict())
        return
    click.echo(f"intact: {found.snapshot.part_count} parts, root {found.snapshot.root.hex()}")
    if found.erased:
        note(f"removed for good since: {', '.join(map(plain_text, found.erased))}")
    for record_id in found.erasure_records:
        note(f"erased by record {record_id}")


@snapshots.command()
@click.argument("snapshot_id", metavar="SNAPSHOT")
@click.argument("other_id", metavar="[OTHER]", required=False)
@database_options
@json_option
def diff(*, snapshot_id: str, other_id: str | None, as_json: bool, **flags: Any) -> None:
    """List what differs from a snapshot by now, or in another one."""
    with opened(flags) as client:
        changes = client.snapshots.diff(snapshot_id, other_id)
    if as_json:
        show_json([change.to_dict() for change in changes])
        return
    show_changes(changes)


@snapshots.command()
@click.argument("snapshot_id", metavar="SNAPSHOT")
@click.option("--reason", metavar="TEXT", help="Why; kept with the event.")
@database_options
@actor_option
@json_option
def delete(*, snapshot_id: str, reason: str | None, as_json: bool, **flags: Any) -> None:
    """Remove a snapshot; what it points to stays."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        client.snapshots.get(snapshot_id)
        gone = client.snapshots.delete(snapshot_id, actor=actor, reason=reason)
    if as_json:
        show_json({"deleted": gone})
    else:
        click.echo("deleted")


@snapshots.command()
@click.option("--status", type=click.Choice([status.value for status in RollbackApprovalStatus]))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def approvals(*, status: str | None, limit: int, as_json: bool, **flags: Any) -> None:
    """List the questions whether an agent may go back, newest first."""
    with opened(flags) as client:
        found = client.snapshots.list_approvals(
            status=None if status is None else RollbackApprovalStatus(status), limit=limit
        )
    if as_json:
        show_json([approval.to_dict() for approval in found])
        return
    show_table(
        ("APPROVAL", "SNAPSHOT", "RISK", "STATUS", "ASKED BY", "UNTIL"),
        [
            (
                approval.approval_id,
                approval.snapshot_id,
                approval.risk.value,
                approval.status.value,
                approval.requested_by,
                day_time(approval.expires_at),
            )
            for approval in found
        ],
    )
    if not found:
        note("nobody has asked")


@snapshots.command()
@click.argument("approval_id", metavar="APPROVAL")
@click.option("--reason", metavar="TEXT", help="Why; kept with the answer.")
@database_options
@actor_option
@json_option
def approve(*, approval_id: str, reason: str | None, as_json: bool, **flags: Any) -> None:
    """Allow one rollback to the snapshot that was asked about."""
    _decide(approval_id, reason, flags, approve=True, as_json=as_json)


@snapshots.command()
@click.argument("approval_id", metavar="APPROVAL")
@click.option("--reason", metavar="TEXT", help="Why; kept with the answer.")
@database_options
@actor_option
@json_option
def deny(*, approval_id: str, reason: str | None, as_json: bool, **flags: Any) -> None:
    """Refuse the rollback that was asked about."""
    _decide(approval_id, reason, flags, approve=False, as_json=as_json)


def show_changes(changes: Sequence[SnapshotChange]) -> None:
    """Print changes as a table."""
    show_table(
        ("KIND", "NAME", "CHANGE", "WAS", "IS", "ROLLBACK"),
        [
            (
                change.kind.value,
                _name(change),
                change.change.value,
                _version(change.version_before),
                _version(change.version_after),
                "-" if change.remedy is None else change.remedy.value,
            )
            for change in changes
        ],
    )
    if not changes:
        note("nothing differs")


def _decide(
    approval_id: str, reason: str | None, flags: dict[str, Any], *, approve: bool, as_json: bool
) -> None:
    actor = settings_of(flags).actor
    with opened(flags) as client:
        decided: RollbackApproval = client.snapshots.decide_approval(
            approval_id, approve=approve, decided_by=actor, reason=reason
        )
    if as_json:
        show_json(decided.to_dict())
    else:
        click.echo(decided.status.value)


def _show_head(snapshot: Snapshot) -> None:
    click.echo(f"snapshot  {plain_text(snapshot.snapshot_id)}")
    click.echo(f"of        {plain_text(_of(snapshot.scope))}")
    click.echo(f"taken     {day_time(snapshot.created_at)} by {plain_text(snapshot.created_by)}")
    click.echo(f"ledger    {snapshot.ledger_size:,} entries, root {snapshot.ledger_root.hex()}")
    click.echo(f"root      {snapshot.root.hex()}")
    state = "verified" if snapshot.is_verified else "not verified"
    click.echo(f"state     {state} ({day_time(snapshot.verified_at)}), risk {snapshot.risk.value}")


def _of(scope: SnapshotScope) -> str:
    parts = [] if scope.agent_id is None else [scope.agent_id]
    if scope.user_id is not None:
        parts.append(f"user {scope.user_id or '(none)'}")
    if scope.world_scope is not None:
        parts.append(f"world state {scope.world_scope}")
    return ", ".join(parts)


def _name(part: SnapshotPart | SnapshotChange) -> str:
    return "/".join(filter(None, (part.place, part.name)))


def _version(version: int | None) -> str:
    return "-" if version is None else str(version)


def _shown(part: SnapshotPart) -> str:
    if part.is_erased:
        return "(erased)"
    text = plain_text(part.content or "")
    return text if len(text) <= 60 else f"{text[:59]}…"


def _bytes_of(root: str | None) -> bytes | None:
    if root is None:
        return None
    try:
        return bytes.fromhex(root)
    except ValueError as error:
        raise Invalid(f"--root is no hexadecimal number: {root[:80]}") from error
