"""Sign-in with a real provider process: who comes in, and every way in which a provider, or a browser, may misbehave."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from login.left import kinds, known, last, size
from login.planes import forget_tries, plane
from login.provider import SECRET
from login.providing import Provider
from opsnb.base.errors import NotSignedInError, RefusedError, UnavailableError, UsageError
from opsnb.base.signin import Groups, Oidc
from opsnb.control.app import App
from opsnb.control.flows import credentials, enter, outside, people, sso
from opsnb.control.flows.lobby import Drawer, Lobby
from opsnb.control.people import throttle, totp
from opsnb.control.people.asking import AskingError, ask
from opsnb.control.people.identities import Source
from opsnb.control.people.oidc import AT_A_TIME, WrongError, challenge_of, check_claims
from opsnb.control.people.tokens import TokenKind
from opsnb.control.people.wanted import User
from opsnb.web.api import create
from opsnb.web.guard import COOKIE, Activity
from opsnb.web.sso import KEPT
from papers import certificate

BACK = "http://127.0.0.1/login/oidc/back"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HERE = Oidc(issuer="https://id.example", client_id="opsnb", redirect="https://ops.example/login/oidc/back")
GOOD = {
    "iss": HERE.issuer, "aud": HERE.client_id, "sub": "s-1", "nonce": "n", "exp": NOW.timestamp() + 300,
    "iat": NOW.timestamp(),
}  # fmt: skip


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {}, {"aud": ["opsnb"]}, {"aud": ["opsnb", "other"], "azp": "opsnb"}, {"azp": "opsnb"},
        {"exp": NOW.timestamp() - 59}, {"iat": NOW.timestamp() + 59}, {"nbf": NOW.timestamp() + 59},
    ],
)  # fmt: skip
def test_a_good_token(more: dict[str, Any]) -> None:
    """A token for us, of now and of this sign-in is taken, with clocks a minute apart."""
    check_claims({**GOOD, **more}, HERE, "n", NOW.timestamp())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "https://id.example/"), ("iss", "https://evil.example"), ("iss", None), ("aud", "other"), ("aud", []),
        ("aud", ["other"]), ("aud", ["opsnb", "other"]), ("aud", None), ("aud", "opsn"), ("azp", "other"), ("azp", 7),
        ("exp", NOW.timestamp() - 61), ("exp", None), ("exp", "later"), ("exp", True), ("exp", float("nan")),
        ("iat", NOW.timestamp() - 700), ("iat", NOW.timestamp() + 61), ("iat", None), ("nbf", NOW.timestamp() + 61),
        ("nbf", "x"), ("nonce", "m"), ("nonce", None), ("nonce", ["n"]), ("sub", ""), ("sub", None), ("sub", 7),
        ("sub", "x" * 256), ("sub", "a\nb"), ("sub", "\ud800"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_good(name: str, value: object) -> None:
    """Of somebody else, for somebody else, of another time or sign-in, of nobody: each is refused and named."""
    with pytest.raises(WrongError, match="aud|azp" if name == "aud" else name):
        check_claims({**GOOD, name: value}, HERE, "n", NOW.timestamp())


@given(
    claims=st.dictionaries(st.sampled_from([*GOOD, "azp", "nbf"]), st.none() | st.text() | st.floats() | st.booleans())
)
def test_no_claims_break_anything(claims: dict[str, Any]) -> None:
    """Whatever claims there are, made up ones are refused, never an error of another kind."""
    with pytest.raises(WrongError):
        check_claims(claims, HERE, "n", NOW.timestamp())


def test_pkce_is_that_of_the_rfc() -> None:
    """The challenge of RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "\\\\evil", "/a b", "/a\nb", "/\t/evil.example",
     "javascript:alert(1)", "/%0d%0a\x00", "", "/é", "/" + "x" * 600, '/"onload=x', "/<script>"],
)  # fmt: skip
def test_no_redirect_leads_away(path: str) -> None:
    """Where a browser goes afterwards is a path on this server."""
    assert not sso.PATH.fullmatch(path)
    assert sso.PATH.fullmatch("/api?x=1")


def test_a_drawer_opens_once_and_forgets() -> None:
    """What waits is taken once, for five minutes, and there is a bound to how much waits."""
    drawer: Drawer[int] = Drawer()
    name = drawer.put(7, NOW)
    assert (drawer.take(name, NOW), drawer.take(name, NOW)) == (7, None)
    assert drawer.take(drawer.put(8, NOW), NOW + timedelta(minutes=5)) is None
    names = [drawer.put(n, NOW) for n in range(10_001)]
    assert (drawer.take(names[0], NOW), drawer.take(names[-1], NOW)) == (None, 10_000)


