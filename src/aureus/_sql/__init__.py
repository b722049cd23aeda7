"""The SQL of the product: statements by noun, and migrations. Data, no Python."""
