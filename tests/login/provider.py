"""A real provider of OpenID Connect, on authlib, in a process of its own; it can be told to misbehave.

Started as ``python provider.py PORT ISSUER CLIENT REDIRECT [CERT KEY]``. ``POST /behave`` takes what it does from then
on: claims that replace its own, another algorithm, another key, another issuer, slow and huge answers.
"""

# ruff: noqa: D102, ARG002, S105, RUF012 - authlib and http.server name the methods, and say what they are for
from __future__ import annotations

import base64
import hmac
import html
import json
import os
import ssl
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import RSAKey

SECRET = "what the provider gave opsnb"


@dataclass
class Behaviour:
    """What it does instead of what is right; empty for nothing."""

    claims: dict[str, Any] = field(default_factory=dict)  # replace its own; null takes one away
    signing: str = ""  # "none", "HS256" with the public key, "unknown" kid, "other" key under the right kid
    rotate: bool = False
    issuer: str = ""  # what discovery says
    metadata: dict[str, Any] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)  # seconds before the answer of a path, byte by byte from then
    huge: str = ""  # the path whose answer never ends
    back: dict[str, str] = field(default_factory=dict)  # what is added to the way back


@dataclass
class Client(ClientMixin):
    """opsnb, as it is known here."""

    client_id: str
    redirect: str
    id_token_signed_response_alg: str = "RS256"

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(client_secret, SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in STATE.methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    """A code that was given out."""

    code: str
    redirect_uri: str
    scope: str
    user: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class State:
    """What this provider knows."""

    def __init__(self) -> None:
        self.issuer, self.client, self.methods = "", Client("", ""), {"client_secret_basic"}
        self.behaviour = Behaviour()
        self.codes: dict[str, Code] = {}
        self.asked: dict[str, int] = {}
        self.other = RSAKey.generate_key(2048)
        self.turn_key()

    def turn_key(self) -> None:
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


STATE = State()


class Grant(AuthorizationCodeGrant):
    """The authorization code flow."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        data = request.payload.data
        STATE.codes[code] = Code(
            code, data["redirect_uri"], data["scope"], request.user, data.get("nonce", ""),
            data["code_challenge"], data["code_challenge_method"],
        )  # fmt: skip

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return STATE.codes.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        STATE.codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.user


class Tokens(OpenIDCode):
    """ID tokens, good ones and others."""

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return any(code.nonce == nonce for code in STATE.codes.values())

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return STATE.key

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        return {"iss": STATE.issuer, "aud": client.client_id}

    def get_encode_header(self, client: Client) -> dict[str, Any]:
        return {"alg": "RS256", "kid": STATE.key.kid}

    def generate_user_info(self, user: str, scope: str) -> UserInfo:
        return UserInfo(
            sub=f"sub-{user}", preferred_username=user, name=f"{user.title()} Wang", email=f"{user}@example.com",
            email_verified=True, groups=["ops"],
        )  # fmt: skip

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        good = super().encode_id_token(token, request)
        claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
        claims |= STATE.behaviour.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return _signed(claims, STATE.behaviour.signing)


def _signed(claims: dict[str, Any], how: str) -> str:
    header = {"alg": "RS256", "kid": STATE.key.kid, "typ": "JWT"}
    if how in {"none", "HS256"}:
        header["alg"] = how
        text = ".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
        public = STATE.key.as_pem(private=False)
        return f"{text}." + ("" if how == "none" else _b64(hmac.digest(public, text.encode(), "sha256")))
    if how == "unknown":
        header["kid"] = "nobody-knows-it"
    key = STATE.other if how in {"unknown", "other"} else STATE.key
    return jwt.encode(header, claims, key)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Request(OAuth2Request):
    """A request as authlib wants it."""

    def __init__(self, method: str, uri: str, form: dict[str, str], headers: Any) -> None:
        super().__init__(method, uri, headers=headers)
        query = {name: values[0] for name, values in parse_qs(urlsplit(uri).query).items()}
        self._args, self._form = query, form
        self.payload = BasicOAuth2Payload({**query, **form})

    @property
    def args(self) -> dict[str, str]:
        return self._args

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Server(AuthorizationServer):
    """authlib's server, without a framework."""

    def query_client(self, client_id: str) -> Client | None:
        return STATE.client if client_id == STATE.client.client_id else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        return None

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any, Any]:
        return status, body, headers

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        return None


