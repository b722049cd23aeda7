"""``aureus subject-keys``: the master key of the key folder, and what is in the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aureus.cli.output import note, plain_text, show_json
from aureus.cli.session import json_option, settings_of
from aureus.errors import ConfigInvalid

if TYPE_CHECKING:
    from aureus.subject_keys.folder import KeyFolder


@click.group("subject-keys")
def subject_keys() -> None:
    """Make and replace the key that protects the keys of people."""


@subject_keys.command()
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where it goes; default subject_keys.key_file.",
)
@json_option
def keygen(*, key_file: Path | None, as_json: bool) -> None:
    """Make a master key in a new file that only its owner can read."""
    from aureus.subject_keys.master import MasterFile

    named = settings_of({}).subject_keys.key_file
    if key_file is None and named is None:
        raise ConfigInvalid(
            "no file is named for the master key: give --key-file, or set subject_keys.key_file"
        )
    path = key_file or Path(named or "")
    key = MasterFile(path).create()
    note(
        plain_text(
            f"master key: {path}. Keep a copy where neither the database nor the key folder is: without it nothing "
            "that is encrypted can be read."
        )
    )
    if as_json:
        show_json({"name": key.name, "key_file": str(path)})
    else:
        click.echo(key.name)


@subject_keys.command()
@json_option
def status(*, as_json: bool) -> None:
    """Print how many people have a key, after a look whether the master key is the folder's."""
    folder = _folder()
    folder.check()
    count = folder.count()
    if as_json:
        show_json({"key_count": count})
    else:
        click.echo(str(count))


@subject_keys.command()
@json_option
def rotate(*, as_json: bool) -> None:
    """Replace the master key, and wrap all keys under the new one; others go on meanwhile.

    The new key takes the place of the old one in its file. When it is killed, run it again.
    """
    count = _folder().replace_master()
    note("the master key was replaced; copies of its file are of no use any more: make a new one")
    if as_json:
        show_json({"wrapped_count": count})
    else:
        click.echo(str(count))


def _folder() -> KeyFolder:
    from aureus.client.opening import key_folder

    folder = key_folder(settings_of({}))
    if folder is None:
        raise ConfigInvalid(
            "no key folder is named: set subject_keys.folder and subject_keys.key_file"
        )
    return folder
