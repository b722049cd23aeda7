"""``aureus memory list`` and ``memory namespaces``: what an agent keeps, without a question to search for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import day_time, note, plain_text, show_json, show_table
from aureus.cli.session import database_options, json_option, opened

if TYPE_CHECKING:
    from aureus.model.memories import MemoryCriteria

_TEXT_CHARACTERS = 60
"""Characters of a text that a list shows."""


@click.command("list")
@click.option("--agent", "agent_id", metavar="ID", help="Only memories of this agent.")
@click.option("--user", "user_id", metavar="ID", help="Only memories of this user.")
@click.option("--session", "session_id", metavar="ID", help="Only memories of this session.")
@click.option("--namespace", metavar="NAME", help="Only memories of this namespace.")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="Any of these types.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="All of these tags.")
@click.option("--oldest", "is_oldest_first", is_flag=True, help="Oldest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def list_memories(*, is_oldest_first: bool, limit: int, as_json: bool, **rest: Any) -> None:
    """List live memories by when they occurred, newest first."""
    names = ("agent_id", "user_id", "session_id", "namespace", "types", "tags")
    given = {name: rest.pop(name) for name in names}
    criteria: MemoryCriteria = {  # type: ignore[assignment]  # the names are those of the criteria
        name: value for name, value in given.items() if value not in (None, ())
    }
    with opened(rest) as client:
        found = client.memories.query(newest_first=not is_oldest_first, limit=limit, **criteria)
    if as_json:
        show_json([memory.to_dict() for memory in found])
        return
    show_table(
        ("MEMORY", "AGENT", "USER", "KEY", "TYPE", "OCCURRED", "TEXT"),
        [
            (
                memory.memory_id,
                memory.agent_id,
                memory.user_id or "-",
                memory.key or "-",
                memory.type,
                day_time(memory.occurred_at),
                shortened(memory.text),
            )
            for memory in found
        ],
    )
    if not found:
        note("no memories")


@click.command()
@click.argument("agent_id", metavar="AGENT")
@click.option("--user", "user_id", metavar="ID", help="Keys of this user; by default of none.")
@click.option("--prefix", metavar="TEXT", default="", help="Only names that begin with this.")
@click.option("--after", metavar="NAME", help="Only names behind this one.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@database_options
@json_option
def namespaces(
    *,
    agent_id: str,
    user_id: str | None,
    prefix: str,
    after: str | None,
    limit: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """List the namespaces in which keys of an agent hold memories, one a line; an empty one is that of no name."""
    with opened(flags) as client:
        found = client.memories.list_namespaces(
            agent_id, user_id=user_id, prefix=prefix, after=after, limit=limit
        )
    if as_json:
        show_json(found)
        return
    for name in found:
        click.echo(plain_text(name))
    if not found:
        note("no keys")


def shortened(text: str) -> str:
    """Return the beginning of a text as one line."""
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_CHARACTERS else line[: _TEXT_CHARACTERS - 1] + "…"
