"""The documents: complete, not stale, and their links lead somewhere."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from house.repository import DOCS, code, pages
from opsnb.base import errors
from opsnb.base.parameters import Kind
from opsnb.base.parameters.constraints import READERS as CONSTRAINTS
from opsnb.base.settings import Settings
from opsnb.base.signin import Groups, Ldap, Oidc, SignInSettings
from opsnb.cli.main import cli
from opsnb.cli.run import EXITS
from opsnb.control.approvals.values import HandlerKind
from opsnb.control.approvals.written import FREE, FREEZE, POLICY, STEP
from opsnb.control.catalog.frontmatter import READERS as FRONT_MATTER
from opsnb.control.catalog.lint import CODES
from opsnb.control.ledger.events import EVENTS
from opsnb.control.people.history import Outcome, Way
from opsnb.control.records import ActKind, ApprovalStatus, Cause, CellState, RunState, Start, Verdict
from opsnb.control.runs.confine import DEVICES, ETC_HIDDEN, SYSTEM_READS
from opsnb.runbook import Run
from places import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def named(page: str) -> set[str]:
    """Return what a page names in inline code, the first word of each."""
    return {text.split("(")[0].strip() for text in re.findall(r"`([^`\n]+)`", pages()[page])}


COMPLETE: dict[str, tuple[str, set[str]]] = {
    "settings": ("docs/settings.md", {f.name for f in fields(Settings)}),
    "lint codes": ("docs/lint.md", set(CODES)),
    "settings of sign-in": (
        "docs/login.md", {f.name for kind in (SignInSettings, Ldap, Oidc, Groups) for f in fields(kind)},
    ),
    "ways to sign in": ("docs/login.md", set(Way)),
    "what becomes of a sign-in": ("docs/login.md", set(Outcome)),
    "policy keys": ("docs/policies.md", {*POLICY, *STEP, *FREE, *FREEZE}),
    "kinds of handlers": ("docs/policies.md", set(HandlerKind)),
    "acts": ("docs/approvals.md", set(ActKind)),
    "causes of a refused claim": ("docs/claims.md", set(Cause)),
    "starts": ("docs/claims.md", set(Start)),
    "approval statuses": ("docs/approvals.md", set(ApprovalStatus)),
    "verdicts": ("docs/truth-of-a-run.md", set(Verdict)),
    "cell states": ("docs/truth-of-a-run.md", set(CellState)),
    "run states": ("docs/truth-of-a-run.md", set(RunState)),
    "ledger events": ("docs/ledger.md", set(EVENTS)),
    "front matter fields": ("docs/runbooks.md", set(FRONT_MATTER)),
    "constraints": ("docs/runbooks.md", set(CONSTRAINTS)),
    "kinds": ("docs/runbooks.md", set(Kind)),
    "what a run can be told": (
        "docs/runbooks.md", {f"run.{n}" for n, _ in inspect.getmembers(Run, callable) if not n.startswith("_")},
    ),
    "what a kernel reads": ("docs/isolation.md", {*SYSTEM_READS, *DEVICES}),
    "what is hidden in /etc": ("docs/isolation.md", set(ETC_HIDDEN)),
}  # fmt: skip


@pytest.mark.parametrize("what", COMPLETE)
def test_the_page_names_all(what: str) -> None:
    """Whatever the code knows by name, its page names too."""
    page, wanted = COMPLETE[what]
    assert {str(w) for w in wanted} - named(page) == set()


def test_every_error_and_its_exit_code() -> None:
    """docs/errors.md has a row for every exception class with its exit code."""
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.OpsnbError)]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", pages()["docs/errors.md"], re.MULTILINE))
    assert {c.__name__: str(c.exit_code) for c in classes} == rows


def test_every_exit_code_of_a_run() -> None:
    """README and docs/errors.md say which verdict ends `opsnb run` with which exit code."""
    for page in ("README.md", "docs/errors.md"):
        rows = re.findall(r"^\| (\d) \|(.*)$", pages()[page], re.MULTILINE)
        said = {verdict: int(number) for number, text in rows for verdict in re.findall(r"`([A-Z_]+)`", text)}
        assert {v: said.get(v) for v in EXITS} == EXITS, page


def test_the_generated_pages_are_not_stale() -> None:
    """docs/cli.md and docs/lint.md are what docs/generate.py would write now."""
    argv = [sys.executable, str(DOCS / "generate.py"), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def commands(command: click.Command, path: str = "opsnb") -> dict[str, click.Command]:
    """Return a command and everything below it by path."""
    found = {path: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found |= commands(command.get_command(context, name) or command, f"{path} {name}")
    return found


def test_every_command_is_in_the_reference() -> None:
    """Every command, however deep, has its own heading in docs/cli.md."""
    headings = set(re.findall(r"^## (.+)$", pages()["docs/cli.md"], re.MULTILINE))
    assert set(commands(cli)) - {"opsnb"} == headings


def wrong_words(words: list[str], known: dict[str, click.Command]) -> list[str]:
    """Return what is no command or option of ours in a command line such as ``["opsnb", "run", "--mode"]``."""
    path = words[0]
    for word in words[1:]:
        if f"{path} {word}" in known:
            path += f" {word}"
        elif isinstance(known[path], click.Group) and re.fullmatch(r"[a-z]+", word):
            return [f"{path} {word}"]
        else:
            break
    options = {o for name in ("opsnb", path) for p in known[path if name == path else name].params for o in p.opts}
    options |= {o for p in known[path].params for o in p.secondary_opts} | {"--help", "--"}
    return [f"{path} {w}" for w in words if w.startswith("-") and w.split("=")[0] not in options]


def test_every_command_in_the_pages_exists() -> None:
    """Whatever `opsnb` command or option a page shows, the program has it."""
    known = commands(cli)
    wrong: list[Any] = []
    for page, text in pages().items():
        for line in code(text):
            words = line.partition("  #")[0].partition(" -- ")[0].removeprefix("$ ").split("|")[0].split()
            if words and words[0] == "opsnb" and page != "docs/cli.md":
                wrong += [(page, w) for w in wrong_words(words, known)]
    assert wrong == []


def test_every_make_target_in_the_pages_exists() -> None:
    """Whatever `make` target a page names, the Makefile has it; README names demo and test."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {
        (page, match[1])
        for page, text in pages().items()
        for line in code(text)
        if (match := re.match(r"(?:\$ )?make ([a-z]+)", line))
    }
    assert {(page, target) for page, target in shown if target not in targets} == set()
    assert {("README.md", "demo"), ("README.md", "test")} <= shown


