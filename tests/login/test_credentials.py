"""Tokens, passwords, codes, throttling, history: what lets somebody in, and what no longer does."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from opsnb.base.clock import now as current
from opsnb.base.clock import stamp
from opsnb.base.errors import AlteredError, NotSignedInError, OpsnbError, RefusedError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.cli.workspace import make
from opsnb.control.app import App
from opsnb.control.flows import codes, credentials, enter, people
from opsnb.control.flows.enter import FirstDoor, SignIn
from opsnb.control.ledger.store import head, read
from opsnb.control.people import passwords, store, throttle, tokens, totp
from opsnb.control.people.tokens import TokenKind
from opsnb.control.people.values import Actor, Kind
from opsnb.control.people.wanted import User
from opsnb.control.secrets.store import secret_values
from places import Place

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
GOOD = "correct horse battery"
RFC_KEY = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238, appendix B, SHA-1: the last six of the eight digits
RFC_CODES = {
    59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037",
    20000000000: "353130",
}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A control plane in this process."""
    made = Place(tmp_path_factory.mktemp("login") / "ws")
    make(made.root)
    made.settings()
    app = App(Workspace(made.root))
    yield app
    app.close()


def somebody(app: App, name: str, *roles: str, kind: Kind = Kind.PERSON) -> Actor:
    """Return a new user who acts."""
    people.add_user(app.services, app.actor, User(name=name, kind=kind, give=roles))
    with app.services.database.transaction() as connection:
        person = store.directory(connection).named(name)
    assert person
    return Actor(person=person, via="session")


def with_password(app: App, name: str, *roles: str) -> Actor:
    """Return a new user with a password, set by a one-time link."""
    actor = somebody(app, name, *roles)
    link = credentials.make_link(app.services, app.actor, name)
    enter.enter(app.services, FirstDoor(), app.person, link["code"], GOOD)
    return actor


def kinds(app: App) -> list[str]:
    """Return the kinds of the ledger's entries."""
    with app.services.database.transaction() as connection:
        return [entry.value["kind"] for entry in read(connection, 0)] if head(connection).size else []


def sign_in(app: App, name: str, password: str = GOOD, **more: str) -> tuple[str, tokens.Token]:
    """Sign in for a session."""
    return enter.sign_in(app.services, SignIn(name=name, password=password, **more), TokenKind.SESSION)


# -- passwords and sessions --------------------------------------------------------------------------------------------


def test_a_password_lets_its_owner_in(app: App) -> None:
    """Name and password give a session, whoever holds it is that person, signing out ends it; the ledger knows ids."""
    actor = with_password(app, "ann", "engineer")
    secret, token = sign_in(app, "ANN")
    came = enter.actor_of(app.services, secret, TokenKind.SESSION)
    assert (came.person.id, came.via, came.token) == (actor.person.id, "session", token.id)
    enter.sign_out(app.services, came)
    with pytest.raises(NotSignedInError, match="revoked"):
        enter.actor_of(app.services, secret, TokenKind.SESSION)
    assert kinds(app)[-2:] == ["token.issued", "token.revoked"]
    assert "password.set" in kinds(app)


def test_nothing_secret_is_stored(app: App) -> None:
    """Neither a token nor a password stands in the database's files; what stands there is SHA-256 and Argon2id."""
    with_password(app, "nico")
    secret, _ = sign_in(app, "nico")
    made = credentials.create_token(app.services, app.actor, "ci")["secret"]
    data = b"".join(path.read_bytes() for path in app.workspace.state.glob("opsnb.db*"))
    for text in (secret, made, GOOD, secret.removeprefix("opsnb_")):
        assert text.encode() not in data
    with app.services.database.transaction() as connection:
        kept = connection.execute(select(passwords.passwords.c.hash)).scalars().all()
    assert all(row.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for row in kept)


