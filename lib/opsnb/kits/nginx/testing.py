"""``nginx -t`` at plan time: on a copy of the configuration in a private directory, as the person who looks.

Rules:

* Nothing of the host is written: the files that the configuration is made of are laid out anew in a directory of mode
  0700, with the planned ones among them and the includes turned towards them; what else lies beside the main file
  (keys, scripts, lists) is linked to; at the end the directory is removed.
* It is never run as root: a configuration can make ``nginx -t`` run code (CVE-2025-1974). A login that is root becomes
  ``nobody`` for it.
* So nginx may not read or open everything. What it said is judged line by line: a configuration that it read to the
  end, and then was only not permitted to open a log, a pid file or a port, has the right syntax; one where reading a
  key was not permitted was read up to there; any other refusal refuses the plan, with nginx's own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import dirname, normpath, relpath

from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import remote
from opsnb.kits.nginx.finding import Installation
from opsnb.kits.nginx.grammar import parse, walk
from opsnb.kits.nginx.tokens import encode

TEST_SECONDS = 60  # how long nginx may take; it looks up every name
SYNTAX_OK = " syntax is ok"
ABSENT = "-"
_EMERG = re.compile(r"\[(?:emerg|crit)\] (?:[0-9]+#[0-9]+: (?:[*][0-9]+ )?)?(.*)")
_DENIED = re.compile(r"\(13: Permission denied|:Permission denied\b|\(1: Operation not permitted")

# $1 binary, $2 prefix, $3 main file, $4 options or nothing, then for each file its size ("-": not there) and its path;
# contents on stdin. Answers "as USER", "in DIRECTORY", "exit CODE" and what nginx said.
STAGE = r"""
set -u
umask 077
binary=$1 prefix=$2 conf=$3 options=$4 at=0 as=
shift 4
work=$(mktemp -d) || { echo "no temporary directory could be made" >&2; exit 1; }
trap 'rm -rf -- "$work"' EXIT
trap 'exit 75' HUP INT TERM
root=$work/root
cat >"$work/all" || { echo "no temporary file could be written" >&2; exit 1; }
each() {
  do=$1; shift
  while [ $# -gt 0 ]; do "$do" "$1" "$root$2" || exit 1; shift 2; done
}
lay() {
  mkdir -p -- "${2%/*}" || return 1
  [ "$1" != - ] || return 0
  tail -c "+$((at + 1))" "$work/all" | head -c "$1" >"$2" || return 1
  at=$((at + $1))
}
bare() { [ "$1" != - ] || rm -f -- "$2"; }
each lay "$@"
[ -z "${conf%/*}" ] || cp -asn -- "${conf%/*}/." "$root${conf%/*}" 2>/dev/null
each bare "$@"
rm -f -- "$work/all"
if [ "$(id -u)" = 0 ]; then
  command -v setpriv >/dev/null || { echo "root without setpriv(1) cannot become nobody for the test" >&2; exit 1; }
  chown -R 65534:65534 "$work" || exit 1
  as="setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs"
  echo "as nobody"
else
  echo "as $(id -un)"
fi
command -v timeout >/dev/null && as="timeout SECONDS $as"
echo "in $root"
$as "$binary" -t -p "$prefix" -c "$root$conf" ${options:+-g "$options"} </dev/null >"$work/said" 2>&1
echo "exit $?"
head -c 20000 "$work/said"
""".replace("SECONDS", str(TEST_SECONDS))


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What a test of a planned configuration said.

    Args:
        user: As whom nginx ran.
        whole: Whether nginx read the whole configuration; otherwise it was read up to what ``words`` names.
        words: What was tested, as a sentence.
    """

    user: str
    whole: bool
    words: str


def program(installation: Installation, *, quiet: bool = True) -> list[str]:
    """Return the program that tests the configuration in its place: ``nginx -t``."""
    options = ["-g", installation.options] if installation.options else []
    return [installation.binary, "-t", *["-q"] * quiet, "-p", installation.prefix, "-c", installation.conf, *options]


def staged(installation: Installation, files: Mapping[str, str | None]) -> Tested:
    """Test a configuration that does not lie in its place yet; reads only.

    Args:
        installation: Whose binary tests it.
        files: Every file that it is made of by its absolute path; ``None`` is one that will not be there.

    Raises:
        UsageError: If nginx refuses it: with nginx's own words, and the names that the files will have.
        UnreachableError: If the host cannot be reached.
        OpsnbError: If it could not be tested.
    """
    folder = dirname(installation.conf)
    words, data = [installation.binary, installation.prefix, installation.conf, installation.options], b""
    for path, text in files.items():
        content = b"" if text is None else encode(turned(text, path, folder))
        words += [ABSENT if text is None else str(len(content)), normpath(path)]
        data += content
    host = installation.host
    answer = remote.look(host, STAGE, *words, stdin=data, seconds=TEST_SECONDS + 30.0).text
    lines = answer.split("\n", 3)
    if len(lines) != 4 or not lines[0].startswith("as ") or not lines[2].startswith("exit "):  # noqa: PLR2004  (of STAGE)
        raise OpsnbError(f"{host}: the answer of the test was {answer!r:.200}", hint="does its shell print something?")
    user, said = lines[0].removeprefix("as "), lines[3].replace(lines[1].removeprefix("in "), "")
    return judge(host, user, int(lines[2].split()[1]), said)


def judge(host: str, user: str, code: int, said: str) -> Tested:
    """Return what a test by somebody who is not root tells; pure.

    Raises:
        UsageError: If nginx refuses the configuration.
    """
    wrong = [match[1] for match in map(_EMERG.search, said.splitlines()) if match]
    others = [line for line in wrong if not _DENIED.search(line)]
    if code == 0:
        return Tested(user=user, whole=True, words=f"nginx -t as {user}: the test is successful")
    if SYNTAX_OK in said and wrong and not others:
        words = f"nginx -t as {user}: syntax is ok; what only root may open was not tried: {_named(wrong[0])}"
        return Tested(user=user, whole=True, words=words)
    if wrong and not others:
        words = f"nginx -t as {user} read the configuration up to what only root may read: {wrong[0]}"
        return Tested(user=user, whole=False, words=words)
    reason = others[0] if others else (said.strip().splitlines() or [f"it ended with {code}"])[-1]
    raise UsageError(f"{host}: nginx refuses the configuration: {reason}", hint="nothing was changed")


def _named(line: str) -> str:
    """Return what a refusal is about: the path that it quotes, else all of it."""
    match = re.search(r'"([^"]+)"', line)
    return match[1] if match else line


def turned(text: str, path: str, folder: str) -> str:
    """Return a file's text with its absolute includes made relative to the main file's folder; all else as it is."""
    for one in reversed([d for d in walk(parse(text, path)) if d.name == "include" and len(d.arguments) == 1]):
        pattern = one.arguments[0]
        start, end = one.spans[1]
        if pattern.startswith("/"):
            text = text[:start] + _quoted(relpath(normpath(pattern), folder)) + text[end:]
    return text


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
