"""One host's Supervisor, as it was read in one round trip."""

from __future__ import annotations

from dataclasses import dataclass, field

from opsnb.base.canonical import sha256
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.files.states import plain
from opsnb.kits.supervisor.config import Section, programs
from opsnb.kits.supervisor.log import Log, parse_log
from opsnb.kits.supervisor.scripts import LOOK
from opsnb.kits.supervisor.status import Process, parse_reread, parse_starts, parse_status

TOKEN = 12  # hex digits that name one life of a process
ALL_PARTS = "svclt"
WAIT_SECONDS = 90.0  # what a host with many broken processes may take


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a host said of its Supervisor.

    Args:
        ctl: Path of supervisorctl; empty where there is no Supervisor.
        conf: Its configuration file.
        problem: Why supervisord could not be asked; empty when it could.
        version: Of supervisord.
        now: The host's local time and its offset, ``1795657746 +0000``.
        processes: In the order of supervisorctl.
        differs: Group to how its configuration on disk is not what runs; ``available``, ``changed``, ``disappeared``.
        unread: Why the configuration on disk cannot be read by supervisord; empty when it can.
        patterns: Where included files lie.
        files: Configuration files by path, the main one first.
        log: What the log tells; ``None`` when it was not asked for.
        last_words: Process that does not run to its last words, stderr first.
    """

    ctl: str
    conf: str
    problem: str = ""
    version: str = ""
    now: str = ""
    boot: str = ""
    processes: tuple[Process, ...] = ()
    differs: dict[str, str] = field(default_factory=dict)
    unread: str = ""
    patterns: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    log: Log | None = None
    last_words: dict[str, str] = field(default_factory=dict)

    @property
    def there(self) -> bool:
        """Whether the host has Supervisor."""
        return bool(self.ctl and self.conf)

    @property
    def programs(self) -> dict[str, Section]:
        """The program sections of its configuration, by program."""
        return programs(self.files)

    def token(self, process: Process) -> str:
        """Return what names this very life of a process: another one has another; empty when it does not run."""
        if not process.pid:
            return ""
        return sha256(f"{self.boot} {process.pid} {process.started}".encode())[:TOKEN]


def read(host: str, conf: str = "", *, parts: str = ALL_PARTS) -> Reading:
    """Return what a host says of its Supervisor, in one round trip; a host without one is told by ``there``.

    Args:
        host: A host of the run.
        conf: The configuration file; found where it is empty.
        parts: What is asked for: ``s`` status, ``v`` version, ``c`` configuration, ``l`` log, ``t`` last words.

    Raises:
        UnreachableError: If the host cannot be reached.
        UsageError: If the configuration file is not there.
        OpsnbError: If it may not be read, or the answer is not that of our script.
    """
    if conf:
        plain(conf)
    return parse(remote.look(host, LOOK, conf, parts, seconds=WAIT_SECONDS).stdout, host)


def required(host: str, conf: str = "", *, parts: str = "s") -> Reading:
    """Return what a host says, where its supervisord answers.

    Raises:
        UsageError: If there is no Supervisor, or it does not answer.
        UnreachableError: If the host cannot be reached.
    """
    found = read(host, conf, parts=parts)
    if not found.there:
        raise UsageError(f"{host} has no Supervisor", hint="HST-010 with supervisor=true installs it")
    if found.problem:
        raise UsageError(f"{host}: {found.problem}", hint="SUP-001 shows what is known; start supervisord, plan again")
    return found


def parse(data: bytes, host: str) -> Reading:
    """Return a host's answer as a value.

    Raises:
        OpsnbError: If it ended early, or is of another form.
    """
    texts = _texts(data, host)
    processes, problem = parse_status(texts.get("status", ""), parse_starts(texts.get("starts", "")))
    differs, unread = parse_reread(texts.get("reread", ""))
    return Reading(
        ctl=texts["ctl"], conf=texts["conf"], problem=problem, version=texts.get("version", "").strip(),
        now=texts["now"], boot=texts["boot"], processes=processes, differs=differs, unread=unread,
        patterns=tuple(texts.get("patterns", "").split()), files=_named(texts, "file"),
        log=parse_log(texts["log"]) if "log" in texts else None, last_words=_last_words(texts),
    )  # fmt: skip


def _texts(data: bytes, host: str) -> dict[str, str]:
    found: dict[str, str] = {}
    left = data
    while left and "end" not in found:
        head, _, left = left.partition(b"\n")
        name, _, size = head.decode("utf-8", "replace").rpartition(" ")
        if not name or not size.isdigit() or int(size) > len(left):
            raise OpsnbError(f"{host}: the answer was {head!r:.80}", hint="does its login shell print something?")
        found[name] = left[: int(size)].decode("utf-8", "replace")
        left = left[int(size) + 1 :]
    if "end" not in found:
        raise OpsnbError(f"{host}: the end of its answer is missing")
    return found


def _named(texts: dict[str, str], word: str) -> dict[str, str]:
    return {name.removeprefix(word + " "): text for name, text in texts.items() if name.startswith(word + " ")}


def _last_words(texts: dict[str, str]) -> dict[str, str]:
    """Return the end of stderr of each process, of stdout where that is empty."""
    errors, output = _named(texts, "stderr"), _named(texts, "stdout")
    found = {}
    for name, text in errors.items():
        said = [words.strip() for words in (text, output.get(name, "")) if words.strip() and "ERROR (" not in words]
        found[name] = said[0] if said else ""
    return found
