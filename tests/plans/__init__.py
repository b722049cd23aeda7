"""How the hot statements are carried out: by which index, and over how many rows."""
