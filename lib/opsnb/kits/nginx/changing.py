"""Files of an nginx configuration as a change: tested, swapped, reloaded, proven; or put back.

Rules:

* A state is ``{"files": {path: {"content", "mode"} or None}, "loaded": bool}``: the files of one change together, since
  one reload takes them all, and whether the running master has loaded what is on disk
  (:mod:`opsnb.kits.nginx.running`).
* The plan is made against the whole configuration: ``nginx -t`` reads it with the new files among the others, as the
  person who looks (:mod:`opsnb.kits.nginx.testing`). An nginx that does not run is not started.
* The change is one script on the host (:mod:`opsnb.kits.swap`): the files are compared once more with the plan, back
  ends that must answer are asked, the files are replaced; then ``nginx -t``, the reload, the proof that workers of a
  new generation run, the probe. When one of these fails the files are put back byte for byte and nginx is reloaded with
  them; the reason is the change's error.
* New files that nginx has not loaded, as a host leaves them that dies in the middle, are partway: finishing is the same
  change, which then only tests, reloads and probes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from opsnb.base.canonical import JSON, digest
from opsnb.base.errors import UsageError
from opsnb.base.plan import Change, Plan
from opsnb.kits import remote, swap
from opsnb.kits.files.states import DEFAULT_MODE, State, content_of, plain
from opsnb.kits.nginx import running, testing
from opsnb.kits.nginx.finding import Installation, find
from opsnb.kits.nginx.probe import Probe
from opsnb.kits.nginx.reading import Configuration, read_installation
from opsnb.runbook.actuators import Actuator, register

VERB = "nginx.files"
PROGRAM_SECONDS = 60.0  # that nginx -t, the reload or the probe may take

Files = dict[str, State | None]


def plan_files(
    host: str,
    files: Mapping[str, str | None],
    *,
    conf: str = "",
    probe: Probe | None = None,
    title: str = "nginx configuration",
    seen: Configuration | None = None,
) -> Plan:
    """Return the plan that makes files of a host's nginx configuration hold new text, and loads them; reads only.

    Args:
        host: A host of the run.
        files: New text of each file by its absolute path (the real one, no symbolic link); ``None`` removes it.
        conf: The main configuration file, when several nginx run or another than the running one's is meant.
        probe: What must answer: back ends before anything is changed, nginx afterwards, or everything is put back.
        title: One line for the reader.
        seen: The configuration, when it was read already.

    Raises:
        UsageError: If a path or text is none, or nginx refuses the configuration with these files; names file and line.
        NotFoundError: If there is no nginx.
        UnreachableError: If the host cannot be reached.
        OpsnbError: If nginx does not run, or something may not be read.
    """
    seen = seen or read_installation(find(host, conf))
    installation = seen.installation
    running.running(host, installation.pid, installation.conf)
    wanted = {str(plain(path)): None if text is None else content_of(text, path) for path, text in files.items()}
    target = target_of(wanted, conf=conf)
    before = observe(host, target)
    after: dict[str, JSON] = {
        "files": {p: _after(before["files"][p], text) for p, text in sorted(wanted.items())},
        "loaded": True,
    }
    if probe:
        target["probe"] = {**probe.as_json(), "for": digest(after["files"])}
    context: dict[str, JSON] = {"nginx": f"{installation.name} {installation.version}".strip()}
    if before == after:
        return Plan(title=title, changes=(), context=context)
    tested = testing.staged(installation, staged_files(seen, wanted))
    context |= {"tested": tested.words, "tested whole": tested.whole}
    if pending := _pending(seen, installation, wanted):
        context["takes effect too"] = pending
    return Plan(title=title, changes=(_change(host, target, before, after),), context=context)


def target_of(paths: Mapping[str, object] | Sequence[str], *, conf: str = "") -> dict[str, JSON]:
    """Return the target of a change: its paths, and the main configuration file when it was named."""
    return {"paths": sorted(paths), "conf": conf}


def observe(host: str, target: JSON) -> JSON:
    """Return the state of the files that ``target`` names, ``{"paths": [...], "conf": "", "probe": {...}}``."""
    paths, conf = _target(target)
    files = swap.read(host, paths)
    taken = running.loaded(host, find(host, conf).pid, paths)
    return {"files": {path: files[path] for path in sorted(paths)}, "loaded": taken}


def apply(host: str, target: JSON, before: JSON, after: JSON) -> None:
    """Bring the files from ``before`` to ``after`` and make the running nginx take them.

    Raises:
        UnreachableError: If the host cannot be reached: nothing was begun.
        UnknownOutcomeError: If it began and nobody saw its end.
        OpsnbError: If a file is not as planned, nginx does not run, refuses the configuration or does not take it, or
            the probe is answered wrong; the files are the old ones then, byte for byte, and loaded.
    """
    installation = find(host, _target(target)[1])
    master = running.running(host, installation.pid, installation.conf)
    old, new = _files(before), _files(after)
    programs: dict[str, Any] = {
        "validate": testing.program(installation),
        "activate": running.reload_program(master),
        "seconds": PROGRAM_SECONDS,
    }
    probe = _probe(target, new)
    if probe:
        programs |= {"check": probe.before(), "prove": probe.program()}
    swap.replace(host, old, new, **programs)
    if None in new.values():  # what swap leaves behind is removed after the reload, and moves the directory's time
        remote.act(host, running.RELOAD, *programs["activate"][4:], seconds=PROGRAM_SECONDS)


def partway(target: JSON, before: JSON, after: JSON, found: JSON) -> bool:
    """Return whether a change was begun and its files only need to be loaded: the new ones, or those put back."""
    _target(target)
    return not found["loaded"] and found["files"] in (before["files"], after["files"])


ACTUATOR = register(Actuator(verb=VERB, observe=observe, apply=apply, partway=partway))


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what changes as a unified diff over all files; empty when nothing does."""
    parts: list[str] = []
    for path in sorted(after):
        old, new = before[path], after[path]
        lines = [(state["content"] if state else "").splitlines(keepends=True) for state in (old, new)]
        names = [path if state else "/dev/null" for state in (old, new)]
        parts += (
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(lines[0], lines[1], names[0], names[1])
        )  # fmt: skip
    return "".join(parts)


