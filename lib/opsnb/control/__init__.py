"""The control plane: it decides and records. It touches a machine only by running a notebook."""
