"""A terminal on a host, recorded."""
