"""What the commands that verify share: the keys and files that are given, and how a report is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aureus.cli.output import EXIT_INTEGRITY, mark, note, plain_text, show_json, show_table
from aureus.errors import Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aureus.config import Settings
    from aureus.ledger.keys import PublicKey
    from aureus.ledger.notes import Note
    from aureus.model.verification import Verification

_FINDINGS_SHOWN = 20
"""Findings that a person is shown; --json has up to a hundred."""


def public_keys(given: Sequence[str], settings: Settings) -> list[PublicKey]:
    """Return the keys that are given, each as its line or in a file, or those of the settings."""
    from aureus.ledger.keys import PublicKey, read_public_keys

    if not given:
        path = settings.ledger.public_keys
        return [] if path is None else read_public_keys(Path(path))
    keys: list[PublicKey] = []
    for text in given:
        if text.count("+") >= 2 and not Path(text).exists():
            keys.append(PublicKey.from_text(text))
        else:
            keys += read_public_keys(Path(text))
    return keys


def read_note(path: Path) -> Note:
    """Return the signed note in a file."""
    from aureus.ledger.notes import Note

    return Note.from_text(_text_of(path))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", path=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read as text", path=str(path)) from error


def verify_proof_file(path: Path, keys: Sequence[PublicKey], *, as_json: bool) -> None:
    """Print what a proof file shows."""
    from aureus.ledger.proofs import verify_proof

    found = verify_proof(_text_of(path), keys)
    if as_json:
        show_json(found.to_dict())
        return
    if not found.verified.is_anchored:
        note(f"{mark('NOT ANCHORED', 'yellow')}: no key was given that signed its head")
    click.echo(found.summary)


def verify_export_files(lines: Path, proof: Path, keys: Sequence[PublicKey]) -> Verification:
    """Return what there is to say about exported lines and their proof."""
    from aureus.ledger.exports import ExportProof, read_lines, verify_export

    described = ExportProof.from_text(_text_of(proof))
    try:
        with lines.open("rb") as file:
            return verify_export(read_lines(file), described, keys)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {lines}", path=str(lines)) from error


def show_report(report: Verification, *, as_json: bool) -> None:
    """Print what a verification found, and end with its exit code when something is wrong."""
    if as_json:
        show_json(report.to_dict())
    else:
        colour = "red" if not report.is_intact else "green" if report.is_anchored else "yellow"
        click.echo(mark(plain_text(report.summary), colour))
        if report.unkept is not None:
            note(plain_text(report.unkept))
        if report.findings:
            show_table(
                ("POSITION", "KIND", "EVENT", "WHAT"),
                [
                    (
                        _place(one.position, one.last_position),
                        one.kind.value,
                        one.event_id or "",
                        one.message,
                    )
                    for one in report.findings[:_FINDINGS_SHOWN]
                ],
            )
    if not report.is_intact:
        raise click.exceptions.Exit(EXIT_INTEGRITY)


def _place(first: int | None, last: int | None) -> str:
    if first is None:
        return "-"
    return str(first) if last is None or last == first else f"{first}-{last}"
