"""Sign-in with a provider of OpenID Connect: the address that a browser is sent to, and the proof that it brings back.

Rules:

* The authorization code flow with PKCE (S256), ``state`` and ``nonce``; the address to return to is the settings'.
* The provider is who the settings say: its discovery names the same issuer, letter by letter, and everything goes by
  TLS unless it is this machine.
* The ID token is signed by one of the provider's public keys with an algorithm made for such keys: ``none`` and the
  symmetric ones are none. It is for us, from there, of now, and of this sign-in.
* Somebody is known by issuer and ``sub``, never by a name or an address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from opsnb.base.errors import OpsnbError, UnavailableError
from opsnb.base.signin import Oidc
from opsnb.control.people.asking import Answer, AskingError, ask
from opsnb.control.people.identities import Found, Identity, Source
from opsnb.control.people.ldap import meaning

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
PUBLIC = frozenset({"RSA", "EC", "OKP"})  # kinds of keys; a symmetric one proves nothing
DISCOVERY = "/.well-known/openid-configuration"
KEPT_SECONDS = 3600.0  # how long what a provider says of itself is believed
MOST_KEYS = 50
MOST_FETCHES, PER_SECONDS = 5, 60.0  # of keys: tokens of unknown keys must not make us ask for ever
MOST_TOKEN = 64 * 1024
MOST_SUBJECT = 255
LEEWAY = 60.0  # seconds that clocks may differ
OLDEST = 600.0  # seconds since a token was made
OK = 200
AT_A_TIME = 8  # questions to the provider; a slow one must not hold every thread that serves
TURN_SECONDS = 1.0  # how long another one waits for its turn
_TURNS = threading.BoundedSemaphore(AT_A_TIME)


class WrongError(Exception):
    """What came back proves nothing. The text is for the log."""


@dataclass
class Provider:
    """The provider that the settings name, and what it said of itself.

    Args:
        settings: They.
        root: What a relative path of certificates is relative to.
        secret: Returns the secret that it gave us.
    """

    settings: Oidc
    root: Path
    secret: Callable[[], str]
    _metadata: Mapping[str, Any] = field(default_factory=dict)
    _keys: list[Mapping[str, Any]] = field(default_factory=list)
    _read_at: float = 0.0
    _fetches: deque[float] = field(default_factory=deque)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def address(self, state: str, nonce: str, verifier: str) -> str:
        """Return where a browser goes to sign in.

        Raises:
            AskingError: If the provider cannot be asked, or is another one.
        """
        there = self.settings
        query = {
            "response_type": "code", "client_id": there.client_id, "redirect_uri": there.redirect,
            "scope": there.scopes, "state": state, "nonce": nonce, "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }  # fmt: skip
        where = self._endpoint("authorization_endpoint")
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"

    def check_issuer(self, given: str) -> None:
        """Refuse an answer that names another issuer, or none where the provider always names itself (RFC 9207).

        Raises:
            WrongError: If it does.
        """
        always = self._said().get("authorization_response_iss_parameter_supported") is True
        if (given or always) and given != self.settings.issuer:
            raise WrongError(f"the answer is of '{given[:200]}'")

    def redeem(self, code: str, nonce: str, verifier: str, now: float) -> Found:
        """Return who signed in there, for the code that a browser brought; it brings none of whom they do not let in.

        Raises:
            AskingError: If the provider cannot be asked.
            WrongError: If the code, or what is given for it, is not good.
        """
        if not code:
            raise WrongError("no code came back")
        answer = self._token(code, verifier)
        token = answer.value.get("id_token")
        if answer.status != OK or not isinstance(token, str) or len(token) > MOST_TOKEN:
            said = str(answer.value.get("error", ""))[:100]
            if said == "invalid_grant":
                raise WrongError("the provider does not know the code")
            raise AskingError(f"no ID token is given for a code: {answer.status} {said}")
        claims = self._verified(token)
        check_claims(claims, self.settings, nonce, now)
        return self._found(claims)

    def _token(self, code: str, verifier: str) -> Answer:
        there = self.settings
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": there.redirect,
            "code_verifier": verifier,
        }  # fmt: skip
        login = None
        if there.client_secret:
            try:
                secret = self.secret()
            except OpsnbError as error:
                raise AskingError(f"the secret that the provider gave: {error}") from error
            ways = self._said().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            if "client_secret_basic" in ways:
                login = (there.client_id, secret)
            else:
                form |= {"client_id": there.client_id, "client_secret": secret}
        else:
            form["client_id"] = there.client_id
        return self._asked(self._endpoint("token_endpoint"), form=form, login=login)

    def _verified(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token that one of the provider's keys has signed; its keys may be others by now."""
        errors, jwt = _jose()
        for fresh in (False, True):
            try:
                return dict(jwt.decode(token, self._key_set(fresh=fresh), algorithms=ALGORITHMS).claims)
            except errors.InvalidKeyIdError as error:
                if fresh:
                    raise WrongError(f"the ID token's key is not the provider's: {error}") from error
            except (errors.JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
                raise WrongError(f"the ID token does not hold: {type(error).__name__}: {error}") from error
        raise AssertionError

    def _key_set(self, *, fresh: bool) -> Any:
        from joserfc.jwk import JWKRegistry, KeySet

        errors, _ = _jose()
        found = []
        for row in self._public_keys(fresh=fresh):
            try:
                found.append(JWKRegistry.import_key(dict(row)))
            except (errors.JoseError, ValueError, TypeError, KeyError):
                continue  # one that nobody can read signs nothing
        if not found:
            raise AskingError(f"{self.settings.issuer} publishes no public key to sign with")
        return KeySet(found)

    def _public_keys(self, *, fresh: bool) -> list[Mapping[str, Any]]:
        where = self._endpoint("jwks_uri")
        with self._turn:
            if self._keys and not (fresh and self._may_fetch()):
                return self._keys
        rows = self._asked(where).value.get("keys")
        if not isinstance(rows, list) or len(rows) > MOST_KEYS:
            raise AskingError(f"{where}: has no list of at most {MOST_KEYS} keys")
        with self._turn:
            self._fetches.append(time.monotonic())
            self._keys = [
                row for row in rows
                if isinstance(row, dict) and row.get("kty") in PUBLIC and row.get("use", "sig") == "sig"
            ]  # fmt: skip
            return self._keys

    def _may_fetch(self) -> bool:
        while self._fetches and self._fetches[0] < time.monotonic() - PER_SECONDS:
            self._fetches.popleft()
        return len(self._fetches) < MOST_FETCHES

    def _said(self) -> Mapping[str, Any]:
        """Return what the provider says of itself."""
        with self._turn:
            if self._metadata and time.monotonic() - self._read_at < KEPT_SECONDS:
                return self._metadata
        there = self.settings
        answer = self._asked(there.issuer.rstrip("/") + DISCOVERY)
        if answer.status != OK or answer.value.get("issuer") != there.issuer:
            found = str(answer.value.get("issuer"))[:200]
            raise AskingError(f"{there.issuer}: answers {answer.status} and calls itself '{found}'")
        with self._turn:
            self._metadata, self._read_at, self._keys = answer.value, time.monotonic(), []
        return answer.value

    def _endpoint(self, name: str) -> str:
        found = self._said().get(name)
        if not isinstance(found, str) or not found.isprintable() or "#" in found:
            raise AskingError(f"{self.settings.issuer}: names no {name}")
        if not found.startswith("https://") and not self.settings.issuer.startswith("http://"):
            raise AskingError(f"{self.settings.issuer}: its {name} is not https")
        return found

    def _asked(
        self, url: str, form: Mapping[str, str] | None = None, login: tuple[str, str] | None = None
    ) -> Answer:  # fmt: skip
        ca = str(self.root / self.settings.ca) if self.settings.ca else ""
        if not _TURNS.acquire(timeout=TURN_SECONDS):
            raise AskingError(f"{url}: {AT_A_TIME} questions wait for an answer already")
        try:
            return ask(url, ca=ca, seconds=self.settings.answer, form=form, login=login)
        finally:
            _TURNS.release()

    def _found(self, claims: Mapping[str, Any]) -> Found:
        there = self.settings
        held = claims.get(there.groups)
        groups = {g for g in held if isinstance(g, str)} if isinstance(held, list) else set()
        roles, mapped, department = meaning(there.group, groups)
        verified = claims.get("email_verified") is True or there.mail != "email"
        return Found(
            identity=Identity(source=Source.OIDC, authority=there.issuer, subject=claims["sub"]),
            name=_text(claims, there.name), display=_text(claims, there.display),
            mail=_text(claims, there.mail) if verified else "", roles=roles, mapped=mapped, department=department,
        )  # fmt: skip


def check_claims(claims: Mapping[str, Any], settings: Oidc, nonce: str, now: float) -> None:
    """Refuse an ID token that is not for us, from there, of now and of this sign-in (OpenID Connect Core, 3.1.3.7).

    Raises:
        WrongError: Says what is wrong with it.
    """
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    expires, made, begins = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
    subject = claims.get("sub")
    wrong = {
        "iss": claims.get("iss") != settings.issuer,
        "aud": settings.client_id not in meant,
        "azp": party != settings.client_id if party is not None or len(meant) > 1 else False,
        "exp": expires is None or now >= expires + LEEWAY,
        "iat": made is None or not now - OLDEST <= made <= now + LEEWAY,
        "nbf": "nbf" in claims and (begins is None or begins > now + LEEWAY),
        "nonce": not _same(claims.get("nonce"), nonce),
        "sub": not isinstance(subject, str) or not 0 < len(subject) <= MOST_SUBJECT or not subject.isprintable(),
    }
    if found := [name for name, bad in wrong.items() if bad]:
        raise WrongError(f"the ID token is not good: {', '.join(found)}")


def challenge_of(verifier: str) -> str:
    """Return what is said beforehand of a secret that is said later (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("utf-8", "replace")).digest()).rstrip(b"=").decode()


def _same(found: Any, wanted: str) -> bool:
    return isinstance(found, str) and hmac.compare_digest(found.encode("utf-8", "replace"), wanted.encode())


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return float(found)


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""


def _jose() -> tuple[Any, Any]:
    """Return joserfc's errors and its JWT: an extra, and imported when somebody signs in."""
    try:
        from joserfc import errors, jwt
    except ImportError as error:
        raise UnavailableError(
            f"sign-in with a provider needs what is not installed: {error}", hint="pip install 'opsnb[oidc]'"
        ) from error
    return errors, jwt
