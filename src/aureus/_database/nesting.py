"""What a call beside an open transaction of its own caller is told, alike on both engines.

It would be no part of the transaction, and where both touch the same thing it would wait for it for ever: the
transaction ends only when its caller goes on. PostgreSQL notices no deadlock then, because the caller waits elsewhere.
"""

from __future__ import annotations

from aureus.errors import DatabaseError, Invalid


def nested() -> Invalid:
    """Return the error of a write, or of another transaction, inside a transaction of the same database."""
    return Invalid(
        "this call is made inside a transaction of the same database: it would be no part of it, and could wait for it "
        "for ever; use the stores of the transaction (tx), not those of the database"
    )


def ended() -> DatabaseError:
    """Return the error of a transaction that is used after its block."""
    return DatabaseError("this transaction has ended; open a new one")
