"""A program of Supervisor as values, and the section that says so. Pure: values in, text out, or a refusal.

supervisord reads a section in steps, and each has its own idea of quotes: ConfigParser cuts comments (``;`` or ``#``
after white space, inside quotes too), then ``%(name)s`` is filled in, then ``shlex`` splits the command. So every ``%``
is doubled, words are quoted as ``shlex`` reads them, and what has no form that all of them leave alone is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from opsnb.base.errors import UsageError
from opsnb.kits.supervisor.daemons import daemonizes

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
PATH = re.compile(r"/[A-Za-z0-9._@+,=/-]{0,255}")
COMMENT = re.compile(r"\s[;#]")
SIGNALS = ("TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2")
RESERVED = ("all",)  # what supervisorctl takes for every program
MAX_WORDS, MAX_WORD = 200, 4000
HEAD = "; Written by opsnb (SUP-011): change it there.\n"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that Supervisor is to keep.

    Args:
        name: Its name, which is its group's too.
        command: Program and arguments; the program is an absolute path.
        directory: Where it is started; empty leaves that to supervisord.
        user: Whom it runs as; empty leaves that to supervisord.
        environment: Further variables; no secret, since they stand in the file.
        autostart: Whether it starts with supervisord.
        autorestart: Whether it is started again when it ends: always, only after an unexpected end, or never.
        startsecs: Seconds that it has to stay up to count as started.
        startretries: How often a start is tried again before it is given up.
        stopsignal: What asks it to end.
        stopwaitsecs: Seconds after which it is killed.
        as_group: Whether its children are stopped with it.
        numprocs: How many processes; each is called NAME_00, NAME_01 and so on when there are several.
        stdout_log: File of its output; empty lets supervisord choose.
        stderr_log: File of its errors; empty lets supervisord choose.
    """

    name: str
    command: Sequence[str]
    directory: str = ""
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    autostart: bool = True
    autorestart: Literal["true", "unexpected", "false"] = "true"
    startsecs: int = 3
    startretries: int = 3
    stopsignal: str = "TERM"
    stopwaitsecs: int = 10
    as_group: bool = False
    numprocs: int = 1
    stdout_log: str = ""
    stderr_log: str = ""


def checked(program: Program) -> Program:
    """Return a program that may be rendered.

    Raises:
        UsageError: Names the value that is wrong; or the command daemonizes itself, and why that cannot be.
    """
    _fits(NAME, program.name, "name", "letters, digits, _ . -")
    if program.name in RESERVED:
        raise UsageError(f"a program cannot be called {program.name!r}: supervisorctl takes it for every program")
    _command(program.command)
    if program.user:
        _fits(USER, program.user, "user", "a user's name")
    for what, path in (("directory", program.directory), ("log", program.stdout_log), ("log", program.stderr_log)):
        if path:
            _fits(PATH, path, what, "an absolute path of plain characters")
    for name, value in program.environment.items():
        _fits(VARIABLE, name, "variable", "letters, digits and _")
        _variable(name, value)
    if program.stopsignal not in SIGNALS:
        raise UsageError(f"the signal is {program.stopsignal!r:.40}; wanted one of {', '.join(SIGNALS)}")
    if program.autorestart not in {"true", "unexpected", "false"}:
        raise UsageError(f"autorestart is {program.autorestart!r:.40}; wanted true, unexpected or false")
    _bounds(program)
    return program


