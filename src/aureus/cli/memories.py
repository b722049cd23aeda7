"""``aureus memory``: add, find, show and forget what agents keep, and see how it came about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import click

from aureus.cli.given import json_given, object_given, text_given
from aureus.cli.memory_lists import list_memories, namespaces, shortened
from aureus.cli.output import day_time, note, plain_text, show_json, show_table, utc_now
from aureus.cli.session import (
    actor_option,
    carried_out,
    database_options,
    json_option,
    opened,
    settings_of,
)
from aureus.codec import encode_text
from aureus.errors import NotFound

if TYPE_CHECKING:
    from aureus.client import Aureus
    from aureus.model.memories import AsOf, Memory, MemoryCriteria, MemoryVersion
    from aureus.model.recall import MemoryHit, Recall


@click.group()
def memory() -> None:
    """Add, find, list, show and forget memories, and list their versions."""


memory.add_command(list_memories)
memory.add_command(namespaces)


@memory.command()
@click.argument("text", metavar="TEXT")
@click.option("--agent", "agent_id", metavar="ID", required=True, help="Whose memory it is.")
@click.option("--user", "user_id", metavar="ID", help="The user it was formed with.")
@click.option("--session", "session_id", metavar="ID", help="The session it belongs to.")
@click.option("--namespace", metavar="NAME", default="", help="A space of keys of its own.")
@click.option(
    "--key", metavar="KEY", help="Keep it under this key; what the key held is superseded."
)
@click.option(
    "--id", "memory_id", metavar="ID", help="Its id, so that a repeated command adds nothing."
)
@click.option(
    "--expected-version", type=click.IntRange(0), help="With --key: what the key must hold."
)
@click.option("--type", "kind", metavar="TYPE", help="Such as fact or preference.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag; may be given many times.")
@click.option("--content", metavar="JSON", help="Data beside the text, or @FILE.")
@click.option("--metadata", metavar="JSON", help="An object of your own, or @FILE.")
@click.option("--confidence", type=click.FloatRange(0, 1), help="From 0 to 1; default 0.5.")
@click.option("--subject", metavar="NAME", help="Whom or what it is about.")
@click.option("--shared", "is_shared", is_flag=True, help="Let other agents find it.")
@click.option(
    "--expires-in",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="Forget it after so many seconds.",
)
@database_options
@actor_option
@json_option
def add(
    *,
    text: str,
    agent_id: str,
    key: str | None,
    memory_id: str | None,
    expected_version: int | None,
    kind: str | None,
    content: str | None,
    metadata: str | None,
    confidence: float | None,
    expires_in: float | None,
    as_json: bool,
    **rest: Any,
) -> None:
    """Add a memory and print its id; TEXT of - is read from standard input."""
    if expected_version is not None and key is None:
        raise click.UsageError("--expected-version says what a key must hold: give --key too")
    names = ("user_id", "session_id", "namespace", "tags", "subject", "is_shared")
    details: dict[str, Any] = {name: rest.pop(name) for name in names}
    given = {
        "type": kind,
        "content": None if content is None else json_given(content, "--content"),
        "metadata": None if metadata is None else object_given(metadata, "--metadata"),
        "confidence": confidence,
        "expires_at": None if expires_in is None else _expiry(expires_in),
    }
    details |= {name: value for name, value in given.items() if value is not None}
    words = text_given(text, "TEXT")
    actor = settings_of(rest).actor

    def act(client: Aureus) -> Memory:
        if key is None:
            return client.memories.add(
                words, agent_id=agent_id, memory_id=memory_id, actor=actor, **details
            )
        return client.memories.put(
            key,
            words,
            agent_id=agent_id,
            memory_id=memory_id,
            expected_version=expected_version,
            actor=actor,
            **details,
        )

    added = carried_out(rest, act)
    if as_json:
        show_json(added.to_dict())
    else:
        click.echo(added.memory_id)


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@click.option("--recorded", metavar="TIME", help="As the database had it at this moment.")
@database_options
@json_option
def show(*, memory_id: str, recorded: str | None, as_json: bool, **flags: Any) -> None:
    """Show one memory with everything that is known of it."""
    moment = _as_of(recorded)
    with opened(flags) as client:
        found = client.memories.get(memory_id, as_of=moment)
    if as_json:
        show_json(found.to_dict())
    else:
        _show(found)


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@click.option("--expected-version", type=click.IntRange(1), help="Only if it has this version.")
@database_options
@actor_option
@json_option
def forget(*, memory_id: str, expected_version: int | None, as_json: bool, **flags: Any) -> None:
    """Forget a memory: nothing reads it any more; its versions are kept."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        found = client.memories.forget(memory_id, expected_version=expected_version, actor=actor)
    if as_json:
        show_json(found.to_dict())
    else:
        note(plain_text(f"forgot memory {found.memory_id}, since {day_time(found.deleted_at)}"))


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def history(*, memory_id: str, limit: int, as_json: bool, **flags: Any) -> None:
    """List the versions of a memory, newest first, whatever became of it."""
    with opened(flags) as client:
        found = client.memories.history(memory_id, limit=limit)
    if not found:
        raise NotFound(
            f"there is no memory {memory_id!r}, and never was, or it was purged",
            memory_id=memory_id,
        )
    if as_json:
        show_json([version.to_dict() for version in found])
        return
    show_table(
        ("VERSION", "RECORDED FROM", "TO", "STATE", "TEXT"),
        [
            (
                str(version.memory.version),
                day_time(version.recorded_from),
                day_time(version.recorded_to),
                _state(version),
                shortened(version.memory.text),
            )
            for version in found
        ],
    )


