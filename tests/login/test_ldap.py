"""Sign-in against a real slapd: who comes in, who does not, and what is said when the directory is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from login.left import kinds, known, last, size
from login.planes import forget_tries, plane
from login.slapd import BASE, OPEN, OWN_DN, OWN_PASSWORD, PASSWORD, Gate, Slapd, person
from opsnb.base.errors import NotFoundError, NotSignedInError, RefusedError, UnavailableError
from opsnb.base.signin import Groups, read_sign_in
from opsnb.control.app import App
from opsnb.control.flows import credentials, enter, outside, people
from opsnb.control.flows.enter import FirstDoor, SignIn
from opsnb.control.people import throttle, totp
from opsnb.control.people.identities import Source
from opsnb.control.people.ldap import AT_A_TIME, Directory
from opsnb.control.people.tokens import Token, TokenKind
from opsnb.control.people.values import Actor, Kind
from opsnb.control.people.wanted import User
from opsnb.web.api import create
from opsnb.web.guard import Activity
from papers import certificate

pytestmark = pytest.mark.usefixtures("quick_hashes")

LOCAL = "correct horse battery"  # a password of opsnb itself
OPS, WEB = "cn=ops,ou=groups,dc=example,dc=com", "cn=web,ou=groups,dc=example,dc=com"
REFERRAL = (
    f"dn: cn=away,{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\ncn: away\nref: ldap://192.0.2.1/\n"
)
HOSTILE = [
    "*", "b*", ")(uid=*", "bob)(uid=*", "*)(objectClass=*", "bob\x00", "\x00", "x" * 100_000, "bøb", "用户", "\ud800",
    "(", ")", "\\", "\\2a", "uid=bob", f"uid=bob,{BASE}", " ", "bob ,", "{name}", "%s", "#", ";", "\r\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory with people in it."""
    made = Slapd(
        tmp_path_factory.mktemp("slapd") / "d", REFERRAL,
        *(person(n) for n in ("bob", "new1", "new2", "carl", "dora", "emil", "fay", "gina", "hugo", "ida", "jon", "kim")),
        person("locked", "pwdAccountLockedTime: 000001010000Z"), person("al,+ice", rdn="uid=al\\,\\+ice"),
        person("twin", "employeeNumber: 7"), person("twin2", "employeeNumber: 7"), person("grace", f"memberOf: {OPS}"),
        person("bad name"), person("B0b"), person("bob", below=OPEN),
    )  # fmt: skip
    yield made
    made.close()


def directory(slapd: Slapd, **more: Any) -> Directory:
    """Return the directory as settings name it."""
    there = read_sign_in({"ldap": {**slapd.settings, **more}}).ldap
    assert there
    return Directory(settings=there, root=Path("/"), password=lambda: OWN_PASSWORD)


# -- the directory itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ldaps", "starttls", "loopback", "nobody searches", "dn"])
def test_who_has_the_password_is_known(slapd: Slapd, way: str) -> None:
    """By TLS, by StartTLS and on this machine: the right password names the entry, another one nobody."""
    plain = f"ldap://127.0.0.1:{slapd.port}"
    more: dict[str, dict[str, Any]] = {
        "ldaps": {}, "starttls": {"url": plain, "starttls": True}, "loopback": {"url": plain, "ca": ""},
        "nobody searches": {"bind": "", "password": "", "base": OPEN}, "dn": {"id": "dn"},
    }  # fmt: skip
    there = directory(slapd, **more[way])
    found = there.sign_in("bob", PASSWORD)
    assert found
    assert (found.name, found.display, found.mail) == ("bob", "Bob Li", "bob@example.com")
    assert found.identity.subject == (f"uid=bob,{BASE}" if way == "dn" else found.identity.subject)
    assert there.find("bob") == found
    assert there.sign_in("bob", "another") is None
    assert there.sign_in("bob", PASSWORD, prove=False) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_more_than_a_name(slapd: Slapd, name: str) -> None:
    """Whatever is typed as a name, the directory is asked for exactly that, and nobody is called so."""
    assert directory(slapd).sign_in(name, PASSWORD) is None


