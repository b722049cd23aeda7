"""``db.ledger``: sealing, proving, signing and verifying, for threads and for event loops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus.ledger import proving, signing, verifying
from aureus.ledger.driving import AsyncDriver, Driver
from aureus.ledger.keys import PublicKey, SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import InclusionProof
from aureus.ledger.steps import UNNAMED, Scope, readable
from aureus.model.events import UNKNOWN_ACTOR
from aureus.model.heads import Head
from aureus.model.ledger import LedgerHead
from aureus.model.signed_heads import LedgerStatus, SignedHead
from aureus.model.verification import Verification
from aureus.stores.ledger import AsyncLedgerStore, LedgerStore


class Ledger(LedgerStore):
    """The ledger of one tenant."""

    def __init__(self, runner: Runner, call: Call, scope: Scope = UNNAMED) -> None:
        super().__init__(runner, call)
        self._scope = scope
        self._driver = Driver(runner, call)

    def status(self) -> LedgerStatus:
        """Return how far the ledger is sealed, signed and known outside the database. Raises ``NotFound``."""
        return self._driver.carry_out(signing.status(self._scope))

    def head(self) -> Head:
        """Return the head, proved to go on from the last one seen, and keep it outside the database.

        Raises ``HistoryRewound`` when the database is behind that one, ``IntegrityFailure`` when its history is
        another, and ``NotFound`` before anything was sealed.
        """
        return self._driver.carry_out(signing.current_head(self._scope))

    def sign(self, *keys: SigningKey) -> SignedHead:
        """Sign the head with these keys and return it as a signed note.

        What is signed is kept in the same commit, and leaves after that; a head that does not go on from the last
        signed one, or from the last one seen outside the database, is never signed. Raises ``HistoryRewound``,
        ``IntegrityFailure`` and ``NotFound``. Signing the same head again adds to its signatures, and replaces those of
        the same keys.
        """
        return self._driver.carry_out(signing.signing(self._scope, keys))

    def prove(self, event_id: str) -> InclusionProof:
        """Return the proof that an event is sealed, with what it says: its text is a proof file.

        It is under the newest signed head that covers the event, else under the current one, which nobody signed.
        Raises ``NotFound`` for an event that is not there or not sealed yet, ``IntegrityFailure`` when what is stored
        does not prove it.
        """
        return self._driver.carry_out(proving.proving(self._scope, event_id))

    def verify(
        self,
        *,
        keys: Sequence[PublicKey] = (),
        notes: Iterable[Note] = (),
        since_last: bool = False,
    ) -> Verification:
        """Verify all that is sealed, in pages and constant memory, and return what was found; see `Verification`.

        ``keys`` are of those who are trusted to sign; ``notes`` are signed heads from elsewhere. What was signed here
        and the last head seen outside the database are compared too. With ``since_last`` it goes on from where the
        last verification of this host ended. A ledger that is intact becomes the last one seen. Raises ``NotFound``
        before anything was sealed.
        """
        return self._driver.carry_out(
            readable(
                verifying.verifying(self._scope, keys=keys, notes=notes, since_last=since_last)
            )
        )

    def accept_restore(self, *, actor: str = UNKNOWN_ACTOR) -> LedgerHead:
        """Go on with a database that is behind the last head seen, as a new incarnation of the ledger.

        The decision is an audit entry. Heads have another origin from then on, and whoever keeps one of the lost
        history will always see that it is gone. Raises ``NotFound`` when nothing is behind.
        """
        return self._driver.carry_out(signing.restoring(self._scope, actor))


class AsyncLedger(AsyncLedgerStore):
    """The ledger of one tenant, awaited; as `Ledger`."""

    def __init__(self, runner: AsyncRunner, call: Call, scope: Scope = UNNAMED) -> None:
        super().__init__(runner, call)
        self._scope = scope
        self._driver = AsyncDriver(runner, call)

    async def status(self) -> LedgerStatus:
        """Return how far the ledger is sealed, signed and known outside the database; as ``Ledger.status``."""
        return await self._driver.carry_out(signing.status(self._scope))

    async def head(self) -> Head:
        """Return the head, and keep it outside the database; as ``Ledger.head``."""
        return await self._driver.carry_out(signing.current_head(self._scope))

    async def sign(self, *keys: SigningKey) -> SignedHead:
        """Sign the head with these keys; as ``Ledger.sign``."""
        return await self._driver.carry_out(signing.signing(self._scope, keys))

    async def prove(self, event_id: str) -> InclusionProof:
        """Return the proof that an event is sealed; as ``Ledger.prove``."""
        return await self._driver.carry_out(proving.proving(self._scope, event_id))

    async def verify(
        self,
        *,
        keys: Sequence[PublicKey] = (),
        notes: Iterable[Note] = (),
        since_last: bool = False,
    ) -> Verification:
        """Verify all that is sealed; as ``Ledger.verify``. The work is done in a thread."""
        return await self._driver.carry_out(
            readable(
                verifying.verifying(self._scope, keys=keys, notes=notes, since_last=since_last)
            )
        )

    async def accept_restore(self, *, actor: str = UNKNOWN_ACTOR) -> LedgerHead:
        """Go on with a database that is behind the last head seen; as ``Ledger.accept_restore``."""
        return await self._driver.carry_out(signing.restoring(self._scope, actor))
