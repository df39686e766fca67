"""nginx: what it is, what it says, and how it is changed."""