def test_a_name_with_signs_of_its_own(slapd: Slapd) -> None:
    """A name with a comma and a plus finds its entry, and the bind is as that entry."""
    found = directory(slapd).sign_in("al,+ice", PASSWORD)
    assert found
    assert found.name == "al,+ice"


@pytest.mark.parametrize(
    ("name", "filter_"), [("7", "(employeeNumber={name})"), ("Li", "(sn={name})"), ("locked", "(uid={name})")]
)
def test_who_is_nobody(slapd: Slapd, name: str, filter_: str) -> None:
    """Two entries, many entries, and an account that the directory has locked are nobody."""
    assert directory(slapd, user_filter=filter_).sign_in(name, PASSWORD) is None


def test_without_a_password_nothing_is_asked(slapd: Slapd) -> None:
    """An empty or endless password is refused before anybody is asked: here nobody would answer."""
    there = directory(slapd, url="ldaps://127.0.0.1:1")
    assert there.sign_in("bob", "") is None
    assert there.sign_in("bob", "x" * 5000) is None
    with pytest.raises(UnavailableError):
        there.sign_in("bob", "x")


def test_certificates_are_checked(slapd: Slapd, tmp_path: Path) -> None:
    """Another authority, another host's certificate, and the system's authorities alone: nothing is asked."""
    other, _ = certificate(tmp_path / "other")
    for more in ({"ca": str(other)}, {"ca": ""}, {"url": f"ldaps://localhost:{slapd.tls_port}"}, {"ca": "no.pem"}):
        with pytest.raises(UnavailableError):
            directory(slapd, **more).sign_in("bob", PASSWORD)
    with pytest.raises(UnavailableError):
        directory(slapd, url=f"ldap://127.0.0.1:{slapd.port}", starttls=True, ca=str(other)).sign_in("bob", PASSWORD)


