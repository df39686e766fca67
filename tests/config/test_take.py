"""CFG-012's kit: what a host has becomes a source and an entry, or is refused; the undo leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.conftest import Shop
from nearby import RunOfNames, carry_out
from opsnb import fleet
from opsnb.base.errors import OpsnbError, UsageError
from opsnb.base.plan import Plan
from opsnb.kits import config
from opsnb.kits.config import hiding, sources, take
from opsnb.kits.config.suspicious import suspicions

HOST = "near1"


@pytest.fixture(autouse=True)
def place(shop: Shop) -> Shop:
    """The one place of this process is the shop's."""
    sources.at(shop.configs)
    hiding.use(b"a request")
    return shop


def below(folder: Path) -> dict[str, Any]:
    """Everything in a folder, bytes and modes."""
    return {str(p.relative_to(folder)): (p.read_bytes() if p.is_file() else b"", p.stat().st_mode)
            for p in sorted(folder.rglob("*"))}  # fmt: skip


def taken(paths: list[Path], guarded: str = "refuse", service: str = "shop", environment: str = "prod") -> Plan:
    """Return the plan that takes files."""
    opened = take.opened(service, environment)
    return take.plan_take(HOST, opened, take.look(HOST, opened, [str(path) for path in paths], guarded))


def test_a_new_service_is_made_and_is_gone_after_the_undo(shop: Shop) -> None:
    """Source, manifest and folders; a second plan is empty; distributing it changes nothing on the host."""
    file = shop.root / "etc/nginx.conf"
    file.write_bytes("worker_processes 2;\r\n# ü\n".encode())
    file.chmod(0o644)
    before = below(shop.configs)
    plan = Plan.from_json(taken([file], service="edge").as_json())
    assert plan.hosts == ("localhost",)
    assert below(shop.configs) == before
    carry_out(plan)
    source = shop.configs / "edge/prod" / str(file).lstrip("/")
    assert source.read_bytes() == file.read_bytes()
    assert taken([file], service="edge").changes == ()
    service = config.open_service(shop.configs, "edge", "prod")
    assert config.plan_distribute(HOST, service).changes == ()
    carry_out(plan.inverse())
    assert below(shop.configs) == before


def test_a_new_entry_says_which_hosts_have_the_file(shop: Shop) -> None:
    """Those with the host's role, so that it is not brought to every other host; or those that are selected."""
    run = RunOfNames((HOST,))
    run.rows = [{**run.rows[0], "labels": {"role": "app"}}]
    fleet.of(run)
    file = shop.root / "etc/new.conf"
    file.write_text("new\n")
    opened = take.opened("shop", "prod")
    assert [one.file.hosts for one in take.look(HOST, opened, [str(file)], "refuse")] == ["role=app"]
    assert [one.file.hosts for one in take.look(HOST, opened, [str(file)], "refuse", "web*")] == ["web*"]
    with pytest.raises(UsageError, match="it ends here"):
        take.look(HOST, opened, [str(file)], "refuse", "role=")


def test_what_the_one_place_says_already_is_no_change(shop: Shop) -> None:
    """A file as common/ or a template renders it; one that was edited comes into the environment's folder."""
    carry_out(config.plan_distribute(HOST, shop.open()))
    assert taken([]).changes == ()
    shop.plain.write_text("edited on the host\n")
    plan = taken([])
    assert [change.what for change in plan.changes] == ["configs/shop/prod/plain.conf"]
    carry_out(plan)
    assert config.plan_distribute(HOST, shop.open()).changes == ()
    assert (shop.configs / "shop/common/plain.conf").read_text() == "as it stands: ${nothing} $1\n"


def test_a_template_keeps_its_variables(shop: Shop) -> None:
    """A host's text with values in it does not replace a source with names."""
    carry_out(config.plan_distribute(HOST, shop.open()))
    shop.site.write_text(shop.site.read_text() + "by hand\n")
    with pytest.raises(UsageError, match="differs from the template configs/shop/common/"):
        taken([shop.site])


def test_a_manifest_keeps_its_comments(shop: Shop) -> None:
    """An entry is added behind the others; mode and owner are the host's."""
    manifest = shop.configs / "shop/config.yaml"
    manifest.write_text(manifest.read_text().replace("variables:", "# what values may be\nvariables:"))
    file = shop.root / "etc/more.conf"
    file.write_text("x\n")
    file.chmod(0o755)
    carry_out(taken([file]))
    text = manifest.read_text()
    assert "# what values may be" in text
    entry = shop.open().manifest.file(str(file))
    assert entry is not None
    assert entry.mode == "0755"
    assert entry.owner == f"{file.owner()}:{file.group()}"


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n-----END OPENSSH PRIVATE KEY-----\n"
GUARDED = {
    "password": "user = x\npassword = hunter2\n",
    "json": '{"db_password": "hunter2"}\n',
    "url": "url: postgres://shop:hunter2@db/shop\n",
    "redis": "requirepass hunter2\n",
    "header": 'proxy_set_header Authorization "Basic aHVudGVyMg==";\n',
    "aws": "key AKIAABCDEFGHIJKLMNOP\n",
    "token": "API_TOKEN=hunter2\n",
    "key": KEY,
}
HARMLESS = [
    "password = ${db_password}\n", "password: $PASSWORD\n", "password = <yours>\n", "password: ''\n", "token: null\n",
    "ssl_certificate_key /etc/ssl/private/x.key;\n", "password_file = /run/secrets/db\n", "PasswordAuthentication no\n",
    "keepalive_requests 1000;\n", "secret: ***\n", "http://host:8080/path\n", "auth: none\n", "-----BEGIN CERTIFICATE-----\n",
]  # fmt: skip