def render(program: Program) -> str:
    """Return the section of a program, as a file of its own.

    Raises:
        UsageError: If a value is wrong, or has no form that supervisord reads back as it is.
    """
    p = checked(program)
    rows: list[tuple[str, object]] = [("command", command_text(p.command))]
    rows += [("process_name", "%(program_name)s_%(process_num)02d"), ("numprocs", p.numprocs)] * (p.numprocs > 1)
    rows += [("directory", p.directory)] * bool(p.directory) + [("user", p.user)] * bool(p.user)
    rows += [("environment", environment_text(p.environment))] * bool(p.environment)
    rows += [
        ("autostart", _word(p.autostart)), ("autorestart", p.autorestart), ("startsecs", p.startsecs),
        ("startretries", p.startretries), ("stopsignal", p.stopsignal), ("stopwaitsecs", p.stopwaitsecs),
    ]  # fmt: skip
    rows += [("stopasgroup", "true"), ("killasgroup", "true")] * p.as_group
    rows += [("stdout_logfile", p.stdout_log)] * bool(p.stdout_log)
    rows += [("stderr_logfile", p.stderr_log)] * bool(p.stderr_log)
    return HEAD + f"[program:{p.name}]\n" + "".join(f"{name}={value}\n" for name, value in rows)


def command_text(words: Sequence[str]) -> str:
    """Return a command as a value that supervisord splits into these words again.

    Raises:
        UsageError: If a word holds white space and then ``;`` or ``#``, where supervisord would cut it off.
    """
    text = shlex.join(words)
    if COMMENT.search(text):
        found = next(word for word in words if COMMENT.search(" " + shlex.quote(word)))
        raise UsageError(
            f"a word of the command is {found!r:.120}: supervisord takes ; or # after white space for a comment",
            hint="put the command into a script of its own",
        )
    return text.replace("%", "%%")


def environment_text(values: Mapping[str, str]) -> str:
    """Return variables as a value that supervisord takes apart into the same again."""
    return ",".join(f"{name}={_quoted(value)}" for name, value in values.items()).replace("%", "%%")


def processes(program: Program) -> list[str]:
    """Return the names of a program's processes, as supervisorctl has them."""
    if program.numprocs == 1:
        return [program.name]
    return [f"{program.name}:{program.name}_{number:02d}" for number in range(program.numprocs)]


def _command(words: Sequence[str]) -> None:
    if not words or len(words) > MAX_WORDS:
        raise UsageError(f"the command has {len(words)} words; wanted 1 to {MAX_WORDS}")
    for word in words:
        _text(word, "a word of the command")
    _fits(PATH, words[0], "program in the command", "an absolute path, such as /usr/bin/uwsgi")
    if reason := daemonizes(words):
        raise UsageError(f"Supervisor cannot keep a program that daemonizes itself: {reason}")


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


def _variable(name: str, value: str) -> None:
    _text(value, f"the variable {name}")
    if '"' in value and "'" in value:
        raise UsageError(f"the variable {name} holds both kinds of quotes, and supervisord reads only one")
    if value[:1] in {'"', "'"} or value[-1:] in {'"', "'"}:
        raise UsageError(f"the variable {name} begins or ends with a quote, which supervisord would take off")
    if COMMENT.search(value) or value.startswith((";", "#")):
        raise UsageError(f"the variable {name} holds ; or # after white space, which supervisord takes for a comment")


def _text(value: str, what: str) -> None:
    if not isinstance(value, str) or any(not c.isprintable() for c in value):
        raise UsageError(f"{what} is {value!r:.120}; a line feed or control character has no form there")
    if len(value) > MAX_WORD:
        raise UsageError(f"{what} has {len(value)} characters; at most {MAX_WORD} are taken")


def _bounds(program: Program) -> None:
    limits = {"startsecs": (0, 600), "startretries": (0, 100), "stopwaitsecs": (1, 3600), "numprocs": (1, 100)}
    for name, (least, most) in limits.items():
        value = getattr(program, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise UsageError(f"{name} is {value!r:.40}; wanted {least} to {most}")


def _fits(pattern: re.Pattern[str], value: object, what: str, wanted: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value) or "/../" in f"{value}/":
        raise UsageError(f"the {what} is {value!r:.120}; wanted {wanted}")


def _word(value: bool) -> str:  # noqa: FBT001  (one value, as it is written)
    return "true" if value else "false"
