"""Sign-in with a provider through the real program: over HTTP, in a real browser, and from a terminal elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import sync_playwright

from login.provider import SECRET
from login.providing import Provider
from opsnb.cli.workspace import make
from places import OPSNB, Place, wait_for
from ports import free_port
from render.test_browser import FLAGS


class Served:
    """A workspace on TCP with a provider, and somebody elsewhere: another folder, another home."""

    def __init__(self, root: Path) -> None:
        port = free_port()
        self.url = f"http://localhost:{port}"  # another site than the provider's, for a browser
        self.provider = Provider(f"{self.url}/login/oidc/back")
        self.place = Place(root / "ws")
        make(self.place.root)
        self.place.settings(login={"oidc": self.provider.settings})
        self.home = root / "home"
        self.home.mkdir()
        with (root / "up.log").open("wb") as log:
            argv = [str(OPSNB), "up", "--listen", f"127.0.0.1:{port}"]
            process = subprocess.Popen(argv, cwd=self.place.root, stdout=log, stderr=log)
        self.place.servers.append(process)
        wait_for(self.place.serving, 60, process)
        self.place.client.post("/api/secrets", {"name": "oidc/opsnb", "value": SECRET})

    def elsewhere(self, *argv: str) -> subprocess.Popen[str]:
        """Start the program as somebody elsewhere."""
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.home)}
        return subprocess.Popen(
            [str(OPSNB), *argv], cwd=self.home, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        """Stop everything."""
        self.place.close()
        self.provider.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served workspace with a provider."""
    made = Served(tmp_path_factory.mktemp("sso"))
    yield made
    made.close()


def test_over_http(served: Served) -> None:
    """A browser goes there and back, and its session is that person's."""
    with httpx2.Client(base_url=served.url) as browser:
        assert browser.get("/api/login").json() == {"password": True, "directory": False, "provider": True}
        went = browser.get("/login/oidc")
        back = browser.get("/login/oidc/back", params=served.provider.sign_in(went.headers["location"], "wang"))
        assert back.status_code == 200
        assert back.headers["referrer-policy"] == "same-origin"
        assert "form-action 'self'" in back.headers["content-security-policy"]
        me = browser.get("/api/whoami").json()
        assert (me["user"], me["via"]) == ("wang", "session")


@pytest.mark.browser
def test_in_a_browser_and_from_a_terminal(served: Served) -> None:
    """Somebody with a session lets a terminal in: a real browser crosses sites and posts forms, the terminal has a token."""
    terminal = served.elsewhere("login", served.url, "--sso")
    assert terminal.stderr
    assert terminal.stdin
    terminal.stderr.readline()
    address = terminal.stderr.readline().strip()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = chromium.new_page()
        page.goto(f"{served.url}/login/oidc?next=/api/whoami")
        page.fill("input[name=user]", "zhao")
        page.click("button")
        page.click("text=Go on")
        assert json.loads(page.inner_text("body"))["user"] == "zhao"  # the strict cookie goes along from here
        page.goto(address)
        page.fill("input[name=user]", "zhao")
        page.click("button")
        assert "zhao" in page.inner_text("strong")
        page.click("button")
        code = page.inner_text("code")
        chromium.close()
    out, err = terminal.communicate(f"{code}\n", timeout=60)
    assert terminal.returncode == 0, err
    assert "as zhao until" in out
    asked = served.elsewhere("whoami", "--json")
    assert json.loads(asked.communicate(timeout=60)[0])["user"] == "zhao"
    assert code not in (served.home / "opsnb" / "logins.json").read_text(encoding="utf-8")


def test_binding_by_the_command_line(served: Served) -> None:
    """An administrator binds a subject to somebody who is here, sees it, and takes it away; half a wish is refused."""
    served.place.json("user", "add", "zhou")
    bound = served.place.json("user", "bind", "zhou", "--oidc", "sub-zhou")
    assert bound == {"user": "zhou", "source": "oidc", "name": "sub-zhou", "bound": True}
    assert "signs in by  oidc" in served.place.opsnb("user", "show", "zhou").stdout
    assert "no more" in served.place.opsnb("user", "unbind", "zhou", "--oidc").stdout
    for argv in (("bind", "zhou"), ("bind", "zhou", "--ldap", "--oidc", "x"), ("unbind", "zhou")):
        assert served.place.opsnb("user", *argv).returncode == 2


@pytest.mark.parametrize(
    ("argv", "said"), [(("--sso", "--user", "x"), "needs no user"), (("--sso", "--token-stdin"), "needs no user")]
)
def test_what_does_not_go_together(served: Served, argv: tuple[str, ...], said: str) -> None:
    """--sso asks the provider, so there is no name and no password to it."""
    ended = served.elsewhere("login", served.url, *argv)
    assert said in ended.communicate("", timeout=60)[1]
    assert ended.returncode == 2
