"""The SQL of the product, held against the code that uses it and the databases it runs on."""
