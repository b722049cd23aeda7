"""The engine against real stores, on both engines."""
