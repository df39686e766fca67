"""What both sides share: values and rules without I/O. Imports nothing of ours."""