@pytest.mark.parametrize(
    "more", [{"password": "x"}, {"base": "ou=nowhere,dc=example,dc=com"}, {"id": "employeeNumber"}]
)
def test_settings_that_do_not_fit(slapd: Slapd, more: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password of its own, a base that is not there, entries without their id: away, and the log says why."""
    there = directory(slapd, **more)
    if "password" in more:
        there = replace(there, password=lambda: "another")
    with pytest.raises(UnavailableError) as caught:
        there.sign_in("bob", PASSWORD)
    assert "example" not in str(caught.value)
    assert any(word in caplog.text for word in (OWN_DN, "answered with 32", "values of 'employeeNumber'"))


@pytest.mark.parametrize("messages", [1, 2, 3])
def test_a_directory_that_goes_in_the_middle(slapd: Slapd, messages: int) -> None:
    """It hangs up before its own bind, the search, or the last bind: nobody comes in, and it is said at once."""
    gate = Gate(slapd.port, messages=messages - 1 or -1)
    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        directory(slapd, url=f"ldap://127.0.0.1:{gate.port}", answer=30).sign_in("bob", PASSWORD)
    assert time.monotonic() - begun < 10  # and not after its bound
    gate.close()


def test_a_slow_directory_costs_its_bound(slapd: Slapd) -> None:
    """One that answers nobody, and one that sends byte by byte, cost the seconds that one sign-in may take."""
    drip = Gate(slapd.port, pause=0.1)
    for url in (slapd.settings["url"], f"ldap://127.0.0.1:{drip.port}"):
        begun = time.monotonic()
        with slapd.asleep() if url == slapd.settings["url"] else _awake(), pytest.raises(UnavailableError):
            directory(slapd, url=url, answer=1).sign_in("bob", PASSWORD)
        assert 0.5 < time.monotonic() - begun < 2.5
    drip.close()


@contextmanager
def _awake() -> Iterator[None]:
    yield


# -- people ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A control plane in this process, with the directory in its settings."""
    with plane(tmp_path_factory.mktemp("ldap") / "ws", {"ldap": slapd.settings}, ldap=OWN_PASSWORD) as app:
        yield app


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> None:
    """Let no try of a test before count."""
    if "app" in request.fixturenames:
        forget_tries(request.getfixturevalue("app"))


@contextmanager
def otherwise(app: App, **more: Any) -> Iterator[None]:
    """Have the directory's settings be others for a while."""
    before = app.services.settings
    login = before.login
    assert login.ldap
    app.services.settings = replace(before, login=replace(login, ldap=replace(login.ldap, **more)))
    yield
    app.services.settings = replace(app.services.settings, login=login)


def sign_in(app: App, name: str, password: str = PASSWORD, **more: str) -> tuple[str, Token]:
    """Sign in for a session."""
    return enter.sign_in(app.services, SignIn(name=name, password=password, **more), TokenKind.SESSION)


def local(app: App, name: str, password: str = LOCAL, **more: Any) -> Actor:
    """Add somebody here, with a password where one is given."""
    people.add_user(app.services, app.actor, User(name=name, **more))
    if password:
        code = credentials.make_link(app.services, app.actor, name)["code"]
        enter.enter(app.services, FirstDoor(), app.person, code, password)
    found = known(app, name)
    assert found
    return Actor(person=found, via="session")


def test_who_is_new_is_added(app: App) -> None:
    """The first sign-in adds the person, binds them, and is in the ledger; the second one is the same person."""
    since = size(app)
    secret, _ = sign_in(app, "new1")
    person = enter.actor_of(app.services, secret, TokenKind.SESSION).person
    assert (person.name, person.display, person.mail) == ("new1", "New1 Li", "new1@example.com")
    made = kinds(app, since)
    assert [k for k in made if k != "revision.activated"] == ["person.added", "identity.bound", "token.issued"]
    assert last(app) == ("new1", "ldap", "ok")
    since = size(app)
    secret, _ = sign_in(app, "NEW1")
    assert enter.actor_of(app.services, secret, TokenKind.SESSION).person == person
    assert kinds(app, since) == ["token.issued"]


def test_who_is_new_waits_for_an_administrator(app: App) -> None:
    """Where the settings add nobody, the right password says what to do; an administrator binds, and may unbind."""
    with otherwise(app, new=False):
        with pytest.raises(NotSignedInError, match="nobody here is bound") as caught:
            sign_in(app, "carl")
        assert "opsnb user bind" in caught.value.hint
        assert last(app) == ("", "ldap", "unbound")
        carl = local(app, "carl", password="")
        with pytest.raises(NotSignedInError, match="somebody here is called so already") as caught:
            sign_in(app, "carl")
        assert "opsnb user bind carl --ldap" in caught.value.hint
        since = size(app)
        assert outside.bind(app.services, app.actor, "carl", Source.LDAP, "")["name"] == "carl"
        outside.bind(app.services, app.actor, "carl", Source.LDAP, "")  # twice is once
        assert kinds(app, since) == ["identity.bound"]
        secret, _ = sign_in(app, "carl")
        assert enter.actor_of(app.services, secret, TokenKind.SESSION).person == carl.person
        since = size(app)
        outside.unbind(app.services, app.actor, "carl", Source.LDAP)
        assert kinds(app, since) == ["identity.unbound", "token.revoked"]
        with pytest.raises(NotSignedInError, match="revoked"):
            enter.actor_of(app.services, secret, TokenKind.SESSION)
        with pytest.raises(NotSignedInError, match="called so already"):
            sign_in(app, "carl")


def test_what_is_told_of_who_is_bound(app: App) -> None:
    """The API binds and unbinds, and says of a user where they are known too."""
    local(app, "mona", password="")
    with TestClient(create(app, Activity()), base_url="http://127.0.0.1") as client:
        client.headers["authorization"] = f"Bearer {app.token}"
        for bound, elsewhere in ((True, ["ldap"]), (False, [])):
            body = {"source": "ldap", "subject": "kim", "bound": bound}
            answer = client.post("/api/users/mona/identity", json=body)
            assert (answer.status_code, answer.json()["bound"]) == (200, bound)
            assert client.get("/api/users/mona").json()["elsewhere"] == elsewhere


def test_who_may_bind(app: App) -> None:
    """Administrators alone bind, one entry to one person, and only to what is there."""
    dora = local(app, "dora", password="")
    with pytest.raises(RefusedError, match="administer"):
        outside.bind(app.services, dora, "dora", Source.LDAP, "")
    with pytest.raises(NotFoundError):
        outside.bind(app.services, app.actor, "dora", Source.LDAP, "nowhere")
    sign_in(app, "new1")
    with pytest.raises(RefusedError, match="new1 signs in by that"):
        outside.bind(app.services, app.actor, "dora", Source.LDAP, "new1")
    local(app, "robot", password="", kind=Kind.SERVICE)
    with pytest.raises(RefusedError, match="service account"):
        outside.bind(app.services, app.actor, "robot", Source.LDAP, "dora")


def test_a_namesake_is_somebody_else(app: App) -> None:
    """A local person of the same name is not the entry, whatever the settings say; nor is one that looks alike."""
    emil = local(app, "emil")
    with pytest.raises(NotSignedInError) as caught:
        sign_in(app, "emil")  # the directory's password; here they have one of their own
    assert caught.value.message == enter.WRONG
    secret, _ = sign_in(app, "emil", LOCAL)
    assert enter.actor_of(app.services, secret, TokenKind.SESSION).person == emil.person
    assert last(app) == ("emil", "password", "ok")
    with otherwise(app):
        sign_in(app, "bob")
        with pytest.raises(NotSignedInError, match="cannot be a name here"):
            sign_in(app, "B0b")
    assert known(app, "B0b") is None


def test_both_passwords_of_who_is_bound(app: App) -> None:
    """Whoever is bound, and has a password here too, comes in with each of them, and with no third one."""
    local(app, "fay")
    outside.bind(app.services, app.actor, "fay", Source.LDAP, "")
    for password, way in ((LOCAL, "password"), (PASSWORD, "ldap")):
        sign_in(app, "fay", password)
        assert last(app) == ("fay", way, "ok")
    with pytest.raises(NotSignedInError, match=enter.WRONG):
        sign_in(app, "fay", "a third one")


def test_who_has_left_stays_out(app: App) -> None:
    """Somebody who was made inactive here stays out, with the directory's password too, and is told nothing."""
    sign_in(app, "gina")
    people.set_user(app.services, app.actor, User(name="gina", active=False))
    with pytest.raises(NotSignedInError) as caught:
        sign_in(app, "gina")
    assert caught.value.message == enter.WRONG
    assert last(app) == ("gina", "ldap", "inactive")


def test_no_service_account_signs_in(app: App) -> None:
    """A service account is never an entry's person, whatever it is called."""
    local(app, "hugo", password="", kind=Kind.SERVICE)
    with pytest.raises(NotSignedInError, match="called so already"):
        sign_in(app, "hugo")


@pytest.mark.parametrize("name", ["nobody", "ida", "locked", "bad name", *HOSTILE[:8]])
def test_an_outsider_learns_nothing(app: App, name: str) -> None:
    """A wrong password, a name of nobody, a locked account, a hostile name: one and the same answer."""
    with pytest.raises(NotSignedInError) as caught:
        sign_in(app, name, "a wrong password" if name == "ida" else PASSWORD)
    assert (caught.value.message, caught.value.hint) == (enter.WRONG, enter.MAYBE)


def test_codes_are_wanted_too(app: App) -> None:
    """Whoever set an authenticator up in opsnb needs its code with the directory's password too."""
    secret, _ = sign_in(app, "ida")
    actor = enter.actor_of(app.services, secret, TokenKind.SESSION)
    key = credentials.begin_codes(app.services, actor)["key"]
    step = int(datetime.now(UTC).timestamp()) // totp.STEP_SECONDS
    credentials.confirm_codes(app.services, actor, totp.code_at(key, step))
    with pytest.raises(NotSignedInError, match=enter.WRONG):
        sign_in(app, "ida")
    assert last(app) == ("ida", "ldap", "code")
    sign_in(app, "ida", code=totp.code_at(key, step + 1))


def test_groups_mean_roles(app: App) -> None:
    """Groups there give the roles here that the settings say, and take them with the next sign-in."""
    roles = {"CN=ops, OU=groups, DC=example, DC=com": "engineer", WEB: "approver", "cn=x": "no-such-role"}
    with otherwise(app, group=Groups(roles=roles)):
        secret, _ = sign_in(app, "grace")
        grace = enter.actor_of(app.services, secret, TokenKind.SESSION)
        assert credentials.who_am_i(app.services, grace)["roles"] == ["engineer"]
        people.set_user(app.services, app.actor, User(name="grace", give=("approver", "auditor")))
        since = size(app)
        sign_in(app, "grace")
        assert kinds(app, since) == ["role.taken", "token.issued"]
        assert credentials.who_am_i(app.services, grace)["roles"] == ["auditor", "engineer"]


def guessed(app: App, name: str, refusal: type[Exception]) -> int:
    """Guess until told to wait; return how many guesses were judged. A slow machine waits by itself, and is told later."""
    for number in range(20):
        with pytest.raises((refusal, RefusedError)) as caught:
            sign_in(app, name, f"a wrong password {number}")
        if "wait" in str(caught.value):
            assert number >= throttle.FREE["name"]
            return number
    raise AssertionError("nobody was told to wait")


def test_guessing_is_slow_there_too(app: App) -> None:
    """After five wrong passwords the right one of the directory waits too."""
    sign_in(app, "jon")
    assert guessed(app, "jon", NotSignedInError) < 10
    assert last(app) == ("jon", "password", "throttled")


def test_a_directory_that_is_away(app: App, slapd: Slapd) -> None:
    """Nobody answers there: it is said (503, exit 7), and passwords of opsnb itself work."""
    local(app, "lena")
    assert slapd.process.poll() is None
    with otherwise(app, url="ldaps://127.0.0.1:1"):
        with pytest.raises(UnavailableError) as caught:
            sign_in(app, "kim", address="192.0.2.9")
        assert caught.value.exit_code == 7
        assert "127.0.0.1" not in str(caught.value)
        assert last(app) == ("", "ldap", "away")
        sign_in(app, "lena", LOCAL, address="192.0.2.9")
        with TestClient(create(app, Activity()), base_url="http://127.0.0.1") as client:
            answer = client.post("/api/login", json={"name": "kim", "password": PASSWORD})
        assert (answer.status_code, answer.json()["error"]["exit"]) == (503, 7)
    sign_in(app, "kim", address="192.0.2.9")


def test_no_outage_is_a_time_to_guess(app: App) -> None:
    """While the directory is away, passwords of opsnb are guessed no faster, and names of nobody wait as well."""
    local(app, "nele")
    with otherwise(app, url="ldaps://127.0.0.1:1"):
        for name in ("nele", "kim", "nobody"):
            assert guessed(app, name, UnavailableError) < 10


def test_many_at_a_slow_directory(slapd: Slapd) -> None:
    """While the directory answers nobody, a few wait for it, and the others are told at once to come back."""
    outcomes: list[str] = []
    there = directory(slapd, answer=2)

    def one() -> None:
        try:
            there.sign_in("bob", PASSWORD)
        except UnavailableError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=one) for _ in range(24)]
    with slapd.asleep():
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(outcomes) == 24
    assert 0 < sum("too many" in text for text in outcomes) <= 24 - AT_A_TIME
    assert time.monotonic() - begun < 8  # one after the other would take 48 s