@given(st.text())
def test_no_text_is_a_cookie_of_ours(text: str) -> None:
    """Whatever a browser brings that we have not signed is refused."""
    with pytest.raises(NotSignedInError, match="begun no sign-in"):
        Lobby().open(text, "", NOW)


@pytest.mark.parametrize("url", ["http://192.0.2.1/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "//x", ""])
def test_what_is_never_asked(url: str) -> None:
    """Nothing but https, and http on this machine, is ever asked."""
    with pytest.raises(AskingError, match="wanted https"):
        ask(url, ca="", seconds=1)


# -- a provider --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider on this machine."""
    made = Provider(BACK)
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A control plane in this process, with the provider in its settings."""
    with plane(tmp_path_factory.mktemp("oidc") / "ws", {"oidc": provider.settings}, oidc=SECRET) as app:
        yield app


@pytest.fixture(autouse=True)
def _afresh(request: pytest.FixtureRequest) -> None:
    """Let neither tries nor orders of a test before count."""
    if "app" in request.fixturenames:
        app, provider = (request.getfixturevalue(name) for name in ("app", "provider"))
        forget_tries(app)
        provider.behave()
        app.lobby = Lobby()


@pytest.fixture
def browser(app: App) -> Iterator[TestClient]:
    """A browser, as far as cookies and redirects go."""
    with TestClient(create(app, Activity()), base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


@contextmanager
def otherwise(app: App, **more: Any) -> Iterator[None]:
    """Have the provider's settings be others for a while."""
    login = app.services.settings.login
    assert login.oidc
    there = replace(login, oidc=replace(login.oidc, **more))
    app.services.settings = replace(app.services.settings, login=there)
    yield
    app.services.settings = replace(app.services.settings, login=login)


def come(browser: TestClient, provider: Provider, user: str, query: str = "", **back: str) -> Any:
    """Sign in with the provider, and return the page behind it; ``back`` replaces what the browser brings back."""
    went = browser.get(f"/login/oidc{query}")
    assert went.status_code == 303, went.text
    brought = provider.sign_in(went.headers["location"], user)
    return browser.get("/login/oidc/back", params={**brought, **back})


def ticket_of(page: str) -> str:
    """Return the ticket in a page's form."""
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found, page
    return found[1]


def test_what_a_browser_is_sent_with(browser: TestClient, provider: Provider) -> None:
    """The address has S256, state and nonce, all new each time, and the settings' way back; the cookie is Lax."""
    one, two = browser.get("/login/oidc"), browser.get("/login/oidc?next=/api")
    queries = [parse_qs(urlsplit(a.headers["location"]).query) for a in (one, two)]
    assert {q["code_challenge_method"][0] for q in queries} == {"S256"}
    assert {q["redirect_uri"][0] for q in queries} == {BACK}
    assert all(queries[0][name] != queries[1][name] for name in ("state", "nonce", "code_challenge"))
    cookie = one.headers["set-cookie"]
    assert cookie.startswith(f"{KEPT}=")
    assert all(word in cookie for word in ("HttpOnly", "Path=/login/oidc", "SameSite=lax", "Max-Age=600"))
    assert provider.issuer in one.headers["location"]


def test_who_is_new_comes_in(app: App, browser: TestClient, provider: Provider) -> None:
    """The provider's word adds and binds somebody, gives a session in a strict cookie, and the ledger has it."""
    since = size(app)
    page = come(browser, provider, "wang", "?next=/api/whoami")
    assert page.status_code == 200
    assert "signed in as wang" in page.text
    assert 'href="/api/whoami"' in page.text
    cookie = next(c for c in page.headers.get_list("set-cookie") if c.startswith(COOKIE))
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    made = [k for k in kinds(app, since) if k != "revision.activated"]
    assert made == ["person.added", "identity.bound", "token.issued"]
    me = browser.get("/api/whoami").json()
    assert (me["user"], me["display"], me["via"]) == ("wang", "Wang Wang", "session")
    assert last(app) == ("wang", "oidc", "ok")
    person = known(app, "wang")
    since = size(app)
    assert come(browser, provider, "wang").status_code == 200
    assert (known(app, "wang"), kinds(app, since)) == (person, ["token.issued"])


def test_pages_are_in_chinese_too(app: App, browser: TestClient, provider: Provider) -> None:
    """Whoever reads Chinese is told in Chinese, errors included."""
    browser.headers["accept-language"] = "zh-CN,zh;q=0.9"
    page = come(browser, provider, "wang")
    assert "您已登录为 wang" in page.text
    assert 'lang="zh-Hans"' in page.text
    people.add_user(app.services, app.actor, User(name="yang"))
    assert "身份提供方知道您是“yang”，而这里已有人叫这个名字" in come(browser, provider, "yang").text
    assert "此浏览器没有在这里开始过登录" in browser.get("/login/oidc/back").text


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        ({"claims": {"nonce": "another"}}, "nonce"), ({"claims": {"nonce": None}}, "nonce"),
        ({"claims": {"aud": "another"}}, "aud"), ({"claims": {"aud": ["opsnb-test", "x"]}}, "azp"),
        ({"claims": {"azp": "another"}}, "azp"), ({"claims": {"iss": "http://127.0.0.1:1"}}, "iss"),
        ({"claims": {"exp": 1_000_000_000}}, "exp"), ({"claims": {"iat": 1_000_000_000}}, "iat"),
        ({"claims": {"sub": None}}, "sub"), ({"claims": {"exp": None}}, "exp"),
        ({"signing": "none"}, "does not hold"), ({"signing": "HS256"}, "does not hold"),
        ({"signing": "unknown"}, "not the provider's"), ({"signing": "other"}, "does not hold"),
    ],
)  # fmt: skip
def test_a_token_that_proves_nothing(
    app: App, browser: TestClient, provider: Provider, orders: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    """A token of another sign-in, for others, expired, unsigned, or signed with what is public: nobody comes in."""
    provider.behave(**orders)
    page = come(browser, provider, "eve")
    assert page.status_code == 401
    assert "did not sign you in" in page.text
    assert said in caplog.text
    assert said not in page.text
    assert known(app, "eve") is None
    assert last(app) == ("", "oidc", "wrong")
    assert COOKIE not in browser.cookies


def test_a_code_is_good_once(browser: TestClient, provider: Provider) -> None:
    """What a browser brought back is worth nothing the second time, with the cookie and without."""
    went = browser.get("/login/oidc")
    kept = browser.cookies[KEPT]
    brought = provider.sign_in(went.headers["location"], "wang")
    assert browser.get("/login/oidc/back", params=brought).status_code == 200
    assert KEPT not in browser.cookies
    browser.cookies.clear()
    assert "begun no sign-in" in browser.get("/login/oidc/back", params=brought).text
    browser.cookies.set(KEPT, kept, path="/login/oidc")
    assert "used already" in browser.get("/login/oidc/back", params=brought).text
    # and at the provider: another sign-in of ours that brings the code of this one
    page = come(browser, provider, "wang", code=brought["code"])
    assert (page.status_code, "did not sign you in" in page.text) == (401, True)


def test_the_state_of_another_session(browser: TestClient, provider: Provider) -> None:
    """An answer that somebody else began, or whose state was changed, or that comes too late, is refused."""
    theirs = provider.sign_in(browser.get("/login/oidc").headers["location"], "eve")
    browser.cookies.clear()
    browser.get("/login/oidc")
    assert "another sign-in" in browser.get("/login/oidc/back", params=theirs).text
    page = come(browser, provider, "wang", state="x")
    assert (page.status_code, "another sign-in" in page.text) == (401, True)
    lobby = Lobby()
    begun = sso.Begun(state="s", nonce="n", verifier="v", until=NOW.timestamp())
    with pytest.raises(NotSignedInError, match="too long ago"):
        lobby.open(lobby.seal(begun), "s", NOW)


def test_the_code_of_another_sign_in(browser: TestClient, provider: Provider) -> None:
    """A stolen code, slipped into a sign-in of one's own, has another verifier: the provider refuses it."""
    stolen = provider.sign_in(browser.get("/login/oidc").headers["location"], "wang")
    browser.cookies.clear()
    page = come(browser, provider, "eve", code=stolen["code"])
    assert page.status_code in {401, 503}
    assert COOKIE not in browser.cookies


@pytest.mark.parametrize(
    ("orders", "status"),
    [
        ({"issuer": "http://127.0.0.1:1"}, 503), ({"metadata": {"token_endpoint": None}}, 503),
        ({"metadata": {"jwks_uri": "http://192.0.2.1/keys"}}, 503), ({"huge": "/keys"}, 503), ({"huge": "/token"}, 503),
        ({"huge": "/.well-known/openid-configuration"}, 503), ({"slow": {"/token": 0.05}}, 503),
        ({"slow": {"/.well-known/openid-configuration": 0.05}}, 503),
        ({"metadata": {"authorization_response_iss_parameter_supported": True}}, 401),
        ({"back": {"iss": "https://evil.example"}}, 401), ({"back": {"error": "access_denied"}}, 200),
    ],
)  # fmt: skip
def test_a_provider_that_misbehaves(
    app: App, browser: TestClient, provider: Provider, orders: dict[str, Any], status: int
) -> None:  # fmt: skip
    """Another issuer, missing or strange endpoints, endless and slow answers: said within the bound, nobody comes in."""
    provider.behave(**orders)
    begun = time.monotonic()
    went = browser.get("/login/oidc")
    if went.status_code == 303:
        went = browser.get("/login/oidc/back", params=provider.sign_in(went.headers["location"], "wang"))
    assert went.status_code == status, went.text
    assert time.monotonic() - begun < 4
    assert status == 200 or COOKIE not in browser.cookies
    assert "127.0.0.1" not in went.text
    provider.behave()
    app.lobby.kept = None
    assert come(browser, provider, "wang").status_code == 200  # and when it behaves again


def test_many_at_a_slow_provider(app: App, provider: Provider) -> None:
    """While the provider is slow, a few wait for it, and the others are told at once to come back."""
    provider.behave(slow={"/.well-known/openid-configuration": 0.05})
    begun, causes = time.monotonic(), []

    def one() -> None:
        with pytest.raises(UnavailableError) as caught:
            sso.begin(app.services, app.lobby)
        causes.append(str(caught.value.__cause__))

    threads = [threading.Thread(target=one) for _ in range(3 * AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(causes) == len(threads)
    assert 0 < sum("wait for an answer already" in cause for cause in causes) <= len(threads) - AT_A_TIME
    assert time.monotonic() - begun < 8  # one after the other would take 48 s


def test_keys_that_turn(browser: TestClient, provider: Provider) -> None:
    """A new key of the provider is found at once; tokens of unknown keys do not make us ask for ever."""
    assert come(browser, provider, "wang").status_code == 200
    provider.behave(rotate=True)
    assert come(browser, provider, "wang").status_code == 200
    provider.behave(signing="unknown")
    before = provider.asked()["/keys"]
    for _ in range(8):
        assert come(browser, provider, "wang").status_code == 401
    assert provider.asked()["/keys"] - before < 5


def test_who_is_known_here_already(app: App, browser: TestClient, provider: Provider) -> None:
    """A namesake here is somebody else until an administrator has bound them; who has left, or is a service, stays out."""
    people.add_user(app.services, app.actor, User(name="xu"))
    page = come(browser, provider, "xu")
    assert (page.status_code, "called so already" in page.text) == (401, True)
    assert "opsnb user bind xu --oidc sub-xu<" in page.text
    assert last(app) == ("xu", "oidc", "unbound")
    outside.bind(app.services, app.actor, "xu", Source.OIDC, "sub-xu")
    assert come(browser, provider, "xu").status_code == 200
    people.set_user(app.services, app.actor, User(name="xu", active=False))
    page = come(browser, provider, "xu")
    assert (page.status_code, enter.WRONG in page.text) == (401, True)
    with otherwise(app, new=False):
        assert "nobody here is bound" in come(browser, provider, "zhou").text
    with pytest.raises(UsageError, match="no directory"):
        outside.bind(app.services, app.actor, "xu", Source.LDAP, "")


def test_a_mail_address_that_is_not_verified(app: App, browser: TestClient, provider: Provider) -> None:
    """A mail address comes along only where the provider has verified it; names that cannot be one here are refused."""
    provider.behave(claims={"email_verified": False})
    assert come(browser, provider, "ye").status_code == 200
    person = known(app, "ye")
    assert person
    assert person.mail == ""
    provider.behave(claims={"preferred_username": "<script>alert(1)</script>", "sub": "other"})
    page = come(browser, provider, "x")
    assert (page.status_code, "<script>" in page.text) == (401, False)


def test_groups_mean_roles(app: App, browser: TestClient, provider: Provider) -> None:
    """Groups of the provider give the roles that the settings say."""
    with otherwise(app, group=Groups(roles={"ops": "engineer", "other": "approver"})):
        assert come(browser, provider, "qian").status_code == 200
    assert browser.get("/api/whoami").json()["roles"] == ["engineer"]


def test_codes_are_wanted_too(app: App, browser: TestClient, provider: Provider) -> None:
    """Whoever set an authenticator up in opsnb is asked for its code behind the provider, once for each sign-in."""
    come(browser, provider, "sun")
    actor = enter.actor_of(app.services, browser.cookies[COOKIE], TokenKind.SESSION)
    key = credentials.begin_codes(app.services, actor)["key"]
    step = int(datetime.now(UTC).timestamp()) // totp.STEP_SECONDS
    credentials.confirm_codes(app.services, actor, totp.code_at(key, step))
    browser.cookies.clear()
    for code, status in (("000000", 401), (totp.code_at(key, step + 1), 200)):
        page = come(browser, provider, "sun")
        assert COOKIE not in browser.cookies
        form = {"ticket": ticket_of(page.text), "code": code}
        for wanted in (status, 401):  # the ticket is good once
            answer = browser.post("/login/oidc/code", data=form, headers={"origin": "http://127.0.0.1"})
            assert answer.status_code == wanted
        assert (COOKIE in browser.cookies) == (status == 200)


def test_a_terminal_is_let_in(app: App, browser: TestClient, provider: Provider) -> None:
    """A terminal's code is shown once its owner says so, fits its secret alone, and is good once."""
    verifier = "v" * 43
    query = f"?terminal={challenge_of(verifier)}&label=<b>lap\u202etop</b>"
    page = come(browser, provider, "li", query)
    assert "&lt;b&gt;lap\\u202etop" in page.text
    assert COOKIE not in browser.cookies
    form = {"ticket": ticket_of(page.text)}
    shown = browser.post("/login/oidc/terminal", data=form)
    code = re.search(r"<code>([^<]+)</code>", shown.text)
    assert code
    assert browser.post("/login/oidc/terminal", data=form).status_code == 401

    def redeemed(secret: str) -> Any:
        return browser.post("/api/login/sso", json={"code": code[1], "verifier": secret, "label": "x"})

    assert re.fullmatch(r"[2-9a-z]{5}-[2-9a-z]{5}", code[1])
    got = redeemed(verifier)
    assert enter.actor_of(app.services, got.json()["secret"], TokenKind.API).person.name == "li"
    assert redeemed(verifier).status_code == 401
    page = come(browser, provider, "li", query)
    code = re.search(
        r"<code>([^<]+)</code>", browser.post("/login/oidc/terminal", data={"ticket": ticket_of(page.text)}).text
    )
    assert code
    assert redeemed("another terminal's secret").status_code == 401
    assert redeemed(verifier).status_code == 401  # it was used up


@pytest.mark.parametrize(
    "query", ["?next=//evil.example", "?next=https://evil.example", "?terminal=x", "?terminal=" + "x" * 44]
)
def test_what_nobody_may_begin(browser: TestClient, query: str) -> None:
    """A way to somewhere else, and a digest that is none, are refused before the provider is asked."""
    assert browser.get(f"/login/oidc{query}").status_code == 422


def test_forms_of_another_site(browser: TestClient, provider: Provider) -> None:
    """With a session here, another site's form gets nothing; this site's does."""
    come(browser, provider, "wang")
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://127.0.0.1", 401)):
        form = {"ticket": "x", "code": "1"}
        answer = browser.post("/login/oidc/code", data=form, headers={"origin": origin})
        assert answer.status_code == status


def test_guessing_from_one_address(
    app: App, browser: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that brings back many wrong answers has to wait."""
    at = sso.current()
    monkeypatch.setattr(sso, "current", lambda: at)  # on a busy machine a try takes longer than the first wait
    provider.behave(signing="other")
    statuses = [come(browser, provider, "wang").status_code for _ in range(throttle.FREE["address"] + 1)]
    assert statuses == [401] * throttle.FREE["address"] + [403]
    with pytest.raises(RefusedError, match="wait"):
        sso.redeem(app.services, app.lobby, "x", "y", "z", "testclient")


def test_a_certificate_is_checked(app: App, browser: TestClient, tmp_path: Path) -> None:
    """By TLS: with the authority that the settings name it goes, with another one the provider is away."""
    cert, key = certificate(tmp_path / "one")
    other, _ = certificate(tmp_path / "other")
    there = Provider(BACK, (cert, key))
    try:
        for ca, status in ((cert, 303), (other, 503), (Path("no.pem"), 503)):
            with otherwise(app, issuer=there.issuer, ca=str(ca)):
                assert browser.get("/login/oidc").status_code == status
    finally:
        there.close()
