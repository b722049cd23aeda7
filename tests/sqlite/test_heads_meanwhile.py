"""A head that somebody else signs while this process looks at the ledger is no lost history, and no false alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aureus import Aureus
from aureus.ledger.keys import SigningKey
from aureus.ledger.seen_heads import SeenHead, SeenHeads
from aureus.ledger.steps import Scope
from tests.support.backends import settings_for

KEY = SigningKey("aureus", bytes(32))


class Meanwhile(SeenHeads):
    """Heads before each of which somebody else appends, seals and signs once."""

    def __init__(self, folder: Path, act: Callable[[], Any]) -> None:
        super().__init__(folder)
        self._act: Callable[[], Any] | None = act

    def get(self, tenant_key: str) -> SeenHead | None:
        act, self._act = self._act, None
        if act is not None:
            act()
        return super().get(tenant_key)


@pytest.mark.parametrize(
    "look",
    [
        lambda client: client.ledger.verify(keys=[KEY.public]).summary,
        lambda client: client.ledger.verify().summary,
        lambda client: str(client.ledger.head()),
        lambda client: client.ledger.sign(KEY).note,
        lambda client: str(client.ledger.status().is_rewound),
    ],
    ids=["verify with a key", "verify", "head", "sign", "status"],
)
def test_what_is_signed_meanwhile_is_no_alarm(
    tmp_path: Path, look: Callable[[Aureus], str]
) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/aureus.db", tmp_path)
    with Aureus(settings=settings) as client, Aureus(settings=settings) as other:
        client.events.append("s/1", "noted", {})

        def act() -> None:
            other.events.append("s/1", "noted", {})
            other.ledger.sign(KEY)
            other.anchors.anchor(KEY)

        heads = Meanwhile(Path(str(settings.ledger.heads)), act)
        client.ledger._scope = Scope("aureus", lambda: heads)
        told = look(client)
        assert "BROKEN" not in told
        assert told != "True"
