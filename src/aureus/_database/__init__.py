"""The database layer: statements, operations, group commit and migrations, for SQLite and PostgreSQL.

It knows no noun. Stores say what they want as generators of statements; this package decides how those travel.
"""
