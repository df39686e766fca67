"""The front matter: the raw first cell, YAML between two ``---`` lines, the only place for a runbook's facts.

Rules: every field is known and of its type; ``id title promise risk owner`` always stand there, ``touches`` and
``undo`` too when something is changed; text is one line for a person; ``{names}`` in ``lock``, ``reads``, ``writes``
and ``secrets`` are parameters (and ``{host}`` in ``lock``).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsnb.base.errors import ParameterError
from opsnb.base.parameters import Place, did_you_mean, duration_seconds
from opsnb.base.yaml import read_yaml
from opsnb.control.records import Risk

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsnb.base.canonical import JSON
    from opsnb.control.catalog.notebook import Notebook, NotebookCell

ID = re.compile(r"[A-Z]{2,5}-[0-9]{3}")
FENCE = re.compile(r"---[ \t]*")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
ALWAYS = ("id", "title", "promise", "risk", "owner")
WHEN_CHANGING = ("touches", "undo")
DEFAULT_TIMEOUT = 600.0  # seconds
MAX_TIMEOUT = 7 * 86400.0  # seconds
MAX_TEXT = 1000  # characters of one field
CONFIGS = "configs"  # the one folder of the workspace that reads and writes may name without a slash in front
TIGHTENED = {
    ("self_approval", "never"): "own",
    ("free", False): "free",
    ("break_glass", False): "glass",
}  # to what is false then
MAX_BOUND = {"approvals": 20, "max_hosts": 100_000, "batch": 100_000}  # of what a notebook's policy may ask for
MAX_PATHS = 100  # entries of reads, of writes
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, kw_only=True)
class FrontMatter:
    """A runbook's facts.

    Args:
        id: ``NGX-010``.
        title: What it does, as a title.
        promise: What is true after it, in one sentence.
        risk: What it may do.
        owner: Who answers for it.
        touches: What it changes; empty for risk ``read``.
        undo: How it is undone; empty for risk ``read``.
        timeout: Seconds that the whole run may take.
        cell_timeout: Seconds that one cell may take; ``None`` means the run's.
        lock: Name of the lock that a run holds, ``{host}`` and parameters filled in; empty means none.
        hosts: Selector of the hosts when none is given; empty means this machine.
        reads: Paths that its kernel may read besides; ``{parameter}`` is filled in when the run is sealed.
        writes: Existing directories that its kernel may write in apply.
        secrets: References of the secrets that its kernel may be given; ``{parameter}`` is filled in.
        policy: What it wants stricter than the policies of the workspace: of ``approvals``, ``max_hosts``, ``batch``,
            ``validity`` (seconds), ``own`` and ``free`` (both ``False``).
        constraints: The ``parameters`` block: name to constraints.
        facts: All fields as they are written, in their order.
        place: Cell and lines, for errors found later.
    """

    id: str
    title: str
    promise: str
    risk: Risk
    owner: str
    touches: str = ""
    undo: str = ""
    timeout: float = DEFAULT_TIMEOUT
    cell_timeout: float | None = None
    lock: str = ""
    hosts: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    policy: dict[str, JSON] = field(default_factory=dict)
    constraints: dict[str, JSON] = field(default_factory=dict)
    facts: dict[str, JSON] = field(default_factory=dict)
    place: Place = field(default_factory=Place, compare=False, repr=False)


def read_front_matter(notebook: Notebook) -> FrontMatter | None:
    """Return the front matter, ``None`` where the notebook has none.

    Raises:
        NotebookError: Names file, cell, line and field.
    """
    cell = _find(notebook)
    if cell is None:
        return None
    place = Place(path=notebook.path, cell=cell.index)
    document = read_yaml(_body(cell, place), place, first_line=2)
    place = Place(path=notebook.path, cell=cell.index, lines=document.lines)
    if not isinstance(document.value, dict):
        raise place.error("wanted fields, one a line", line=1, hint="id: NGX-010")
    facts = document.value
    _check_names(facts, place)
    values: dict[str, Any] = {}
    for name, value in facts.items():
        try:
            values[name] = READERS[name](value)
        except ParameterError as error:
            raise place.error(error.message, name=name, hint=error.hint) from None
    _check_timeouts(values, place)
    constraints = values.pop("parameters", {})
    return FrontMatter(**values, constraints=constraints, facts=facts, place=place)


def check_placeholders(front: FrontMatter, names: tuple[str, ...]) -> None:
    """Refuse a ``{name}`` that nothing will fill in.

    Args:
        front: The front matter.
        names: Names of the parameters.

    Raises:
        NotebookError: Names the field, what was found and the nearest right name.
    """
    texts = [("lock", front.lock, (*names, "host"))]
    texts += [
        (f"{at}.{n}", path, names) for at in ("reads", "writes", "secrets") for n, path in enumerate(getattr(front, at))
    ]
    for at, text, known in texts:
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                hint = did_you_mean(name, known) or "the notebook declares no parameters"
                raise front.place.error(f"nothing fills in {{{name[:40]}}}", name=at, hint=hint)


def _find(notebook: Notebook) -> NotebookCell | None:
    fenced = [
        c for c in notebook.cells if c.kind == "raw" and FENCE.fullmatch(c.source.partition("\n")[0].rstrip("\r"))
    ]
    if fenced and fenced[0].index == 0:
        return fenced[0]
    for cell in fenced:  # a raw cell may begin with a rule of dashes; with an id as well it means to be front matter
        if re.search(r"^\s*id\s*:", cell.source, re.MULTILINE):
            place = Place(path=notebook.path, cell=cell.index)
            raise place.error("this front matter is not the first cell", hint="move it to the top of the notebook")
    return None


def _body(cell: NotebookCell, place: Place) -> str:
    lines = re.split(r"\r\n|\r|\n", cell.source)
    ends = [n for n, line in enumerate(lines) if n and FENCE.fullmatch(line)]
    if not ends:
        raise place.error("the closing --- is missing", line=len(lines))
    after = next((n for n, line in enumerate(lines) if n > ends[0] and line.strip()), None)
    if after is not None:
        raise place.error("text stands behind the closing ---", line=after + 1, hint="put prose into a markdown cell")
    return "\n".join(lines[1 : ends[0]])


def _check_names(facts: dict[str, JSON], place: Place) -> None:
    for name in facts:
        if name not in READERS:
            raise place.error("is not a field", name=name, hint=did_you_mean(name, READERS, what="fields"))
    changing = facts.get("risk") in (Risk.CHANGE, Risk.DANGER)
    for name in (*ALWAYS, *(WHEN_CHANGING if changing else ())):
        if name not in facts:
            why = f" at risk {facts['risk']}" if name in WHEN_CHANGING else ""
            raise place.error(f"is missing{why}", line=1, name=name, hint=f"add a line '{name}: ...'")


def _check_timeouts(values: dict[str, Any], place: Place) -> None:
    whole, cell = values.get("timeout", DEFAULT_TIMEOUT), values.get("cell_timeout")
    if cell is not None and cell > whole:
        raise place.error(f"{cell:g} s is more than the run's timeout of {whole:g} s", name="cell_timeout")


def _text(value: JSON) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ParameterError(f"found {value!r:.60}, wanted text", hint="quote it if it looks like something else")
    if len(value) > MAX_TEXT:
        raise ParameterError(f"has {len(value)} characters, at most {MAX_TEXT} are allowed")
    text = value.strip()
    for character in text:
        if character in BIDI or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise ParameterError(f"holds the character U+{ord(character):04X}, wanted one line of plain text")
    return text


def _id(value: JSON) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        hint = "two to five capital letters, a dash, three digits: NGX-010"
        raise ParameterError(f"found {value!r:.60}, wanted an id", hint=hint)
    return value


def _risk(value: JSON) -> Risk:
    try:
        return Risk(value)
    except ValueError:
        hint = did_you_mean(str(value), Risk, what="risks")
        raise ParameterError(f"found {value!r:.60}, wanted read, change or danger", hint=hint) from None


def _timeout(value: JSON) -> float:
    seconds = duration_seconds(str(value)) if type(value) in {int, float, str} else 0.0
    if not 0 < seconds <= MAX_TIMEOUT:
        raise ParameterError(
            f"found {value!r:.60}, wanted a duration above 0 and up to 7d", hint="write 90, 45s or 10m"
        )
    return seconds


def _template(value: JSON) -> str:
    text = _text(value)
    if set(PLACEHOLDER.sub("", text)) & set("{}"):
        raise ParameterError(f"found {text[:60]!r}: braces stand only around a name", hint="{parameter}")
    return text


def _paths(value: JSON) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_PATHS:
        raise ParameterError(f"found {value!r:.60}, wanted a list of at most {MAX_PATHS} paths")
    paths = tuple(_template(item) for item in value)
    for path in paths:
        if ".." in path.split("/") or not (path == CONFIGS or path.startswith(("/", "{", f"{CONFIGS}/"))):
            hint = "write /srv/data, {parameter}, {parameter}/data or configs/{service}"
            raise ParameterError(f"found {path[:60]!r}, wanted an absolute path without '..'", hint=hint)
    return paths


def _secrets(value: JSON) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_PATHS:
        raise ParameterError(f"found {value!r:.60}, wanted a list of at most {MAX_PATHS} secrets", hint="[db/prod]")
    return tuple(_template(item) for item in value)


def _policy(value: JSON) -> dict[str, JSON]:
    """Read what a notebook wants stricter; it may only tighten, so what would loosen has no form here."""
    if not isinstance(value, dict):
        raise ParameterError(
            f"found {value!r:.60}, wanted keys and values", hint="policy: {approvals: 2, max_hosts: 5}"
        )
    found: dict[str, JSON] = {}
    for key, item in value.items():
        if key in {"approvals", "max_hosts", "batch"}:
            if type(item) is not int or not 1 <= item <= MAX_BOUND[key]:
                raise ParameterError(f"{key}: found {item!r:.60}, wanted a number from 1 to {MAX_BOUND[key]}")
            found[key] = item
        elif key == "validity":
            found[key] = _timeout(item)
        elif isinstance(item, str | bool) and (key, item) in TIGHTENED:
            found[TIGHTENED[key, item]] = False
        else:
            known = ("approvals", "max_hosts", "batch", "validity", *(f"{k}: {str(v).lower()}" for k, v in TIGHTENED))
            raise ParameterError(f"found {key}: {item!r:.60}, which tightens nothing", hint=did_you_mean(key, known))
    return found


def _constraints(value: JSON) -> dict[str, JSON]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParameterError(f"found {value!r:.60}, wanted a name with constraints on each line")
    return value


READERS: dict[str, Callable[[JSON], Any]] = {
    "id": _id,
    "title": _text,
    "promise": _text,
    "risk": _risk,
    "owner": _text,
    "touches": _text,
    "undo": _text,
    "timeout": _timeout,
    "cell_timeout": _timeout,
    "lock": _template,
    "hosts": _text,
    "reads": _paths,
    "writes": _paths,
    "secrets": _secrets,
    "policy": _policy,
    "parameters": _constraints,
}
