"""The API client: what the command line and JupyterLab use. Standard library only, so that it starts at once."""

from opsnb.client.connection import Client
from opsnb.client.control import connect, submit

__all__ = ["Client", "connect", "submit"]
