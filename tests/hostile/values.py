"""Hostile values: what somebody could type, paste or forge into a parameter, and how to see that one was executed.

A value that some shell, interpreter or tool carries out leaves a file named ``opsnb_pwned`` or a process
``sleep 86413.31337``: :func:`executed` looks for both.
"""

from __future__ import annotations

from pathlib import Path

MARK = "opsnb_pwned"
SLEEP = "86413.31337"
COMMANDS = (f"touch /var/tmp/{MARK}", f"touch {MARK}", f"sleep {SLEEP}")
PLACES = ("/var/tmp", "/tmp")

SHELL = """; {c}|;{c};|&& {c}|& {c} &|$({c})|`{c}`|';{c};'|";{c};"|'$({c})'|"`{c}`"|) ; {c} ; (|}};{c};{{|x;{c}#|$((`{c}`))
<({c})|>({c})|\\;{c}|--;{c}|-x;{c}|*;{c}|~;{c}|!{c}|eval {c}|exec {c}|sh -c '{c}'|$'{c}'|a=$({c})|[$({c})]|${{x:=`{c}`}}|%0a{c}
${{IFS}};{c}|\\$({c})|\\`{c}\\`|''$({c})''|"$({c})"|;{c} <<EOF|case x in x) {c};; esac|if {c}; then :; fi|nice {c}|env {c}
\\';{c};\\'|\\";{c};\\"|&amp;{c}|;$IFS{c}|{{ {c}; }}|: || {c}|function f {{ {c}; }}; f|trap '{c}' EXIT|$@;{c}|#\n{c}"""
LINES = (
    "\n{c}\n",
    "a\n{c}",
    "\r\n{c}\r\n",
    "a\r{c}",
    "EOF\n{c}\n",
    "\\\n{c}",
    "\v{c}",
    "\f{c}",
    "a\u2028{c}",
    "a\u0085{c}",
    "|{c}",
    "a | {c}",
    "a || {c}",
)
OPTIONS = """-rf|--help|--version|-|--|-c|-i|-v|-n|-e|-oProxyCommand={c}|-oPermitLocalCommand=yes|--rsh={c}|-e{c}|-exec {c} ;
--checkpoint=1|--checkpoint-action=exec={c}|--to-command={c}|--use-compress-program={c}|-I{c}|--output=/var/tmp/{m}|-o/var/tmp/{m}
-T/var/tmp/{m}|--config=/etc/shadow|+{c}|@/etc/shadow|-S/bin/sh|--exec={c}|-x{c}|--pre-invoke={c}|-oAPT::Update::Pre-Invoke::={c}
--eval={c}|--init-file=/etc/passwd|-fprint/var/tmp/{m}|--file=/etc/shadow|-Dx=`{c}`|--=|-0|---|−rf|–help"""
PYTHON = (
    "__import__('os').system('{c}')", "x'; __import__('os').system('{c}'); '", '"""\nimport os\nos.system("{c}")\n"""',
    "'''\nimport os\nos.system('{c}')\n'''", "\\", "\\'", '\\"', "'", '"', "'''", '"""', "\\n", "\\x27; import os", "{{7*7}}",
    "{0.__class__.__mro__}", "%(x)s", "{x!r:>{y}}", "\\N{BULLET}", "eval('1')", "!{c}", "!!{c}", "%%bash\n{c}", "%sx {c}",
    "get_ipython().system('{c}')", "exit()", "raise SystemExit(0)", "# %%", "#!/bin/sh\n{c}", "None", "True", "...",
    "lambda: 0", "f'{{__import__(\"os\").system(\"{c}\")}}'", "hosts = 'all'", "x = 1\nimport os\nos.system('{c}')",
)  # fmt: skip
CONFIG = (
    "}} http {{ server {{ listen 1; }} }}", "; include /etc/passwd;", "a; root /; autoindex on", "$host$request_uri", "a: &a [*a]",
    "!!python/object/apply:os.system ['{c}']", "--- \n...\n---", "a\nrisk: read\nwrites: [/]", "- - - -", "? : ! & * % @", '{"a":',
    '"}}, "risk": "read", "x": {{"', "[]", "{{}}", "null", "true", "~", "NaN", "Infinity", "1e999", "0x41", "0o17", "1_000", "yes",
    "<script>fetch('//127.0.0.1')</script>", "<img src=x onerror=alert(1)>", "<!--", "-->", "]]>", "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "&lt;&#0;", "=cmd|'/C {c}'!A0", "' OR '1'='1' --", "'; DROP TABLE runs; --", "${{jndi:ldap://127.0.0.1/x}}", "#{{7*7}}", "<%= 7*7 %>",
    "a\r\nSet-Cookie: x=1\r\n\r\n<html>", "*)(uid=*))(|(uid=*", "[section]\nkey = 1", 'a,b\n"c', "(a+)+$", ".*", "^$", "\\p{{L}}+",
    "%s%s%s%n", "%p%p%p%x", "%99999999d", "{{}}{{}}", "{{0}}", "$1", "$@", "$$", "$#", "$HOME", "${{HOME}}", "$PATH", "!$", "^a^b^",
    "*", "?", "[a-z]", "{{a,b}}", "~root", "[[:alpha:]]", "[program:x]\ncommand={c}", "* * * * * {c}", "ALL=(ALL) NOPASSWD: ALL",
    "root::0:0::/:/bin/sh", 'ssh-rsa AAAA\ncommand="{c}" ssh-rsa AAAA', 'command="{c}" ssh-ed25519 AAAA', "Host *\n  ProxyCommand {c}",
)  # fmt: skip
PATHS = """../../../../etc/shadow|/etc/passwd|..|.|/|//|/proc/self/environ|/proc/self/mem|/dev/stdin|/dev/null|/dev/tcp/127.0.0.1/9
file:///etc/shadow|~root/.ssh/id_rsa|//127.0.0.1/x|C:\\Windows|..\\..\\x|%2e%2e%2f|....//|/etc/passwd%00.txt|a/../b|./x|x/|con|.ssh"""
UNICODE = (
    "运维", "中文；触摸", "；touch", "＄（id）", "ｔｏｕｃｈ", "\u202etxt.exe", "\u2066a\u2069", "a\u200bb", "\ufeffa", "a\u0301" * 50, "👩‍👩‍👧‍👦🏳️‍🌈",
    "مرحبا", "שלום", "a\u2029b", "\ud800", "\udfff", "a\udc80b", "\ud83d\ude00", "\U0010ffff", "\ufffe", "\ufdd0", "é", "e\u0301", "аdmin",
    "ﬁle", "İ", "ß", "\U000e0041\U000e0042", "\ue000", "١٢٣", "∞", "\u00a0", "\u3000", "\u00ad", "ÿ", "Ã©", "锟斤拷", "\u1160", "\u180e",
)  # fmt: skip
ANSI = (
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://127.0.0.1\x07x\x1b]8;;\x07", "\x1b[2J\x1b[H", "\x1b[6n", "\x9b31m",
    "\x1bP$q\x1b\\", "\x1b]52;c;dG91Y2g=\x07", "safe\rEVIL", "rm\b\bls", "a\x08\x08\x08b", "\x1b[8mhidden\x1b[0m", "\x1bc",
)  # fmt: skip
BLANK = (
    "",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    " a",
    "a ",
    " a ",
    "\n\n\n",
    "a  b",
    "0",
    "-1",
    "-0",
    "00",
    "1.5",
    "9" * 400,
)
LONG = (
    "A" * 201, "A" * 4097, "A" * 65_536, "A" * 140_000, "A" * 600_000, "中" * 50_000, "\n" * 10_000, "'" * 5_000, "$(" * 2_000,
    "(" * 5_000, "[" * 2_000 + "]" * 2_000, "{" * 2_000, "\\" * 5_000, "a b " * 2_000, "%s" * 3_000, "../" * 2_000, "-" * 300, "😀" * 20_000,
)  # fmt: skip
CONTROLS = tuple(f"a{chr(code)}b" for code in (*range(32), *range(127, 160)))


