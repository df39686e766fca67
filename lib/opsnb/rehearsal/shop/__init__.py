"""The application of a rehearsal fleet: copied to its hosts as it stands here."""
