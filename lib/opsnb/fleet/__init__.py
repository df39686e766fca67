"""Hosts and how they are reached; part 1 knows this machine only."""
