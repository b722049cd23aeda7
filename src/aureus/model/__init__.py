"""Records, states, transition tables and formulas: pure, standard library only."""
