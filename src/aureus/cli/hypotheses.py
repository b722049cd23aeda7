"""``aureus hypotheses``: list and show what agents believe, and how well they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import ago, day_time, note, plain_text, show_json, show_table, utc_now
from aureus.cli.session import database_options, json_option, opened
from aureus.model.hypotheses import HypothesisStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aureus.model.hypotheses import Evidence, Hypothesis


@click.group()
def hypotheses() -> None:
    """List and show what agents believe, and how well they learn."""


@hypotheses.command("list")
@click.option("--agent", "agent_id", metavar="ID", help="Only those of this agent.")
@click.option("--user", "user_id", metavar="ID", help="Only those about this user.")
@click.option("--status", type=click.Choice([status.value for status in HypothesisStatus]))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def list_hypotheses(
    *,
    agent_id: str | None,
    user_id: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """List hypotheses, newest first."""
    with opened(flags) as client:
        found = client.hypotheses.list(
            agent_id=agent_id, user_id=user_id, status=status, limit=limit
        )
    if as_json:
        show_json([hypothesis.to_dict() for hypothesis in found])
        return
    now = utc_now()
    show_table(
        ("HYPOTHESIS", "AGENT", "STATUS", "CONFIDENCE", "TESTS", "FORMED", "STATEMENT"),
        [
            (
                one.hypothesis_id,
                one.agent_id,
                one.status.value,
                f"{one.confidence:g}",
                str(one.test_count),
                ago(one.created_at, now),
                one.statement,
            )
            for one in found
        ],
    )
    if not found:
        note("no hypotheses")


@hypotheses.command()
@click.argument("hypothesis_id", metavar="HYPOTHESIS")
@database_options
@json_option
def show(*, hypothesis_id: str, as_json: bool, **flags: Any) -> None:
    """Show one hypothesis with its first 1,000 tests."""
    with opened(flags) as client:
        hypothesis = client.hypotheses.get(hypothesis_id)
        evidence = client.hypotheses.history(hypothesis_id, limit=1000)
    if as_json:
        show_json({**hypothesis.to_dict(), "evidence": [one.to_dict() for one in evidence]})
    else:
        _show(hypothesis, evidence)


@hypotheses.command()
@click.argument("agent_id", metavar="AGENT")
@click.option("--user", "user_id", metavar="ID", help="Only hypotheses about this user.")
@database_options
@json_option
def learning(*, agent_id: str, user_id: str | None, as_json: bool, **flags: Any) -> None:
    """Show what an agent's hypotheses came to, and its learning rate."""
    with opened(flags) as client:
        found = client.hypotheses.statistics(agent_id, user_id=user_id).to_dict()
    if as_json:
        show_json(found)
        return
    for name, value in found.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        click.echo(f"{name.removesuffix('_count').replace('_', ' '):<24}{shown}")


def _show(hypothesis: Hypothesis, evidence: Sequence[Evidence]) -> None:
    about = f", about {hypothesis.user_id}" if hypothesis.user_id else ""
    click.echo(plain_text(f"statement   {hypothesis.statement}"))
    click.echo(plain_text(f"agent       {hypothesis.agent_id}{about}"))
    click.echo(f"status      {hypothesis.status.value}")
    click.echo(f"confidence  {hypothesis.confidence:g}, at first {hypothesis.initial_confidence:g}")
    click.echo(f"formed      {day_time(hypothesis.created_at)}")
    click.echo(f"tested      {day_time(hypothesis.last_tested_at)}")
    click.echo()
    show_table(
        ("NO", "SIDE", "CONFIDENCE", "BY", "EVIDENCE"),
        [
            (
                str(one.evidence_no),
                one.side.value,
                f"{one.confidence_before:g} → {one.confidence_after:g}",
                one.agent_id,
                one.text,
            )
            for one in evidence
        ],
    )
