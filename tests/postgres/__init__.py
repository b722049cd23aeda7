"""What holds on PostgreSQL beyond the contract: lost replies, locks, roles, counts."""
