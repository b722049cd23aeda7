"""``db.anchors``: the anchor log with what the ledger adds to it, signing and verifying; threads and event loops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus.ledger.anchoring import Anchoring, anchoring, restoring_anchors, verifying_anchors
from aureus.ledger.driving import AsyncDriver, Driver
from aureus.ledger.keys import PublicKey, SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.steps import UNNAMED, Scope, readable
from aureus.model.anchors import AnchorHead
from aureus.model.events import UNKNOWN_ACTOR
from aureus.model.verification import Verification
from aureus.stores.anchors import AnchorStore, AsyncAnchorStore


class AnchorLog(AnchorStore):
    """The anchor log of a database."""

    def __init__(self, runner: Runner, call: Call, scope: Scope = UNNAMED) -> None:
        super().__init__(runner, call)
        self._scope = scope
        self._driver = Driver(runner, call)

    def anchor(self, *keys: SigningKey) -> Anchoring:
        """Anchor the heads of all tenants that have grown, and sign the head of the log where keys are given.

        The head is kept outside the database before its note is returned. Repeating it anchors nothing new and signs
        the same head. Raises ``HistoryRewound`` when the log is shorter than it was seen before, and
        ``IntegrityFailure`` when it does not begin with what was seen; nothing is signed then.
        """
        return self._driver.carry_out(anchoring(self._scope, keys))

    def verify(self, *, keys: Sequence[PublicKey] = (), notes: Iterable[Note] = ()) -> Verification:
        """Verify all anchors: what each says with its hash, the hashes with the head, the head with heads seen before.

        ``keys`` are of those who are trusted to sign; ``notes`` are signed heads of the log from elsewhere. Whether the
        trees of the tenants are what was anchored is for ``db.ledger.verify`` to say, which compares with the newest
        anchor of its own tree. A log that is intact becomes the last one seen.
        """
        return self._driver.carry_out(readable(verifying_anchors(self._scope, keys, notes)))

    def accept_restore(self, *, actor: str = UNKNOWN_ACTOR) -> AnchorHead:
        """Go on with a database whose anchor log is behind the last head seen, as a log with a new key.

        Its heads have another origin from then on, so that no two of one origin contradict each other. The decision is
        an audit entry of the client's tenant. Raises ``NotFound`` when nothing is behind.
        """
        return self._driver.carry_out(restoring_anchors(self._scope, actor))


class AsyncAnchorLog(AsyncAnchorStore):
    """The anchor log of a database, awaited; as `AnchorLog`."""

    def __init__(self, runner: AsyncRunner, call: Call, scope: Scope = UNNAMED) -> None:
        super().__init__(runner, call)
        self._scope = scope
        self._driver = AsyncDriver(runner, call)

    async def anchor(self, *keys: SigningKey) -> Anchoring:
        """Anchor the heads of all tenants, and sign the head of the log; as ``AnchorLog.anchor``."""
        return await self._driver.carry_out(anchoring(self._scope, keys))

    async def verify(
        self, *, keys: Sequence[PublicKey] = (), notes: Iterable[Note] = ()
    ) -> Verification:
        """Verify all anchors; as ``AnchorLog.verify``. The work is done in a thread."""
        return await self._driver.carry_out(readable(verifying_anchors(self._scope, keys, notes)))

    async def accept_restore(self, *, actor: str = UNKNOWN_ACTOR) -> AnchorHead:
        """Go on with an anchor log that is behind the last head seen; as ``AnchorLog.accept_restore``."""
        return await self._driver.carry_out(restoring_anchors(self._scope, actor))
