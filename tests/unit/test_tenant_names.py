"""Whose data a client works with is what its caller named, or an error: never another tenant in silence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aureus.client import AsyncAureus, Aureus
from aureus.config import Settings, load
from aureus.errors import AureusError, ConfigInvalid, Invalid, LimitExceeded

BAD: list[tuple[Any, type[AureusError]]] = [
    ("", Invalid),
    (5, Invalid),
    ("a\x00b", Invalid),
    ("\ud800", Invalid),
    ("é" * 128, LimitExceeded),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give the settings of a database in memory."""
    return load(arguments={"database.url": "sqlite://"}, environ={}, directory=tmp_path)


@pytest.mark.parametrize(("tenant", "error"), BAD, ids=lambda value: ascii(value)[:12])
def test_what_names_no_tenant_is_refused_wherever_a_tenant_is_named(
    settings: Settings, tenant: Any, error: type[AureusError]
) -> None:
    with pytest.raises(error, match="tenant"):
        Aureus(settings=settings, tenant=tenant)
    with Aureus(settings=settings) as db:
        with pytest.raises(error, match="tenant"):
            db.for_tenant(tenant)
        with pytest.raises(error, match="tenant"), db.transaction(tenant=tenant):
            pytest.fail("a transaction of nobody")

    async def main() -> None:
        async with AsyncAureus(settings=settings) as db:
            with pytest.raises(error, match="tenant"):
                async with db.transaction(tenant=tenant):
                    pytest.fail("a transaction of nobody")
            with pytest.raises(error, match="tenant"):
                async with db.engine(tenant=tenant):
                    pytest.fail("an engine of nobody")

    asyncio.run(main())


def test_a_tenant_that_is_named_beside_settings_is_the_one_that_counts(settings: Settings) -> None:
    with Aureus(settings=settings, tenant="acme") as db:
        db.events.append("orders/1", "order_placed", {})
        assert db.events.stream_version("orders/1") == 1
        assert db.for_tenant("default").events.stream_version("orders/1") == 0


def test_a_url_beside_settings_is_refused_for_it_would_be_ignored(settings: Settings) -> None:
    with pytest.raises(ConfigInvalid, match="URL"):
        Aureus("sqlite:///elsewhere.db", settings=settings)
    with pytest.raises(ConfigInvalid, match="URL"):
        AsyncAureus("sqlite:///elsewhere.db", settings=settings)
