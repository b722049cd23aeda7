"""The tests of Aureus."""