@memory.command()
@click.argument("text", metavar="TEXT")
@click.option(
    "--match",
    type=click.Choice(["any", "all", "web"]),
    default="any",
    show_default=True,
    help="Any word, all words, or as web searches: quotes, -word, OR.",
)
@click.option(
    "--mode",
    type=click.Choice(["words", "vectors", "both"]),
    help="What finds them; by default all there is. Vectors need the setting memory.embedder.",
)
@click.option("--agent", "agent_id", metavar="ID", help="Only memories of this agent.")
@click.option("--user", "user_id", metavar="ID", help="Only memories of this user.")
@click.option("--session", "session_id", metavar="ID", help="Only memories of this session.")
@click.option("--namespace", metavar="NAME", help="Only memories of this namespace.")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="Any of these types.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="All of these tags.")
@click.option("--shared", "include_shared", is_flag=True, help="Also what other agents share.")
@click.option("--language", metavar="NAME", default="english", help="The language of TEXT.")
@click.option("--neighbours", type=click.IntRange(0, 10), default=0, help="Also so many around.")
@click.option("--by-session", is_flag=True, help="The best sessions; only with any word.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@database_options
@json_option
def search(
    *,
    text: str,
    match: Literal["any", "all", "web"],
    mode: Literal["words", "vectors", "both"] | None,
    by_session: bool,
    limit: int,
    neighbours: int,
    language: str,
    as_json: bool,
    **rest: Any,
) -> None:
    """Find memories by their words, and by their meaning where there is an embedder, the best first."""
    if by_session and match != "any":
        raise click.UsageError("--by-session takes any word: leave --match out")
    if mode in {"vectors", "both"} and match != "any":
        raise click.UsageError("--match is about words alone: leave it or --mode out")
    names = ("agent_id", "user_id", "session_id", "namespace", "types", "tags", "include_shared")
    given = {name: rest.pop(name) for name in names}
    criteria: MemoryCriteria = {  # type: ignore[assignment]  # the names are those of the criteria
        name: value for name, value in given.items() if value not in (None, (), False)
    }
    with opened(rest) as client:
        if match == "any":
            found = client.memories.recall(
                text,
                mode=mode,
                limit=limit,
                neighbours=neighbours,
                language=language,
                group_by="session" if by_session else None,
                **criteria,
            )
        else:
            found = client.memories.search(
                text,
                match=match,
                limit=limit,
                neighbours=neighbours,
                language=language,
                **criteria,
            )
    if as_json:
        show_json(found.to_dict())
    else:
        _show_found(found)


def _show_found(found: Recall) -> None:
    rows = [
        (
            _score(hit),
            hit.memory.memory_id,
            hit.memory.agent_id,
            hit.memory.session_id or "-",
            day_time(hit.memory.occurred_at),
            shortened(" … ".join(one.text for one in (*hit.before, hit.memory, *hit.after))),
        )
        for hit in found
    ]
    show_table(("SCORE", "MEMORY", "AGENT", "SESSION", "OCCURRED", "TEXT"), rows)
    for text in found.notes:
        note(text)
    if not found.hits:
        note("nothing found")
    elif not found.is_exact:
        note("others may belong among them: the words are very common, or many writes are pending")


def _score(hit: MemoryHit) -> str:
    """Return a score; ranks and vectors give small ones that differ late."""
    is_small = hit.word_rank is not None or hit.vector_rank is not None
    return f"{hit.score:.4f}" if is_small else f"{hit.score:.2f}"


def _state(version: MemoryVersion) -> str:
    memory = version.memory
    if memory.deleted_at is not None:
        return "forgotten"
    return "live" if memory.superseded_by is None else "superseded"


def _show(memory: Memory) -> None:
    shown = memory.to_dict()
    click.echo(plain_text(memory.text))
    click.echo()
    for name, value in shown.items():
        if name != "text" and value not in (None, [], {}, ""):
            told = value if isinstance(value, str) else encode_text(value)
            click.echo(plain_text(f"{name:<14}{told}"))


def _as_of(text: str | None) -> AsOf | None:
    if text is None:
        return None
    from aureus.model.memories import AsOf

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(
            f"--recorded is no time such as 2026-03-01T12:00:00Z: {text}"
        ) from error
    return AsOf(recorded=moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _expiry(seconds: float) -> datetime:
    try:
        return utc_now() + timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"--expires-in is {seconds:g}; give seconds that end before the year 9999"
        ) from error