def test_every_decision_says_what_and_since_when() -> None:
    """A decision record has a title with its number and a status with a date; numbers are used once."""
    records = sorted((DOCS / "decisions").glob("*.md"))
    assert records
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} \S", text), path.name
        assert re.search(r"^Status: (accepted|replaced by \d{4}), \d{4}-\d\d-\d\d$", text, re.MULTILINE), path.name
    assert len({p.name[:4] for p in records}) == len(records)


def slugs(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in found}


def test_links_lead_somewhere() -> None:
    """Every link between the documents, and every picture, is there; anchors too."""
    broken = []
    for page, text in pages().items():
        for link in LINK.findall(text):
            if link.startswith(("http:", "https:", "mailto:")):
                continue
            file, _, anchor = link.partition("#")
            target = (ROOT / page).parent / file if file else ROOT / page
            if not target.exists() or (anchor and anchor not in slugs(target.read_text(encoding="utf-8"))):
                broken.append(f"{page}: {link}")
    assert broken == []


def test_every_page_is_found_from_the_index() -> None:
    """Every page under docs/ is reached by links from docs/index.md; what was measured (docs/evidence) stands alone."""
    seen: set[Path] = set()
    left = [DOCS / "index.md"]
    while left:
        page = left.pop().resolve()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")))
        left += [page.parent / link for link in links if link and ":" not in link]
    pages_here = {p.resolve() for p in DOCS.rglob("*.md") if p.parent.name != "evidence"}
    assert {str(p.relative_to(ROOT)) for p in pages_here - seen} == set()