@pytest.mark.parametrize(
    ("name", "password"), [("bea", "wrong password 12"), ("nobody", GOOD), ("bea", ""), ("bot", GOOD)]
)
def test_what_is_wrong_is_not_said(app: App, name: str, password: str) -> None:
    """A wrong name, a wrong password, a service account: one and the same answer; the history says which it was."""
    with app.services.database.transaction() as connection:
        there = store.directory(connection).named("bea") is not None
    if not there:
        with_password(app, "bea")
        somebody(app, "bot", kind=Kind.SERVICE)
    with pytest.raises(NotSignedInError) as caught:
        sign_in(app, name, password)
    assert caught.value.message == enter.WRONG
    last = credentials.login_history(app.services, app.actor, 1)[0]
    assert last["outcome"] == {"nobody": "unknown", "bot": "inactive"}.get(name, "wrong")
    assert last["person"] == ("" if name == "nobody" else name)


def test_who_has_left_is_out_at_once(app: App) -> None:
    """Sessions and tokens of somebody who is made inactive hold no more, and their password neither."""
    actor = with_password(app, "leo")
    secret, _ = sign_in(app, "leo")
    token = credentials.create_token(app.services, actor, "mine")["secret"]
    people.set_user(app.services, app.actor, User(name="leo", active=False))
    for held, kind in ((secret, TokenKind.SESSION), (token, TokenKind.API)):
        with pytest.raises(NotSignedInError, match="leo is inactive"):
            enter.actor_of(app.services, held, kind)
    with pytest.raises(NotSignedInError, match=enter.WRONG):
        sign_in(app, "leo")


def test_a_new_password_ends_other_sessions(app: App) -> None:
    """Setting a password wants the old one, and ends every session but the one that set it."""
    with_password(app, "mia")
    first, second = sign_in(app, "mia")[0], sign_in(app, "mia")[0]
    came = enter.actor_of(app.services, second, TokenKind.SESSION)
    with pytest.raises(RefusedError, match="old password"):
        credentials.set_password(app.services, came, "another good one", "wrong")
    credentials.set_password(app.services, came, "another good one", GOOD)
    enter.actor_of(app.services, second, TokenKind.SESSION)
    with pytest.raises(NotSignedInError):
        enter.actor_of(app.services, first, TokenKind.SESSION)
    with pytest.raises(NotSignedInError):
        sign_in(app, "mia")


@pytest.mark.parametrize("password", ["short", "x" * 1025, "longlonglongname"])
def test_what_is_no_password(password: str) -> None:
    """Too short, too long, one's own name: refused, and the message repeats nothing of it."""
    with pytest.raises(UsageError) as caught:
        passwords.hashed(password, "longlonglongname")
    assert password not in str(caught.value)


# -- one-time links ----------------------------------------------------------------------------------------------------


def test_a_link_is_good_once(app: App) -> None:
    """An administrator's link sets one password; the second use, another person's code and a token are refused."""
    somebody(app, "oda")
    code = credentials.make_link(app.services, app.actor, "oda")["code"]
    assert enter.enter(app.services, FirstDoor(), app.person, code, GOOD).name == "oda"
    for wrong in (code, "", "opsnb_x", credentials.create_token(app.services, app.actor, "no link")["secret"]):
        with pytest.raises(NotSignedInError):
            enter.enter(app.services, FirstDoor(), app.person, wrong, GOOD)


