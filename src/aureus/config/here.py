"""The settings of this process: its environment, and the files of the folder that it works in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from aureus.config.loading import load
from aureus.config.settings import Settings
from aureus.errors import ConfigInvalid


def read_here(
    *, arguments: Mapping[str, object] | None = None, flags: Mapping[str, object] | None = None
) -> Settings:
    """Return the settings of this process; as ``load``. Raises ``ConfigInvalid``, also when its folder is gone."""
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise ConfigInvalid(
            "the folder that this process works in is gone; change to another one"
        ) from error
    return load(arguments=arguments, flags=flags, environ=os.environ, directory=here)
