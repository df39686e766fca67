"""WHO: users and what they may do. Part 1 knows the one person who owns the workspace."""
