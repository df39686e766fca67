"""HashiCorp Vault as a source: KV version 2, logged in by AppRole. ``vault:PATH#FIELD`` names one field of a secret.

Vault is asked when a run asks, with a bound on time; nothing of it is stored, and a token lives in memory only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from opsnb.base.errors import NotFoundError, RefusedError, UnavailableError, UsageError

SECONDS = 10.0  # how long one question may take
MOVE = "docs/secrets.md: Vault"


class Vault:
    """One Vault server.

    Args:
        address: Its URL.
        mount: Where the KV engine is mounted.
        role: The AppRole's role id.
        secret: Returns the AppRole's secret id.
        seconds: How long one question may take.
    """

    def __init__(
        self, *, address: str, mount: str, role: str, secret: Callable[[], str], seconds: float = SECONDS
    ) -> None:
        self._address, self._mount, self._role, self._secret = address, mount, role, secret
        self._seconds = seconds
        self._client: Any = None
        self._lock = threading.Lock()

    def read(self, path: str, field: str) -> tuple[str, int]:
        """Return a field of a secret and the secret's version.

        Raises:
            NotFoundError: If there is no such secret or field.
            RefusedError: If Vault does not let us.
            UnavailableError: If it is sealed, does not answer in time, or answers nonsense.
        """
        with self._lock:
            answer = self._ask(path)
        try:
            data, version = answer["data"]["data"], int(answer["data"]["metadata"]["version"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnavailableError(
                f"Vault at {self._address} gave no KV version 2 answer for '{path}'", hint=MOVE
            ) from error
        if not isinstance(data, dict) or not isinstance(data.get(field), str):
            known = ", ".join(sorted(data)) if isinstance(data, dict) else ""
            raise NotFoundError(
                f"Vault's secret '{path}' has no text field '{field}'", hint=f"it has: {known or 'none'}"
            )
        return str(data[field]), version

    def _ask(self, path: str) -> Any:
        import hvac.exceptions

        for last in (False, True):
            fresh = self._client is None
            try:
                client = self._client or self._log_in()
                return client.secrets.kv.v2.read_secret_version(
                    path=path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized) as error:
                self._client = None
                if last or fresh:
                    raise self._refused(path, error) from None
                continue  # the token's lease has ended: log in once more
            except hvac.exceptions.InvalidPath:
                raise NotFoundError(
                    f"Vault has no secret '{path}' under '{self._mount}'",
                    hint=f"vault kv get -mount={self._mount} {path}",
                ) from None
            except (hvac.exceptions.VaultError, OSError, ValueError) as error:
                self._client = None
                raise self._away(error) from None
        raise AssertionError  # the second round returns or raises

    def _log_in(self) -> Any:
        try:
            import hvac
        except ImportError as error:
            raise UnavailableError("the Vault client is not installed", hint="pip install 'opsnb[vault]'") from error
        client = hvac.Client(url=self._address, timeout=self._seconds)
        client.auth.approle.login(role_id=self._role, secret_id=self._secret())
        self._client = client
        return client

    def _refused(self, path: str, error: Exception) -> RefusedError:
        return RefusedError(
            f"Vault at {self._address} does not let role '{self._role}' read '{path}' ({type(error).__name__})",
            hint="give its policy 'read' on this path, or renew the secret id",
        )

    def _away(self, error: Exception) -> UnavailableError:
        name = type(error).__name__
        what = "is sealed or starting" if name == "VaultDown" else f"does not answer as it should ({name})"
        return UnavailableError(f"Vault at {self._address} {what}", hint=MOVE)


def parse(reference: str) -> tuple[str, str]:
    """Return path and field of ``PATH#FIELD``.

    Raises:
        UsageError: If it is not of this form.
    """
    path, hash_, field = reference.partition("#")
    parts = path.split("/")
    if not hash_ or not field or not all(parts) or ".." in parts or not reference.isprintable():
        raise UsageError(f"'vault:{reference[:200]}' names no field of a secret", hint="write vault:team/db#password")
    return path, field
