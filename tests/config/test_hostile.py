"""Hostile values through a service's files: variables, contents, names and substitutes arrive as data, or are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.conftest import Shop
from hostile.sampled import part
from hostile.values import executed, sendable, values
from nearby import carry_out
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.kits import config
from opsnb.kits.config import hiding, migrate, sources
from opsnb.kits.config.manifest import read_manifest, read_variables
from opsnb.kits.config.values import PLAIN_VALUE

pytestmark = pytest.mark.slow
NGINX = (
    "; }", "{", "}", "$()", "a\nlua_code_cache off;", '"', "'", "#", "\\", "${host}", "$host", "lua_code_cache", "a;b",
    "10.0.0.1; include /etc/passwd", "`id`", "%s", "$${x}", "@files", "\r\n}\r\nserver {",
)  # fmt: skip
VALUES = (*NGINX, *values())
HOST = "near1"


def tried(call: Callable[[], Any]) -> tuple[Any, str]:
    """Return what a call gave, or the words in which it was refused."""
    try:
        return call(), ""
    except OpsnbError as error:
        return None, str(error)


@pytest.fixture(autouse=True)
def nothing_was_carried_out(shop: Shop) -> Iterator[None]:
    """No value was carried out on this machine."""
    sources.at(shop.configs)
    hiding.use(b"a request")
    yield
    assert executed(Path.cwd(), Path.home(), shop.root, shop.configs) == []


def test_a_variable_is_data_or_refused(shop: Shop) -> None:
    """With a rule that lets anything in, the value stands in the file byte for byte; without one it ends nothing."""
    manifest = shop.configs / "shop/config.yaml"
    manifest.write_text(manifest.read_text().replace("variables:", 'variables:\n  name: {pattern: "(?s).*"}'))
    tried = 0
    for value in part([v for v in VALUES if sendable(v) and len(v) < 50_000], 8):
        plan = config.plan_distribute(HOST, shop.open(name=value))
        content = plan.changes[0].after["files"][str(shop.site)]["content"]
        assert content == f"port 8080\nname {value} on {HOST}\nkeep $host and ${{name}}\n"
        tried += 1
    assert tried > 40
    carry_out(plan)
    carry_out(plan.inverse())
    shop.write("shop/config.yaml", manifest.read_text().replace('  name: {pattern: "(?s).*"}\n', ""))
    for value in VALUES:
        if not PLAIN_VALUE.fullmatch(value):
            with pytest.raises(UsageError, match="could end a statement"):
                config.wanted(shop.open(name=value), {"name": HOST})


def test_contents_are_data(shop: Shop) -> None:
    """All values as the content of one file, through the one place, the plan, the host and back."""
    everything = "\n".join(value for value in VALUES if sendable(value) and len(value) < 3_000)
    shop.write("shop/prod/plain.conf", everything)
    plan = config.plan_distribute(HOST, shop.open())
    carry_out(plan)
    assert shop.plain.read_bytes() == everything.encode()
    carry_out(plan.inverse())
    assert not shop.plain.exists()


def test_commands_are_words(shop: Shop) -> None:
    """A hostile word of a validation or activation command is one word of that program."""
    for value in part([v for v in VALUES if v.isprintable() and v and len(v) < 1_000 and "%s" not in v], 12):
        word = json.dumps(value, ensure_ascii=False)
        shop.write(
            "shop/config.yaml",
            f"""files:
  - path: {shop.plain}
    source: plain.conf
    validate: [test, {word}, "=", {word}]
    activate: [/bin/sh, -c, 'echo $# >"$1"', x, {shop.root}/said, {word}]
""",
        )
        plan = config.plan_distribute(HOST, shop.open())
        assert plan.changes[0].target["files"][0]["activate"][-1] == value
        carry_out(plan)
        assert (shop.root / "said").read_text() == "2\n"
        carry_out(plan.inverse())


def test_names_are_refused_or_one_file(shop: Shop) -> None:
    """As the path of a file, its source, service and environment: refused in words, or exactly that file."""
    made = 0
    for value in part([v for v in VALUES if sendable(v) and len(v) < 2_000], 6):
        path = f"{shop.root}/etc/{value}"
        entry = json.dumps({"path": path, "source": "plain.conf"}, ensure_ascii=False)
        shop.write("shop/config.yaml", f"files:\n  - {entry}\n")
        plan, refused = tried(lambda: config.plan_distribute(HOST, shop.open()))
        if refused:
            assert len(refused) < 3_000
            continue
        carry_out(plan)
        assert Path(path).read_text() == "as it stands: ${nothing} $1\n"
        carry_out(plan.inverse())
        assert sorted(p.name for p in (shop.root / "etc").iterdir()) == []
        made += 1
    assert made > 15
    for value in VALUES:
        for service, environment in ((value, "prod"), ("shop", value)):
            opened, refused = tried(lambda s=service, e=environment: config.open_service(shop.configs, s, e))
            assert len(refused) < 1_000
            assert opened is None or not ("/" in value or value.startswith("."))


def test_substitutes_and_paths_of_a_migration(shop: Shop) -> None:
    """A text is replaced by plain text only, once; a hostile path is refused or is what it says."""
    file = shop.root / "etc/x"
    for value in part([v for v in VALUES if sendable(v) and 0 < len(v) < 1_000], 6):
        file.write_text(f"a {value} b OLD c\n")
        for substitute in ({"OLD": value}, {value: "new"}):
            moved, refused = tried(
                lambda t=substitute: migrate.from_host(("near1", "near2"), HOST, shop.open(), [str(file)], t)
            )
            assert len(refused) < 3_000
            if moved:
                (old, new), *_ = substitute.items()
                assert moved.files["near2"][0].content == file.read_text().replace(old, new)
        _, refused = tried(lambda p=value: migrate.from_host(("near1", "near2"), HOST, shop.open(), [p], {}))
        assert refused


def test_anything_as_a_file_of_the_one_place() -> None:
    """Manifest and variables are read, or refused with their line; never a traceback."""
    for value in VALUES:
        for text in (value, f"files: {value}", f"files:\n  - path: {value}", f"variables: {value}", f"{value}: 1"):
            for reader in (lambda t: read_manifest(t, "shop", "c"), lambda t: read_variables(t, "c")):
                _, refused = tried(lambda r=reader, t=text: r(t))
                assert not refused or refused.startswith("c")
