"""What the documents say is held here against the code, and what they show is carried out."""
