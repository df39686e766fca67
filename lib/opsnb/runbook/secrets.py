"""A secret, by reference: a notebook holds its name, and asks for its value where it is used.

The value is masked in everything that the run says from before the moment at which the notebook gets it. It never
belongs into a plan, an argument or the environment of a program: give it on standard input.
"""

from __future__ import annotations

from typing import NoReturn

from opsnb.base.errors import LinkError
from opsnb.base.runlink import connect


class Secret:
    """A reference to a secret. Get it from :func:`secret`; printing it shows its name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The reference."""
        return self._name

    def reveal(self) -> str:
        """Return the value; the ledger records that this run was given it.

        Raises:
            LinkError: If it is not sealed in the request, cannot be read, or there is no control plane.
        """
        link = connect()
        if link is None:
            raise LinkError(
                f"secret '{self._name}' cannot be revealed: no control plane started this notebook",
                hint=f"add secrets: [{self._name}] to the front matter and run it with: opsnb run",
            )
        return str(link.ask("secret", name=self._name))

    def __repr__(self) -> str:
        return f"secret({self._name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled; ask for it by its name where it is needed")


def secret(name: str) -> Secret:
    """Return a reference to a secret that stands in the front matter's ``secrets``.

    Args:
        name: As it stands there, parameters filled in: ``db/prod``, ``env:NAME``, ``vault:team/db#password``.
    """
    return Secret(name)
