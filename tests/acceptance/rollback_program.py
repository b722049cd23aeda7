"""Goes back and forth between two snapshots until it is killed; says each rollback once it is acknowledged."""

from __future__ import annotations

import os

from aureus import Aureus


def main() -> None:
    """Restore one after the other."""
    with Aureus() as db:
        while True:
            for snapshot_id in ("one", "two"):
                rollback = db.snapshots.restore(snapshot_id)
                os.write(1, f"{rollback.rollback_id}\n".encode())


if __name__ == "__main__":
    main()
