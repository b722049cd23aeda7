"""Settings: one table of names, five places where they are said, one documented precedence.

Call argument, command-line flag, environment, ``.env``, ``aureus.toml``, default. ``load`` gives ``Settings``, which
are immutable, know where each value came from, and mask every secret when they are shown. Standard library only.
"""

from __future__ import annotations

from aureus.config.here import read_here
from aureus.config.loading import load
from aureus.config.settings import (
    AuditSettings,
    DatabaseSettings,
    EngineSettings,
    EventSettings,
    LedgerSettings,
    LogSettings,
    MemorySettings,
    RunLogSettings,
    Settings,
    Shown,
    SubjectKeySettings,
    SubscriptionSettings,
)
from aureus.config.url import DatabaseUrl, PostgresUrl, SqliteUrl
from aureus.config.url_reader import ReadUrl, read_url

__all__ = [
    "AuditSettings",
    "DatabaseSettings",
    "DatabaseUrl",
    "EngineSettings",
    "EventSettings",
    "LedgerSettings",
    "LogSettings",
    "MemorySettings",
    "PostgresUrl",
    "ReadUrl",
    "RunLogSettings",
    "Settings",
    "Shown",
    "SqliteUrl",
    "SubjectKeySettings",
    "SubscriptionSettings",
    "load",
    "read_here",
    "read_url",
]