def test_the_first_door_opens_once() -> None:
    """The first start's code: good once among many at a time, and for an hour."""
    door = FirstDoor()
    code = door.open(NOW)
    assert not door.fits(code, NOW + timedelta(hours=1))
    assert not door.fits("", NOW)
    won: list[bool] = []
    threads = [threading.Thread(target=lambda: won.append(door.close(code, NOW))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 15 + [True]
    assert not FirstDoor().fits("", NOW)


def test_an_administrator_is_nobody_else(app: App) -> None:
    """No administrator makes a token of a person, sets their password, or signs in as a service account."""
    with_password(app, "pia")
    bot = somebody(app, "deploy", kind=Kind.SERVICE)
    with pytest.raises(RefusedError, match="they alone"):
        credentials.create_token(app.services, app.actor, "pia's", user="pia")
    with pytest.raises(RefusedError, match="service account"):
        credentials.make_link(app.services, app.actor, "deploy")
    made = credentials.create_token(app.services, app.actor, "deploy's", user="deploy", scopes=("read",))
    assert enter.actor_of(app.services, made["secret"], TokenKind.API).person == bot.person


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_gives_no_more_away(app: App) -> None:
    """Who came by a scoped token makes no wider one and none that lives longer; nor one for another kind of use."""
    actor = somebody(app, "quin", "engineer")
    made = credentials.create_token(app.services, actor, "narrow", scopes=("read", "plan"), seconds=600)
    came = enter.actor_of(app.services, made["secret"], TokenKind.API)
    with pytest.raises(RefusedError, match="good for plan, read"):
        credentials.create_token(app.services, came, "wide", scopes=("apply",))
    child = credentials.create_token(app.services, came, "narrower", scopes=("read",))
    assert child["token"]["expires"] <= made["token"]["expires"]
    with pytest.raises(NotSignedInError, match="not known"):
        enter.actor_of(app.services, made["secret"], TokenKind.SESSION)
    for refused in (
        lambda: credentials.set_password(app.services, came, GOOD, ""),
        lambda: credentials.begin_codes(app.services, came),
    ):
        with pytest.raises(RefusedError, match="API token"):
            refused()


def test_a_token_is_revoked_by_its_owner_or_an_administrator(app: App) -> None:
    """Its owner or an administrator revokes a token, nobody else, and it holds no more."""
    one, other = somebody(app, "rosa"), somebody(app, "sven")
    made = credentials.create_token(app.services, one, "mine")
    with pytest.raises(RefusedError):
        credentials.revoke_token(app.services, other, made["token"]["id"])
    with pytest.raises(RefusedError):
        credentials.list_tokens(app.services, other, user="rosa")
    assert [row["name"] for row in credentials.list_tokens(app.services, one)] == ["mine"]
    credentials.revoke_token(app.services, app.actor, made["token"]["id"])
    with pytest.raises(NotSignedInError, match="revoked"):
        enter.actor_of(app.services, made["secret"], TokenKind.API)


def test_a_token_has_an_end(app: App) -> None:
    """A token is good until before its end, and none lives longer than a year."""
    with app.services.database.transaction() as connection:
        secret, _ = tokens.issue(connection, TokenKind.API, app.person.id, by=app.person.id, now=NOW, seconds=60)
        assert tokens.known(connection, secret, NOW + timedelta(seconds=59), TokenKind.API)
        with pytest.raises(NotSignedInError, match="expired"):
            tokens.known(connection, secret, NOW + timedelta(seconds=60), TokenKind.API)
        with pytest.raises(UsageError, match="366 days"):
            tokens.issue(connection, TokenKind.API, app.person.id, by="u-1", now=NOW, seconds=400 * tokens.DAY)


def test_a_session_that_nobody_uses_ends(app: App) -> None:
    """A session ends an hour after its last use, which is noted once a minute; a token that nobody uses does not."""

    def at(minutes: float) -> tokens.Token:
        return tokens.known(connection, secret, NOW + timedelta(minutes=minutes), *TokenKind, idle=3600)

    def noted() -> datetime | None:
        found = tokens.find(connection, token.id)
        assert found
        return found.used

    with app.services.database.transaction() as connection:
        secret, token = tokens.issue(connection, TokenKind.SESSION, app.person.id, by=app.person.id, now=NOW)
        for minutes, seen in ((1, 1), (1.9, 1), (2, 2), (61.9, 61.9), (121, 121)):
            at(minutes)
            assert noted() == NOW + timedelta(minutes=seen)
        with pytest.raises(NotSignedInError, match="nobody used this session for 60 minutes"):
            at(181)
        assert token.state(NOW + timedelta(hours=13), 3600) == "expired"
        secret, token = tokens.issue(connection, TokenKind.SESSION, app.person.id, by=app.person.id, now=NOW)
        with pytest.raises(NotSignedInError, match="nobody used"):  # not once
            at(60)
        secret, token = tokens.issue(connection, TokenKind.API, app.person.id, by=app.person.id, now=NOW)
        at(60 * 24 * 300)


def test_an_idle_session_is_nobodys(app: App) -> None:
    """The settings' bound holds at the door and in the list of one's sessions."""
    with_password(app, "ivy")
    secret, token = sign_in(app, "ivy")
    ivy = enter.actor_of(app.services, secret, TokenKind.SESSION)
    assert [row["id"] for row in credentials.list_tokens(app.services, ivy)] == [token.id]
    with app.services.database.transaction() as connection:
        before = stamp(current() - timedelta(seconds=app.services.settings.login.idle))
        connection.execute(update(tokens.tokens).where(tokens.tokens.c.id == token.id).values(used=before))
    with pytest.raises(NotSignedInError, match="nobody used this session"):
        enter.actor_of(app.services, secret, TokenKind.SESSION)
    assert credentials.list_tokens(app.services, ivy) == []


@pytest.mark.parametrize("scopes", [(), ("everything",), ("read", "aply")])
def test_what_is_no_scope(scopes: tuple[str, ...]) -> None:
    """A token without a scope, or with a word that is none, is refused; the nearest one is named."""
    with pytest.raises(UsageError):
        tokens.read_scopes(scopes)


@given(secret=st.text(max_size=300))
def test_no_text_is_a_token(app: App, secret: str) -> None:
    """Whatever somebody sends, it is no token, and nothing breaks."""
    with pytest.raises(NotSignedInError):
        enter.actor_of(app.services, secret, TokenKind.API, TokenKind.SESSION, TokenKind.LINK)


# -- codes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", RFC_CODES)
def test_codes_are_those_of_the_rfc(seconds: int) -> None:
    """The codes of RFC 6238, appendix B."""
    assert totp.code_at(RFC_KEY, seconds // totp.STEP_SECONDS) == RFC_CODES[seconds]


@given(here=st.integers(10, 10**8), off=st.integers(-5, 5), last=st.integers(-5, 5))
def test_which_codes_are_taken(here: int, off: int, last: int) -> None:
    """A code is taken when it is at most a step away and later than the last one taken."""
    found = totp.step_of(RFC_KEY, totp.code_at(RFC_KEY, here + off), here * 30.0 + 7, here + last)
    codes = {totp.code_at(RFC_KEY, step) for step in range(here - 1, here + 2)}
    assert (found == here + off) == (abs(off) <= 1 and off > last) or len(codes) < 3


def test_a_code_is_taken_once(app: App) -> None:
    """With an authenticator a password alone lets nobody in, and a code that was used is refused."""
    actor = with_password(app, "tom")
    key = credentials.begin_codes(app.services, actor)["key"]
    sign_in(app, "tom")  # not confirmed: it does not count yet

    def code(ahead: int) -> str:
        return totp.code_at(key, int(datetime.now(UTC).timestamp()) // 30 + ahead)

    with pytest.raises(RefusedError):
        credentials.confirm_codes(app.services, actor, "000000" if code(0) != "000000" else "111111")
    used = code(0)
    credentials.confirm_codes(app.services, actor, used)
    for wrong in ("", used, "12345", "x" * 5000):
        with pytest.raises(NotSignedInError, match=enter.WRONG):
            sign_in(app, "tom", code=wrong)
    assert credentials.login_history(app.services, app.actor, 1)[0]["outcome"] == "code"
    _free(app)
    sign_in(app, "tom", code=code(1))
    with pytest.raises(RefusedError, match="already"):
        credentials.begin_codes(app.services, actor)


def test_no_key_lies_in_the_clear(app: App) -> None:
    """An authenticator's key is nowhere in the database's files, opens under a new key of the store, and goes with it."""
    actor = with_password(app, "uli")
    key = credentials.begin_codes(app.services, actor)["key"]

    def code(ahead: int) -> str:
        return totp.code_at(key, int(datetime.now(UTC).timestamp()) // 30 + ahead)

    credentials.confirm_codes(app.services, actor, code(0))  # and no earlier one: a step may end meanwhile
    data = b"".join(path.read_bytes() for path in app.workspace.state.glob("opsnb.db*"))
    assert key.encode() not in data
    assert base64.b32decode(key) not in data
    count = len(app.secrets())
    assert app.rotate_key()["encrypted"] == count
    sign_in(app, "uli", code=code(1))
    assert app.secrets() == [] or all(":" not in row["name"] for row in app.secrets())
    with pytest.raises(UsageError):
        app.services.secrets.require(f":codes/{actor.person.id}")
    credentials.remove_codes(app.services, app.actor, "uli", "")
    with app.services.database.transaction() as connection:
        assert app.services.secrets.store.kept(connection, f"codes/{actor.person.id}") == ""
    sign_in(app, "uli")


def test_keys_of_an_older_version_are_encrypted(app: App) -> None:
    """A key that an older version kept in the clear is encrypted at the start, and its codes are taken as before."""
    actor = with_password(app, "ute")
    row = {"person": actor.person.id, "key": RFC_KEY, "confirmed": True, "step": 0}
    with app.services.database.transaction() as connection:
        connection.execute(totp.totps.insert().values(**row))
        assert codes.encrypt(app.services, connection) == 1
        assert codes.encrypt(app.services, connection) == 0
    data = b"".join(path.read_bytes() for path in app.workspace.state.glob("opsnb.db*"))
    assert RFC_KEY.encode() not in data
    with pytest.raises(NotSignedInError, match=enter.WRONG):
        sign_in(app, "ute")
    sign_in(app, "ute", code=totp.code_at(RFC_KEY, int(datetime.now(UTC).timestamp()) // 30))


def test_a_key_of_somebody_else_does_not_open(app: App) -> None:
    """Two people's keys that were exchanged in the database open for neither: that is an altered database, and said."""
    one, two = (with_password(app, name) for name in ("ugo", "uwe"))
    for actor in (one, two):
        credentials.begin_codes(app.services, actor)
    table = secret_values
    names = [f":codes/{actor.person.id}" for actor in (one, two)]
    with app.services.database.transaction() as connection:
        sealed = [connection.execute(select(table.c.sealed).where(table.c.name == name)).scalar_one() for name in names]
        for name, other in zip(names, reversed(sealed), strict=True):
            connection.execute(update(table).where(table.c.name == name).values(sealed=other))
    with pytest.raises(AlteredError, match="does not open"):
        credentials.confirm_codes(app.services, one, "123456")


# -- throttling --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_waits_grow_and_end(failures: int, free: int) -> None:
    """No wait while failures are free; then each is at least as long as the one before, and none over 15 minutes."""
    wait = throttle.wait_after(failures, free)
    assert (wait == 0) == (failures < free)
    assert wait <= throttle.wait_after(failures + 1, free) <= throttle.LONGEST


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock by which people sign in stands still: on a busy machine a try takes longer than the first wait."""
    at = current()
    monkeypatch.setattr(enter, "current", lambda: at)


@pytest.mark.usefixtures("still")
def test_guessing_is_slow(app: App) -> None:
    """After five wrong passwords even the right one waits; the wait is said, noted, and from anywhere."""
    with_password(app, "uma")
    refused = 0
    for number in range(8):
        with pytest.raises(OpsnbError) as caught:
            sign_in(app, "uma", f"wrong password {number}", address=f"10.0.0.{number}")
        refused += "wait" in caught.value.message
    assert refused == 3
    with pytest.raises(RefusedError, match="wait"):
        sign_in(app, "uma")
    assert credentials.login_history(app.services, app.actor, 1)[0]["outcome"] == "throttled"
    _free(app)
    sign_in(app, "uma")


def test_an_address_that_tries_many_names_waits(app: App) -> None:
    """One address that tries many names waits too; others do not."""
    with app.services.database.transaction() as connection:
        said = [throttle.begin(connection, NOW, name=f"n{n}", address="192.0.2.1") for n in range(30)]
        assert not throttle.begin(connection, NOW, name="else", address="192.0.2.2")
    assert said[: throttle.FREE["address"]] == [""] * throttle.FREE["address"]
    assert all("wait" in text for text in said[throttle.FREE["address"] :])


@pytest.mark.usefixtures("still")
def test_tries_side_by_side_are_counted(app: App) -> None:
    """Sixteen wrong passwords at once: no more than the free ones are judged."""
    with_password(app, "vic")
    outcomes: list[str] = []

    def guess(number: int) -> None:
        try:
            sign_in(app, "vic", f"wrong password {number}")
        except OpsnbError as error:
            outcomes.append("wait" if "wait" in error.message else "judged")

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("judged") <= throttle.FREE["name"]
    assert len(outcomes) == 16


def _free(app: App) -> None:
    def forget(connection: Connection) -> None:
        connection.execute(throttle.throttles.delete())

    with app.services.database.transaction() as connection:
        forget(connection)
