"""``aureus sessions``: what agents keep of their conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import ago, day_time, note, plain_text, show_json, show_table, utc_now
from aureus.cli.session import actor_option, database_options, json_option, opened
from aureus.codec import encode_text
from aureus.model.sessions import DEFAULT_COLLECTION, check_collection

if TYPE_CHECKING:
    from collections.abc import Callable

    from aureus.client import Aureus
    from aureus.model.sessions import Message, Session
    from aureus.stores.sessions import SessionStore

_collection_option: Callable[[Any], Any] = click.option(
    "--collection", metavar="NAME", default=DEFAULT_COLLECTION, show_default=True
)


@click.group()
def sessions() -> None:
    """List, show, delete and adopt sessions of agents."""


@sessions.command("list")
@click.argument("agent_id", metavar="[AGENT]", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@_collection_option
@database_options
@json_option
def list_sessions(
    *, agent_id: str | None, limit: int, collection: str, as_json: bool, **flags: Any
) -> None:
    """List the sessions of an agent, newest update first; without AGENT, the agents that have some."""
    with opened(flags) as client:
        store = _store(client, collection)
        if agent_id is None:
            _list_agents(store, limit, as_json=as_json)
            return
        found = store.list(agent_id, limit=limit)
    if as_json:
        show_json([session.to_dict() for session in found])
        return
    now = utc_now()
    show_table(
        ("SESSION", "VERSION", "MESSAGES", "UPDATED", "EXPIRES"),
        [
            (
                session.session_id,
                str(session.version),
                str(session.message_count),
                ago(session.updated_at, now),
                day_time(session.expires_at),
            )
            for session in found
        ],
    )
    if not found:
        note(plain_text(f"no sessions of {agent_id}; `aureus sessions list` shows the agents"))


def _list_agents(store: SessionStore, limit: int, *, as_json: bool) -> None:
    agents = store.list_agents(limit=limit)
    if as_json:
        show_json([agent.to_dict() for agent in agents])
        return
    now = utc_now()
    show_table(
        ("AGENT", "SESSIONS", "UPDATED"),
        [(one.agent_id, str(one.session_count), ago(one.updated_at, now)) for one in agents],
    )
    if not agents:
        note("no sessions in this collection")


@sessions.command()
@click.argument("agent_id", metavar="AGENT")
@click.argument("session_id", metavar="SESSION")
@click.option("--messages", type=click.IntRange(0, 1000), default=20, show_default=True)
@_collection_option
@database_options
@json_option
def show(
    *,
    agent_id: str,
    session_id: str,
    messages: int,
    collection: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show one session: its state, its context and its newest messages."""
    with opened(flags) as client:
        store = _store(client, collection)
        session = store.load(agent_id, session_id)
        history = (
            store.history(agent_id, session_id, from_end=True, limit=messages) if messages else []
        )
    if as_json:
        show_json({**session.to_dict(), "messages": [message.to_dict() for message in history]})
        return
    _show(session, history)


def _show(session: Session, history: list[Message]) -> None:
    lines = (
        ("session", f"{session.agent_id}/{session.session_id}"),
        ("version", str(session.version)),
        ("created", day_time(session.created_at)),
        ("updated", day_time(session.updated_at)),
        ("expires", day_time(session.expires_at)),
        ("state", encode_text(session.state)),
        ("context", encode_text(session.context)),
        ("messages", str(session.message_count)),
    )
    for name, value in lines:
        click.echo(plain_text(f"{name:<9} {value}"))
    for message in history:
        content = message.content
        text = content if isinstance(content, str) else encode_text(content)
        click.echo(plain_text(f"{message.position:>9} {message.role}: {text}"))


@sessions.command()
@click.argument("agent_id", metavar="AGENT")
@click.argument("session_id", metavar="[SESSION]", required=False)
@click.option("--all", "everything", is_flag=True, help="Delete every session of the agent.")
@_collection_option
@actor_option
@database_options
@json_option
def delete(
    *,
    agent_id: str,
    session_id: str | None,
    everything: bool,
    collection: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Delete a session, or with --all every session of an agent; the audit trail names who did it."""
    from aureus.cli.session import settings_of

    if everything == (session_id is not None):
        raise click.UsageError("name a SESSION, or give --all for every session of the agent")
    actor = settings_of(flags).actor
    with opened(flags) as client:
        store = _store(client, collection)
        if session_id is None:
            count = store.delete_agent(agent_id, actor=actor)
        else:
            count = int(store.delete(agent_id, session_id, actor=actor))
    if as_json:
        show_json({"deleted": count})
    else:
        click.echo(f"{count} deleted")


@sessions.command()
@click.argument("table", metavar="TABLE")
@click.option(
    "--from",
    "source",
    metavar="URL",
    help="The database that holds TABLE, when it is not that of Aureus.",
)
@_collection_option
@actor_option
@database_options
@json_option
def adopt(*, table: str, source: str | None, collection: str, as_json: bool, **flags: Any) -> None:
    """Copy the sessions of a table such as Forge's agent_states; repeating it copies what is new.

    The table stays as it is. A session that is already in the collection is left alone.
    """
    from aureus.cli.adopting import adopt_table, look_at
    from aureus.cli.session import settings_of

    settings = settings_of(flags)
    check_collection(collection)
    if source is not None:
        look_at(settings, table, source)  # before a file is made for what cannot be read
    with opened(flags, creates=source is not None) as client:
        report = adopt_table(_store(client, collection), collection, settings, table, source)
    if as_json:
        show_json(report.to_dict())
    else:
        click.echo(f"{report.copied_count} copied, {report.left_count} were here already")
    if not report.is_verified:
        note(
            f"not verified: the table has {report.row_count} rows, and the collection grew by {report.grown_count}; "
            "somebody else wrote to it meanwhile, repeat the command"
        )
        raise click.exceptions.Exit(1)


def _store(client: Aureus, collection: str) -> SessionStore:
    return client.sessions.collection(collection)
