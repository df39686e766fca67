"""A container as a transport."""
