"""What the log of supervisord tells of starts and ends. Pure: text in, values out.

A process that ended by itself and was started again was *restarted by Supervisor*; one that was stopped first was
restarted by somebody. The log has process names without their group: two groups with one name share their figures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LINE = re.compile(r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d+)? (?P<level>[A-Z]+) (?P<said>.*)")
SPAWNED = re.compile(r"spawned: u?(?P<quote>['\"])(?P<name>.+)(?P=quote) with pid (?P<pid>\d+)")
EXITED = re.compile(r"exited: (?P<name>.+?) \((?P<how>.*); (?P<expected>not expected|expected)\)")
STOPPED = re.compile(r"stopped: (?P<name>.+?) \((?P<how>.*)\)")
GAVE_UP = re.compile(r"gave up: (?P<name>.+) entered FATAL state")
USUAL = ("Supervisor ", "Server 'unix_http_server' running without")  # so with every configuration that Debian has
BEGAN = re.compile(r"supervisord started with pid \d+")


@dataclass(kw_only=True)
class Life:
    """What the log tells of one process.

    Args:
        starts: How often it was started.
        restarts: How often it had ended by itself before that.
        unexpected: How often it ended in a way that was not expected.
        gave_up: How often Supervisor stopped trying.
        last_exit: How it last ended by itself: ``exit status 1``, ``terminated by SIGKILL``; empty when it did not.
        last_exit_at: When, in the host's local time.
    """

    starts: int = 0
    restarts: int = 0
    unexpected: int = 0
    gave_up: int = 0
    last_exit: str = ""
    last_exit_at: str = ""
    ended: bool = field(default=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Log:
    """The log of one supervisord, as far back as it goes.

    Args:
        since: Time of its first line, in the host's local time; empty when there is none.
        began: How often supervisord itself was started.
        lives: Process name, without its group, to what became of it.
        problems: What supervisord itself complained of, last line last.
    """

    since: str
    began: int
    lives: dict[str, Life]
    problems: tuple[str, ...]


def parse_log(text: str) -> Log:
    """Return what a log tells; lines of another form are passed over."""
    since, began, problems = "", 0, []
    lives: dict[str, Life] = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        since = since or match["at"]
        said = match["said"]
        if BEGAN.match(said):
            began += 1
            for life in lives.values():
                life.ended = False
        elif match["level"] == "CRIT" and not said.startswith(USUAL):
            problems.append(f"{match['at']} {said}")
        else:
            _note(lives, said, match["at"])
    return Log(since=since, began=began, lives=lives, problems=tuple(problems[-5:]))


def _note(lives: dict[str, Life], said: str, at: str) -> None:
    if match := SPAWNED.match(said):
        life = lives.setdefault(match["name"], Life())
        life.starts += 1
        life.restarts += life.ended
        life.ended = False
    elif match := EXITED.match(said):
        life = lives.setdefault(match["name"], Life())
        life.ended, life.last_exit, life.last_exit_at = True, match["how"], at
        life.unexpected += match["expected"] == "not expected"
    elif match := STOPPED.match(said):
        lives.setdefault(match["name"], Life()).ended = False
    elif match := GAVE_UP.match(said):
        life = lives.setdefault(match["name"], Life())
        life.gave_up += 1
        life.ended = False
