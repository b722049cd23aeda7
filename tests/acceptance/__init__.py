"""The product as a user meets it: real processes, killed for real."""
