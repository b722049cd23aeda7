"""Finding text by its words: how text becomes terms, how they are kept, and how documents are ranked."""
