"""Persistence operations, one file for each noun. They know no driver, and not each other."""
