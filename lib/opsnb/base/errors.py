"""The exception tree. One base class; every message names the thing, what was found, what was wanted, what to do next.

::

    OpsnbError                 exit 1
      UsageError               exit 2   bad usage, parameter, file, setting
        NotebookError                   a notebook that cannot be read or is not a runbook
        ParameterError                  an unknown name, a wrong type, a value out of range
        SettingsError                   opsnb.yaml
        InventoryError                  inventory.yaml, or what is asked of it
      RefusedError             exit 3   permission, approval, freeze, isolation
        NotSignedInError                nobody said who they are, or with a token that does not hold
      UnavailableError         exit 7   the control plane cannot be reached or cannot work
      AlteredError             exit 1   evidence does not match what was recorded
      UnreachableError         exit 1   a host cannot be reached; nothing was begun there
      UnknownOutcomeError      exit 1   something was begun on a host and its end was not seen
"""

from __future__ import annotations


class OpsnbError(Exception):
    """Base of everything opsnb raises on purpose.

    Args:
        message: What happened, to what, and what was wanted.
        hint: The next move, as a command or a sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(OpsnbError):
    """The request itself is wrong; nothing was started."""

    exit_code = 2


class NotebookError(UsageError):
    """A notebook cannot be read, or its front matter or parameters are not valid.

    Args:
        message: What is wrong.
        path: The notebook.
        cell: Index of the cell, from 0.
        line: Line within that cell, from 1.
        field: The front matter field or parameter name.
        hint: The next move.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        cell: int | None = None,
        line: int | None = None,
        field: str = "",
        hint: str = "",
    ) -> None:
        where = path
        if cell is not None:
            where += f" cell {cell}"
        if line is not None:
            where += f" line {line}"
        if field:
            where += f" field '{field}'"
        super().__init__(f"{where.strip()}: {message}" if where else message, hint=hint)
        self.path, self.cell, self.line, self.field = path, cell, line, field


class ParameterError(UsageError):
    """A parameter is unknown, of the wrong type, or out of range."""


class SettingsError(UsageError):
    """A settings file is wrong."""


class InventoryError(UsageError):
    """The inventory is wrong, or does not hold what is asked of it.

    Args:
        message: What is wrong.
        path: The file.
        line: Line in it, from 1.
        field: Dotted name of the field: ``hosts.web1.port``.
        hint: The next move.
    """

    def __init__(
        self, message: str, *, path: str = "", line: int | None = None, field: str = "", hint: str = ""
    ) -> None:
        where = path + (f" line {line}" if line is not None else "") + (f" field '{field}'" if field else "")
        super().__init__(f"{where.strip()}: {message}" if where else message, hint=hint)
        self.path, self.line, self.field = path, line, field


class NotFoundError(UsageError):
    """Nothing has this name; the hint holds the nearest right one."""


class RefusedError(OpsnbError):
    """Policy, approval or isolation says no; nothing was started."""

    exit_code = 3


class NotSignedInError(RefusedError):
    """Nobody said who they are, or with a token, session or password that does not hold."""


class UnavailableError(OpsnbError):
    """The control plane cannot be reached, or cannot do its work now."""

    exit_code = 7


class AlteredError(OpsnbError):
    """Recorded evidence no longer matches."""


class LinkError(OpsnbError):
    """The run link broke or refused a message."""


class UnreachableError(OpsnbError):
    """A host cannot be reached, so nothing was begun there."""


class UnknownOutcomeError(OpsnbError):
    """Something was begun on a host and nobody saw its end: we do not know."""