def values() -> tuple[str, ...]:
    """Return every hostile value, each once, in a fixed order."""
    found: dict[str, None] = {}
    for number, template in enumerate((*_rows(SHELL), *LINES)):
        for command in (COMMANDS[number % 2], COMMANDS[2]):
            found[template.format(c=command)] = None
    for number, template in enumerate(_rows(OPTIONS)):
        found[template.format(c=COMMANDS[number % 3], m=MARK)] = None
    for number, template in enumerate((*PYTHON, *CONFIG)):
        found[template.replace("{c}", COMMANDS[number % 3]).replace("{{", "{").replace("}}", "}")] = None
    for value in (*_rows(PATHS), *UNICODE, *ANSI, *BLANK, *LONG, *CONTROLS):
        found[value] = None
    return tuple(found)


def sendable(value: str) -> bool:
    """Return whether a value can reach a program at all: no NUL, and a UTF-8 form."""
    return "\0" not in value and value.encode("utf-8", "replace").decode() == value


def executed(*folders: Path) -> list[str]:
    """Return the traces of a value that was carried out on this machine: files in these folders, and processes."""
    found = [str(path) for place in (*map(Path, PLACES), *folders) for path in place.glob(f"{MARK}*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if words[0].rpartition(b"/")[2] == b"sleep" and SLEEP.encode() in words:
            found.append(f"process {process.name}")
    return found


def _rows(text: str) -> list[str]:
    return [row for line in text.split("\n") for row in line.split("|") if row]
