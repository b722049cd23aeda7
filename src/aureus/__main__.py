"""``python -m aureus`` is the command ``aureus``."""

from __future__ import annotations

from aureus.cli.main import main

if __name__ == "__main__":
    main()
