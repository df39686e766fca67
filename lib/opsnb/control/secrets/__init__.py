"""Secrets: the store, and references that a sealed request may reveal."""