@pytest.mark.parametrize("kind", GUARDED)
def test_a_file_that_looks_secret_is_refused_or_hidden(shop: Shop, kind: str) -> None:
    """Named by line and kind, never by its text; hidden it is nowhere in the plan, and lies in the one place as it is."""
    file = shop.root / "etc/secret.conf"
    file.write_text(GUARDED[kind])
    with pytest.raises(UsageError, match=r"line \d looks like") as caught:
        taken([file])
    assert "hunter2" not in str(caught.value)
    before = below(shop.configs)
    plan = Plan.from_json(taken([file], "hide").as_json())
    assert GUARDED[kind].splitlines()[-1] not in str(plan.as_json())
    carry_out(plan)
    source = shop.configs / "shop/prod" / str(file).lstrip("/")
    assert source.read_text() == GUARDED[kind]
    assert source.stat().st_mode & 0o7777 == 0o600
    entry = shop.open().manifest.file(str(file))
    assert entry is not None
    assert entry.sensitive
    assert taken([file], "hide").changes == ()
    carry_out(plan.inverse())
    assert below(shop.configs) == before
    if kind == "key":
        with pytest.raises(UsageError, match="a private key"):
            taken([file], "show")
    else:
        assert GUARDED[kind] in [change.after["content"] for change in taken([file], "show").changes]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_not_suspected(text: str) -> None:
    """Names of variables, placeholders, paths and words for nothing."""
    assert suspicions(text) == []


def test_a_file_that_not_everybody_may_read_is_asked_about(shop: Shop) -> None:
    """Whatever it holds: its mode says that it is guarded."""
    file = shop.root / "etc/quiet"
    file.write_text("nothing special\n")
    file.chmod(0o640)
    with pytest.raises(UsageError, match=r"not everybody may read it there \(mode 0640\)"):
        taken([file])
    assert len(taken([file], "show").changes) == 2


def test_a_sensitive_source_is_not_replaced(shop: Shop) -> None:
    """No undo could bring back what no plan holds."""
    file = shop.root / "etc/secret.conf"
    file.write_text("password = hunter2\n")
    carry_out(taken([file], "hide"))
    file.write_text("password = hunter3\n")
    with pytest.raises(UsageError, match="which no undo could bring back"):
        taken([file], "hide")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "is not there"),
        (lambda p: p.write_bytes(b"\0"), "binary"),
        (lambda p: p.symlink_to("/etc/hostname"), "symbolic link"),
        (lambda p: p.mkdir(), "not a regular file"),
        (lambda p: p.write_bytes(b"x" * 262145), "larger than"),
    ],
)
def test_what_is_no_plain_text_file_is_refused(shop: Shop, make: Any, says: str) -> None:
    """With all other reasons at once, before anything is written."""
    bad, other = shop.root / "bad", shop.root / "also"
    make(bad)
    with pytest.raises(UsageError, match=f"{says}.*; {other}: is not there"):
        taken([bad, other])


def test_what_changed_after_the_plan_is_not_touched(shop: Shop) -> None:
    """The one place is compared once more just before."""
    file = shop.root / "etc/new.conf"
    file.write_text("new\n")
    plan = taken([file])
    source = shop.write(f"shop/prod/{str(file).lstrip('/')}", "somebody was faster\n")
    change = plan.changes[0]
    assert sources.observe("localhost", change.target) != change.before
    with pytest.raises(OpsnbError, match="no longer as planned"):
        sources.apply("localhost", change.target, change.before, change.after)
    assert source.read_text() == "somebody was faster\n"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "x", "shop/../../x", "shop//x", "", "shop/a\nb", 5, None])
def test_a_target_that_is_none_is_refused(path: Any) -> None:
    """A plan that was tampered with leads nowhere else."""
    for call in (
        lambda: sources.observe("localhost", {"path": path}),
        lambda: sources.apply("localhost", {"path": path}, None, {"content": "x", "mode": "0644"}),
    ):
        with pytest.raises(UsageError):
            call()


def test_guarded_is_one_of_three(shop: Shop) -> None:
    """A word that is none is refused."""
    with pytest.raises(UsageError, match="wanted one of: refuse, hide, show"):
        taken([shop.plain], "maybe")
