"""Secrets: an encrypted store of our own, HashiCorp Vault, and the environment of ``opsnb up``."""

from opsnb.control.secrets.hiding import request_key
from opsnb.control.secrets.sources import Environment, Released, Sources, check_reference, reference
from opsnb.control.secrets.store import Listed, SecretStore, check_name
from opsnb.control.secrets.vault import Vault

__all__ = [
    "Environment", "Listed", "Released", "SecretStore", "Sources", "Vault", "check_name", "check_reference",
    "reference", "request_key",
]  # fmt: skip
