"""A plan: what a run would change, host by host, as values.

Rules:

* A change holds only what is the same each time the same state is read: never a time, pid, counter or secret.
* ``before`` and ``after`` are complete: applying the change turns one into the other, and the inverse turns it back.
* ``context`` is shown to the reader and never digested.
* A plan's digest is made of one digest per host, so that a retry compares only the hosts that did not finish.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opsnb.base.canonical import JSON, digest
from opsnb.base.errors import UsageError

CHANGE_FIELDS = ("host", "what", "verb", "target", "before", "after", "command", "undo")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change to one thing on one host.

    Args:
        host: The host's name; ``localhost`` is this machine.
        what: What is changed, for the reader: ``file /etc/motd``.
        verb: Name of the actuator that carries it out: ``linux.file``.
        target: What the actuator needs to find the thing, JSON: ``{"path": "/etc/motd"}``.
        before: The thing's complete state now, JSON; ``None`` when it does not exist.
        after: Its complete state afterwards, JSON; ``None`` when it will not exist.
        command: What will be done, in words or as argv.
        undo: How it is undone, in words or as argv.
    """

    host: str
    what: str
    verb: str
    target: JSON
    before: JSON
    after: JSON
    command: str
    undo: str

    def inverse(self) -> Change:
        """Return the change that restores ``before``."""
        return replace(self, before=self.after, after=self.before, command=self.undo, undo=self.command)

    def as_json(self) -> dict[str, Any]:
        """Return the change as a JSON object."""
        return {name: getattr(self, name) for name in CHANGE_FIELDS}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would change, and what the reader should know besides.

    Args:
        title: One line for the reader.
        changes: In the order in which they are made; empty when nothing has to change.
        context: Anything the reader should see, JSON; shown, not digested.
    """

    title: str
    changes: tuple[Change, ...]
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that change, in order of first appearance."""
        return tuple(dict.fromkeys(c.host for c in self.changes))

    def host_digests(self) -> dict[str, str]:
        """Return one digest for each host, over its changes in order."""
        return {h: digest([c.as_json() for c in self.changes if c.host == h]) for h in self.hosts}

    @property
    def digest(self) -> str:
        """The plan's digest: over the digests of its hosts."""
        return digest(self.host_digests())

    def only(self, numbers: Collection[int]) -> Plan:
        """Return the plan with these of its changes, in their order."""
        return replace(self, changes=tuple(c for number, c in enumerate(self.changes) if number in numbers))

    def inverse(self) -> Plan:
        """Return the plan that undoes this one, last change first."""
        return Plan(
            title=f"undo: {self.title}",
            changes=tuple(c.inverse() for c in reversed(self.changes)),
            context={},
        )

    def as_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object, with its digests."""
        return {
            "title": self.title,
            "changes": [c.as_json() for c in self.changes],
            "context": self.context,
            "host_digests": self.host_digests(),
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, value: JSON) -> Plan:
        """Read a plan back; digests are computed anew, never believed.

        Raises:
            UsageError: If a field is missing or of the wrong type.
        """
        if not isinstance(value, dict) or not isinstance(value.get("changes"), list):
            raise UsageError("a plan is an object with a list of 'changes'")
        return cls(
            title=str(value.get("title", "")),
            changes=tuple(_change(c) for c in value["changes"]),
            context=dict(value["context"]) if isinstance(value.get("context"), dict) else {},
        )


def merge(title: str, plans: Mapping[str, Plan]) -> Plan:
    """Return the plans of several hosts as one: all changes, host after host; each context under its host's name."""
    return Plan(
        title=title,
        changes=tuple(change for plan in plans.values() for change in plan.changes),
        context={"hosts": {name: plan.context for name, plan in plans.items()}},
    )


def difference(before: JSON, after: JSON) -> list[str]:
    """Return how two states differ, as lines of a unified difference."""
    return list(difflib.unified_diff(state_lines(before), state_lines(after), "before", "after", n=2, lineterm=""))


def state_lines(state: JSON) -> list[str]:
    """Return a state as lines for a difference: a file's content line by line, whatever else it says in front of it.

    Args:
        state: JSON; ``{"content": text, ...}`` is a file, ``{"files": {path: file}, ...}`` are several, with
            ``"directories"`` where some are made; ``None`` is nothing.
    """
    if state is None:
        return []
    if isinstance(state, str):
        return state.splitlines()
    if isinstance(state, Mapping) and isinstance(state.get("content"), str):
        return [*_rest(state, "content"), *state["content"].splitlines()]
    if isinstance(state, Mapping) and isinstance(state.get("files"), Mapping):
        return [*_rest(state, "files", "directories"), *_directories(state), *_files(state["files"])]
    return json.dumps(state, ensure_ascii=False, sort_keys=True, indent=1, default=str).splitlines()


def _rest(state: Mapping[str, Any], *without: str) -> list[str]:
    rest = {name: value for name, value in state.items() if name not in without}
    return [json.dumps(rest, ensure_ascii=False, sort_keys=True)] if rest else []


def _directories(state: Mapping[str, Any]) -> list[str]:
    found = state.get("directories")
    rows = found.items() if isinstance(found, Mapping) else ()
    return [f"== {path}/  {json.dumps(value, ensure_ascii=False)}" for path, value in rows if value is not None]


def _files(files: Mapping[str, Any]) -> list[str]:
    lines = []
    for path, file in files.items():
        if file is not None:
            whole = isinstance(file, Mapping) and "content" not in file
            lines += [f"== {path}", *(_rest(file) if whole else state_lines(file))]
    return lines


def _change(value: JSON) -> Change:
    if not isinstance(value, dict):
        raise UsageError("a change is an object")
    missing = [name for name in CHANGE_FIELDS if name not in value]
    if missing:
        raise UsageError(f"a change lacks {', '.join(missing)}")
    for name in ("host", "what", "verb", "command", "undo"):
        if not isinstance(value[name], str):
            raise UsageError(f"a change's '{name}' is text, found {type(value[name]).__name__}")
    return Change(**{name: value[name] for name in CHANGE_FIELDS})