def staged_files(seen: Configuration, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return every file of a configuration with new texts among them, under the names by which nginx reads them."""
    real = {stored.real: path for path, stored in seen.stored.items()}
    return {**seen.files, **{real.get(path, path): text for path, text in wanted.items()}}


def _change(host: str, target: dict[str, JSON], before: JSON, after: JSON) -> Change:
    names = ", ".join(after["files"])
    return Change(
        host=host, what=f"nginx configuration {names}", verb=VERB, target=target, before=before, after=after,
        command=_command(before, after), undo=_command(after, before),
    )  # fmt: skip


def _command(before: JSON, after: JSON) -> str:
    done = []
    for path, state in after["files"].items():
        if state != before["files"][path]:
            done.append(f"remove {path}" if state is None else f"write {path}: {len(state['content'].encode())} bytes")
    return "; ".join([*done, "nginx -t", "reload, proven by new workers"])


def _after(state: State | None, text: str | None) -> State | None:
    return None if text is None else {"content": text, "mode": state["mode"] if state else DEFAULT_MODE}


def _pending(seen: Configuration, installation: Installation, wanted: Mapping[str, str | None]) -> list[str]:
    """Return the other files that changed since nginx loaded its configuration: a reload takes them too."""
    others = [stored.real for stored in seen.stored.values() if stored.real not in wanted]
    return [] if installation.pid is None else running.changed_since(installation.host, installation.pid, others)


def _probe(target: JSON, files: Files) -> Probe | None:
    """Return the probe, when it is about these files: it belongs to what was planned, not to what an undo restores."""
    probe = target.get("probe")
    if not probe or probe.get("for") != digest(files):
        return None
    return Probe.from_json({name: value for name, value in probe.items() if name != "for"})


def _target(target: JSON) -> tuple[list[str], str]:
    paths = target.get("paths") if isinstance(target, dict) else None
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise UsageError(f"the target of {VERB} is {{'paths': [...]}}, found {target!r:.80}")
    return [str(plain(path)) for path in paths], str(target.get("conf") or "")


def _files(state: JSON) -> Files:
    if not isinstance(state, dict) or not isinstance(state.get("files"), dict):
        raise UsageError(f"a state of {VERB} is {{'files': ..., 'loaded': ...}}, found {state!r:.80}")
    return dict(state["files"])
