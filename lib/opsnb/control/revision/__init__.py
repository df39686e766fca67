"""WHAT HOLDS: the workspace's files as somebody activated them, kept by digest; and what differs, in words."""
