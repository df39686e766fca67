"""A runbook: a notebook, what its front matter says, and the parameters that it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import NotebookError, ParameterError
from opsnb.base.parameters import Parameters, Place, constrain, from_assignments, json_schema, parse_cell, validate
from opsnb.control.catalog.frontmatter import FrontMatter, check_placeholders, read_front_matter
from opsnb.control.catalog.notebook import Notebook, read_notebook
from opsnb.control.catalog.words import in_words
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsnb.base.canonical import JSON

FOLDER = "runbooks"  # of a workspace
PLAIN_HINT = "begin it with a raw cell of front matter: id, title, promise, risk, owner"


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """What can run. A notebook without front matter is one of risk ``read``, without parameters, secrets or hosts.

    Args:
        id: ``NGX-010``; ``None`` for a notebook without front matter.
        path: The file: relative to the workspace, POSIX; absolute for one outside.
        area: The folder under ``runbooks/``: ``nginx``; empty for one that stands elsewhere.
        front: The front matter, with its defaults.
        parameters: What it takes, in order.
        digest: SHA-256 of ``content``.
        content: The file's bytes, the very ones that were read and checked.
        active: Whether it is of the active revision, or files hold as they are.
    """

    id: str | None
    path: str
    area: str
    front: FrontMatter | None
    parameters: Parameters
    digest: str
    content: bytes = field(repr=False, compare=False)
    active: bool = True

    @property
    def name(self) -> str:
        """The id, or the file's name where there is none."""
        return self.id or PurePosixPath(self.path).name

    @property
    def title(self) -> str:
        """The front matter's title, or the file's name without its ending."""
        return self.front.title if self.front else PurePosixPath(self.path).stem

    @property
    def risk(self) -> Risk:
        """What it may do."""
        return self.front.risk if self.front else Risk.READ

    @property
    def facts(self) -> dict[str, JSON]:
        """The front matter as it is written; empty where there is none."""
        return self.front.facts if self.front else {}

    def validate(self, given: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the value of every parameter: what was given, else the default.

        Raises:
            ParameterError: See :func:`opsnb.base.parameters.validate`; on any name where none is taken.
        """
        self._check_takes_any(list(given))
        return validate(self.parameters, given)

    def from_assignments(self, assignments: list[str]) -> dict[str, JSON]:
        """Return the values that ``name=value`` texts give.

        Raises:
            ParameterError: See :func:`opsnb.base.parameters.from_assignments`; on any name where none is taken.
        """
        self._check_takes_any([text.partition("=")[0] for text in assignments])
        return from_assignments(self.parameters, assignments)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of the parameters."""
        return json_schema(self.parameters)

    def summary(self) -> dict[str, Any]:
        """Return what a list shows, as a JSON object."""
        return {
            "id": self.id,
            "path": self.path,
            "area": self.area,
            "title": self.title,
            "promise": self.front.promise if self.front else "",
            "risk": self.risk.value,
            "owner": self.front.owner if self.front else "",
            "digest": self.digest,
        }

    def as_json(self) -> dict[str, Any]:
        """Return all of it but the bytes as a JSON object; the parameters are their JSON Schema, and rows in words."""
        takes = [in_words(parameter) for parameter in self.parameters]
        return {**self.summary(), "facts": self.facts, "parameters": self.schema(), "takes": takes}

    def _check_takes_any(self, names: list[str]) -> None:
        if not names or self.parameters:
            return
        why = "declares no parameters" if self.front else "has no front matter and so takes no parameters"
        hint = "tag a code cell 'parameters'" if self.front else PLAIN_HINT
        raise ParameterError(f"unknown parameter {names[0]!r:.80}: {self.name} {why}", hint=hint)


def read_runbook(file: Path, workspace: Path) -> Runbook:
    """Read one notebook, inside the workspace or elsewhere.

    Raises:
        NotebookError: If it cannot be read, its front matter is wrong, or its parameters are; names file, cell, line.
    """
    return runbook_from(read_notebook(file, path=shown_path(file, workspace)))


def runbook_from(notebook: Notebook) -> Runbook:
    """Return the runbook that a notebook is.

    Raises:
        NotebookError: If its front matter or its parameters are wrong.
    """
    front = read_front_matter(notebook)
    return Runbook(
        id=front.id if front else None,
        path=notebook.path,
        area=_area(notebook.path),
        front=front,
        parameters=_parameters(notebook, front),
        digest=notebook.digest,
        content=notebook.content,
    )


def shown_path(file: Path, workspace: Path) -> str:
    """Return what a file is called: relative to the workspace where it is inside, else absolute.

    Links on the way to it are resolved; the file itself, if it is a link, is left for the reader to refuse.
    """
    root, real = workspace.resolve(), file.parent.resolve() / file.name
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else real.as_posix()


def _parameters(notebook: Notebook, front: FrontMatter | None) -> Parameters:
    cells = notebook.parameters_cells
    if len(cells) > 1:
        raise NotebookError(
            f"a second cell is tagged 'parameters', the first is cell {cells[0].index}",
            path=notebook.path,
            cell=cells[1].index,
            hint="keep one",
        )
    if front is None:
        return ()  # without front matter the cell is code like any other
    declared: Parameters = ()
    if cells:
        declared = parse_cell(cells[0].source, Place(path=notebook.path, cell=cells[0].index))
    check_placeholders(front, tuple(p.name for p in declared))
    return constrain(declared, front.constraints, front.place)


def _area(path: str) -> str:
    parts = PurePosixPath(path).parts
    return parts[1] if parts[0] == FOLDER and parts[2:] else ""
