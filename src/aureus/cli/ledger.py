"""``aureus ledger``: sealing, signing, proving and verifying what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import (
    ago,
    mark,
    note,
    show_json,
    show_table,
    utc_now,
)
from aureus.cli.session import actor_option, database_options, json_option, opened, settings_of
from aureus.cli.verifying import (
    public_keys,
    read_note,
    show_report,
    verify_export_files,
    verify_proof_file,
)
from aureus.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aureus.config import Settings
    from aureus.ledger.keys import SigningKey

_FILE = click.Path(path_type=Path)
_key_file_option: Callable[[Any], Any] = click.option(
    "--key-file", type=_FILE, metavar="FILE", help="File with the private key."
)
_key_files_option: Callable[[Any], Any] = click.option(
    "--key-file",
    "key_files",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="File with a private key; may be given often, and each of them signs.",
)
_keys_option: Callable[[Any], Any] = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Public key of whom you trust to sign, or a file with such keys; may be given often.",
)


@click.group()
def ledger() -> None:
    """Seal, sign, prove and verify what was recorded."""


@ledger.command()
@database_options
@json_option
def status(*, as_json: bool, **flags: Any) -> None:
    """Show how far the ledger is sealed, signed and known outside the database."""
    with opened(flags) as client:
        found = client.ledger.status()
    if as_json:
        show_json(found.to_dict())
        return
    now = utc_now()
    signed = (
        "never" if found.signed_at is None else f"{found.signed_size}, {ago(found.signed_at, now)}"
    )
    show_table(
        ("LEDGER", found.head.origin),
        [
            ("sealed", f"{found.head.size}, {ago(found.sealed_at, now)}"),
            ("waiting", str(found.pending_count)),
            ("root", found.head.root.hex()),
            ("signed up to", signed),
            ("last seen", "never" if found.seen_size is None else str(found.seen_size)),
            ("incarnation", str(found.incarnation)),
        ],
    )
    if found.is_rewound:
        note(f"{mark('rewound', 'red')}: a head of size {found.seen_size} was seen before")


@ledger.command()
@database_options
@json_option
def head(*, as_json: bool, **flags: Any) -> None:
    """Print the head: origin, size and root. Fails when it does not go on from the last one seen."""
    with opened(flags) as client:
        found = client.ledger.head()
    if as_json:
        show_json(found.to_dict())
    else:
        click.echo(found.text(), nl=False)


@ledger.command()
@database_options
@json_option
def seal(*, as_json: bool, **flags: Any) -> None:
    """Seal what is waiting, and print how many entries that were."""
    count = 0
    with opened(flags) as client:
        while True:
            done = client.ledger.seal()
            count += done.sealed_count
            if done.is_done:
                break
    if as_json:
        show_json({"sealed_count": count, "size": done.size})
    else:
        click.echo(str(count))


@ledger.command()
@_key_file_option
@click.option("--name", metavar="NAME", help="What the key is called; default the ledger's name.")
@json_option
def keygen(*, key_file: Path | None, name: str | None, as_json: bool) -> None:
    """Make a key that signs heads: its private half into a new file, its public half to print."""
    from aureus.ledger.keys import SigningKey

    settings = settings_of({})
    path = _key_path(key_file, settings)
    key = SigningKey.generate(name or settings.ledger.name)
    key.save(path)
    note(
        f"private key: {path}. Keep it where the database is not; give the line below to whoever verifies."
    )
    if as_json:
        show_json({**key.public.to_dict(), "key_file": str(path)})
    else:
        click.echo(key.public.text)


@ledger.command()
@_key_files_option
@database_options
@json_option
def sign(*, key_files: tuple[Path, ...], as_json: bool, **flags: Any) -> None:
    """Sign the head and print it as a signed note, to be kept elsewhere; it keeps the signatures that it has."""
    keys = _signing_keys(key_files, settings_of(flags))
    with opened(flags) as client:
        signed = client.ledger.sign(*keys)
    if as_json:
        show_json(signed.to_dict())
    else:
        click.echo(signed.note, nl=False)


@ledger.command()
@_key_files_option
@database_options
@json_option
def anchor(*, key_files: tuple[Path, ...], as_json: bool, **flags: Any) -> None:
    """Anchor the heads of all tenants, and print the one head that covers them, signed where there is a key."""
    settings = settings_of(flags)
    has_key = bool(key_files) or settings.ledger.key_file is not None
    keys = _signing_keys(key_files, settings) if has_key else []
    with opened(flags) as client:
        done = client.anchors.anchor(*keys)
    if as_json:
        show_json(done.to_dict())
        return
    note(f"heads anchored: {done.anchored_count}" + ("" if keys else "; not signed: no key"))
    click.echo(done.note or done.head.text(), nl=False)


@ledger.command()
@click.argument("event_id", metavar="EVENT")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write it into a file.")
@database_options
@json_option
def prove(*, event_id: str, output: Path | None, as_json: bool, **flags: Any) -> None:
    """Print a proof file: the event, and how it lies under a head; `aureus ledger verify --proof` reads it."""
    with opened(flags) as client:
        proof = client.ledger.prove(event_id)
    if not proof.checkpoint.signatures:
        note(
            f"{mark('not anchored', 'yellow')}: no signed head covers it yet; see `aureus ledger sign`"
        )
    if output is not None:
        output.write_text(str(proof), encoding="utf-8")
    if as_json:
        found = proof.head
        show_json(
            {
                "event_id": event_id,
                "position": proof.index,
                "head": found.to_dict(),
                "proof": str(proof),
            }
        )
    elif output is None:
        click.echo(str(proof), nl=False)


@ledger.command()
@_keys_option
@click.option(
    "--head",
    "heads",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="A signed head that was kept elsewhere; may be given often.",
)
@click.option(
    "--since-last", is_flag=True, help="Go on from where the last verification here ended."
)
@click.option(
    "--anchors", is_flag=True, help="Verify the anchor log, which covers all tenants, instead."
)
@click.option(
    "--proof",
    type=_FILE,
    metavar="FILE",
    help="Verify this proof file instead, without a database.",
)
@click.option(
    "--export",
    type=_FILE,
    metavar="FILE",
    help="Verify these exported lines instead, without a database.",
)
@click.option(
    "--export-proof",
    type=_FILE,
    metavar="FILE",
    help="The proof file of the export; by default FILE.proof beside it.",
)
@database_options
@json_option
def verify(
    *,
    keys: tuple[str, ...],
    heads: tuple[Path, ...],
    since_last: bool,
    anchors: bool,
    proof: Path | None,
    export: Path | None,
    export_proof: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Verify everything that is sealed, and name what is wrong; exit code 5 when something is."""
    if export_proof is not None and export is None:
        raise click.UsageError("--export-proof is the proof of --export, which is missing")
    offline = [
        name for name, path in (("--proof", proof), ("--export", export)) if path is not None
    ]
    online = ["--head"] * bool(heads) + ["--since-last"] * since_last + ["--anchors"] * anchors
    if len(offline) > 1 or (offline and online) or (since_last and anchors):
        raise click.UsageError(f"{' and '.join([*offline, *online])} exclude each other")
    settings = settings_of(flags)
    trusted = public_keys(keys, settings)
    if proof is not None:
        verify_proof_file(proof, trusted, as_json=as_json)
        return
    if export is not None:
        beside = export.with_name(f"{export.name}.proof") if export_proof is None else export_proof
        report = verify_export_files(export, beside, trusted)
    else:
        notes = [read_note(path) for path in heads]
        with opened(flags) as client:
            if anchors:
                report = client.anchors.verify(keys=trusted, notes=notes)
            else:
                report = client.ledger.verify(keys=trusted, notes=notes, since_last=since_last)
        if notes and not trusted:
            note(
                "the heads given were compared; nobody's signature on them, since no --key was given"
            )
    show_report(report, as_json=as_json)


@ledger.command("accept-restore")
@click.option("--anchors", is_flag=True, help="Of the anchor log, which covers all tenants.")
@actor_option
@database_options
@json_option
def accept_restore(*, anchors: bool, as_json: bool, **flags: Any) -> None:
    """Go on with a database that was restored from an older state, as a new incarnation of the ledger."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        if anchors:
            log = client.anchors.accept_restore(actor=actor)
            if as_json:
                show_json(log.to_dict())
            else:
                click.echo(f"log {log.log_key}, from size {log.size} on")
            return
        begun = client.ledger.accept_restore(actor=actor)
    if as_json:
        show_json(begun.to_dict())
    else:
        click.echo(f"incarnation {begun.incarnation}, from size {begun.size} on")


def _signing_keys(given: Sequence[Path], settings: Settings) -> list[SigningKey]:
    from aureus.ledger.keys import SigningKey

    return [SigningKey.load(path) for path in given or [_key_path(None, settings)]]


def _key_path(given: Path | None, settings: Settings) -> Path:
    if given is not None:
        return given
    if settings.ledger.key_file is None:
        raise ConfigInvalid(
            "no file is named for the private key: give --key-file, or set ledger.key_file"
        )
    return Path(settings.ledger.key_file)
