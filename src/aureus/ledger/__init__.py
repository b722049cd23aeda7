"""The ledger: facts become immutable, hashed events in the transaction that brings them about."""
