"""SSH: the one place that knows paramiko."""
