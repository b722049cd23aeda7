"""``aureus rollback``: back to a snapshot, as new versions; with somebody's approval where the risk is high."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import EXIT_WAITING, note, plain_text, show_json
from aureus.cli.session import database_options, json_option, opened, settings_of
from aureus.cli.snapshots import show_changes
from aureus.errors import ApprovalRequired, Invalid
from aureus.model.rollbacks import RollbackApprovalStatus

if TYPE_CHECKING:
    from aureus.client import Aureus
    from aureus.model.rollbacks import Rollback, RollbackApproval
    from aureus.model.snapshots import Snapshot

_OPEN = {RollbackApprovalStatus.PENDING, RollbackApprovalStatus.APPROVED}


@click.command()
@click.option("--to", "snapshot_id", metavar="SNAPSHOT", required=True, help="Where to go back to.")
@click.option("--task", "task_id", metavar="ID", help="The task that took the snapshot.")
@click.option(
    "--user", "--actor", "actor", metavar="NAME", help="Who acts; default the login name."
)
@click.option("--reason", metavar="TEXT", help="Why; kept with the rollback.")
@click.option("--approval", "approval_id", metavar="ID", help="The approval that allows it.")
@click.option(
    "--approve-as", metavar="NAME", help="Ask for an approval and give it as this person."
)
@click.option("--four-eyes", is_flag=True, help="Ask so that somebody else has to approve.")
@click.option("--dry-run", is_flag=True, help="Only list what would change.")
@database_options
@json_option
def rollback(
    *,
    snapshot_id: str,
    task_id: str | None,
    reason: str | None,
    approval_id: str | None,
    approve_as: str | None,
    four_eyes: bool,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Go back to a snapshot: world state, sessions and memories, as new versions.

    A high risk needs an approval: the command asks for one and ends with exit code 3; once it is given, the same
    command goes on.
    """
    actor = settings_of(flags).actor
    with opened(flags) as client:
        snapshot = client.snapshots.get(snapshot_id)
        if task_id is not None and snapshot.task_id not in {None, task_id}:
            raise Invalid(
                f"snapshot {snapshot_id} was taken by task {snapshot.task_id}, not {task_id}; "
                f"`aureus snapshots list --task {task_id}` lists those of that task"
            )
        if dry_run:
            changes = client.snapshots.diff(snapshot_id)
            if as_json:
                show_json([change.to_dict() for change in changes])
            else:
                show_changes(changes)
            return
        chosen = approval_id
        if approve_as is not None:
            chosen = _approved_at_once(client, snapshot, actor, approve_as, reason, four_eyes)
        try:
            done = client.snapshots.restore(
                snapshot_id, actor=actor, reason=reason, approval_id=chosen
            )
        except ApprovalRequired:
            if chosen is not None:
                raise
            approval = _asked(client, snapshot, actor, reason, four_eyes)
            if approval.status is RollbackApprovalStatus.PENDING:
                _show_waiting(approval, as_json=as_json)
                raise click.exceptions.Exit(EXIT_WAITING) from None
            done = client.snapshots.restore(
                snapshot_id, actor=actor, reason=reason, approval_id=approval.approval_id
            )
    _show_done(done, as_json=as_json)


def _approved_at_once(
    client: Aureus, snapshot: Snapshot, actor: str, person: str, reason: str | None, four_eyes: bool
) -> str:
    asked = client.snapshots.request_approval(
        snapshot.snapshot_id, requested_by=actor, reason=reason, needs_another=four_eyes
    )
    client.snapshots.decide_approval(asked.approval_id, approve=True, decided_by=person)
    return asked.approval_id


def _asked(
    client: Aureus, snapshot: Snapshot, actor: str, reason: str | None, four_eyes: bool
) -> RollbackApproval:
    """Return the approval that an earlier call has asked for, if it is still good, else ask."""
    from aureus.cli.output import utc_now

    now = utc_now()
    for approval in client.snapshots.list_approvals(snapshot_id=snapshot.snapshot_id):
        is_good = approval.status in _OPEN and approval.expires_at > now
        is_good = is_good and approval.risk.rank >= snapshot.risk.rank
        if is_good and approval.requested_by == actor and approval.root == snapshot.root:
            return approval
    return client.snapshots.request_approval(
        snapshot.snapshot_id, requested_by=actor, reason=reason, needs_another=four_eyes
    )


def _show_waiting(approval: RollbackApproval, *, as_json: bool) -> None:
    if as_json:
        show_json({"status": "waiting", "approval": approval.to_dict()})
        return
    click.echo(approval.approval_id)
    note(
        f"this is a {approval.risk.value} risk and waits for an approval: "
        f"`aureus snapshots approve {approval.approval_id}`, then this command again"
    )


def _show_done(done: Rollback, *, as_json: bool) -> None:
    if as_json:
        show_json(done.to_dict())
        return
    click.echo(done.rollback_id)
    counts = ", ".join(f"{word} {count}" for word, count in done.counts.items())
    note(f"done: {counts or 'nothing differed'}")
    for change in done.kept:
        remedy = "left" if change.remedy is None else change.remedy.value
        note(f"not brought back: {change.kind.value} {plain_text(change.name)} ({remedy})")
    note(f"what was there before is snapshot {done.before_id}")
