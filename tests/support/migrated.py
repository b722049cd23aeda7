"""The template of the tests' databases: migrated by the superuser, with the role that plain users may become."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from aureus._database.opening import migrate_schema
from aureus.config import load
from tests.support.postgres import OWNER, SUPERUSER


def migrate_template(url: str) -> None:
    """Bring the template up to date and let the plain role of the tests become the application's role."""
    as_superuser = url.replace(f"{OWNER}@", f"{SUPERUSER}@")
    assert urlsplit(as_superuser).username == SUPERUSER
    migrate_schema(
        load(arguments={"database.url": as_superuser}, environ={}, directory=Path.cwd()).database
    )
    with psycopg.connect(as_superuser, autocommit=True) as connection:
        connection.execute(f"GRANT aureus_app TO {OWNER}")
