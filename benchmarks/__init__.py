"""How fast Aureus is, one program per question: ``python -m benchmarks``."""