SERVER = Server()
SERVER.register_grant(Grant, [Tokens(require_nonce=True), CodeChallenge(required=True)])
SERVER.register_token_generator("default", BearerTokenGenerator(lambda **_: os.urandom(16).hex()))


class Handler(BaseHTTPRequestHandler):
    """HTTP."""

    def do_GET(self) -> None:
        """Serve pages, discovery and keys."""
        path = urlsplit(self.path).path
        if path == "/.well-known/openid-configuration":
            return self._json(path, _metadata())
        if path == "/keys":
            return self._json(path, {"keys": [STATE.key.as_dict(private=False)]})
        if path == "/asked":
            return self._json(path, STATE.asked)
        if path == "/authorize":
            SERVER.get_consent_grant(self._request({}))
            where = html.escape(self.path)
            page = f'<form method="post" action="{where}"><input name="user"><button>Sign in there</button></form>'
            return self._send(200, page.encode(), {"content-type": "text/html"})
        return self._send(404, b"{}", {})

    def do_POST(self) -> None:
        """Take a sign-in, a code, or orders."""
        path = urlsplit(self.path).path
        data = self.rfile.read(int(self.headers.get("content-length", "0")))
        if path == "/behave":
            STATE.behaviour = Behaviour(**json.loads(data))
            if STATE.behaviour.rotate:
                STATE.turn_key()
            return self._json(path, {})
        form = {name: values[0] for name, values in parse_qs(data.decode()).items()}
        if path == "/authorize":
            request = self._request({})
            grant = SERVER.get_consent_grant(request)
            status, _, headers = SERVER.create_authorization_response(request, grant_user=form["user"], grant=grant)
            found = dict(headers)
            for name, value in STATE.behaviour.back.items():
                found["Location"] += f"&{name}={value}"
            return self._send(status, b"", found)
        status, body, headers = SERVER.create_token_response(self._request(form))
        return self._json(path, body, status)

    def _request(self, form: dict[str, str]) -> Request:
        return Request(self.command, f"{STATE.issuer}{self.path}", form, self.headers)

    def _json(self, path: str, value: Any, status: int = 200) -> None:
        STATE.asked[path] = STATE.asked.get(path, 0) + 1
        behaviour = STATE.behaviour
        data = json.dumps(value).encode()
        if behaviour.huge == path:
            data = b'{"x": "' + b"x" * 5_000_000 + b'"}'
        if path not in behaviour.slow:
            return self._send(status, data, {"content-type": "application/json"})
        self.send_response(status)
        self.end_headers()
        for byte in data:
            time.sleep(behaviour.slow[path])
            self.wfile.write(bytes((byte,)))
        return None

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _metadata() -> dict[str, Any]:
    said = {
        "issuer": STATE.behaviour.issuer or STATE.issuer, "authorization_endpoint": f"{STATE.issuer}/authorize",
        "token_endpoint": f"{STATE.issuer}/token", "jwks_uri": f"{STATE.issuer}/keys",
        "response_types_supported": ["code"], "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": sorted(STATE.methods),
    }  # fmt: skip
    return {**said, **STATE.behaviour.metadata}


def main() -> None:
    """Serve."""
    port, STATE.issuer, client, redirect, *tls = sys.argv[1:]
    STATE.client = Client(client, redirect)
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # it is this machine
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.handle_error = lambda *_: None  # somebody hung up on a slow or endless answer: that is what they should do
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
