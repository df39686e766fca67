"""HOW: one run, from its claim by a worker to its executed notebook."""
