"""Logging in with the credential that the control plane released: key, certificate, agent or password."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from paramiko import Agent, AuthenticationException, ECDSAKey, Ed25519Key, PKey, RSAKey, SSHException
from paramiko.ssh_exception import BadAuthenticationType, PasswordRequiredException

from opsnb.base.errors import UnreachableError
from opsnb.fleet.ssh.wire import Wire

KEY_KINDS: tuple[type[PKey], ...] = (Ed25519Key, ECDSAKey, RSAKey)
WRONG_PASSPHRASE = ("checkints do not match", "decrypt", "passphrase", "password")  # how paramiko says it
KEYS_KEPT = 8  # private keys that stay opened in memory while the run lasts
AGENT_KEYS = 5  # of an agent that are tried; sshd allows six attempts

_one_at_a_time = threading.Lock()


def log_in(wire: Wire, host: str, user: str, credential: Mapping[str, Any]) -> None:
    """Log in on a connection whose host key was checked.

    Args:
        wire: The connection.
        host: The host's name, for messages.
        user: Who logs in.
        credential: What the run link answered: ``kind`` and what belongs to it.

    Raises:
        UnreachableError: If the host refuses, or the credential cannot be used.
    """
    kind = credential.get("kind")
    if kind == "key":
        _with_key(wire, host, user, credential)
    elif kind == "agent":
        _with_agent(wire, host, user)
    elif kind == "password":
        _with_password(wire, host, user, str(credential["password"]))
    else:
        raise UnreachableError(f"{host}: credential of kind {kind!r} is not known", hint="key, agent or password")


def _with_key(wire: Wire, host: str, user: str, credential: Mapping[str, Any]) -> None:
    try:
        with _one_at_a_time:  # hosts share keys, and opening one with a passphrase costs a tenth of a second
            key = _private_key(str(credential["key"]), credential.get("passphrase"), credential.get("certificate"))
    except UnreachableError as error:
        raise UnreachableError(f"{host}: {error.message}", hint=error.hint) from None
    try:
        missing = wire.auth_publickey(user, key)
    except AuthenticationException as error:
        raise _refused(host, user, "this key", error) from None
    _complete(host, user, missing)


@lru_cache(maxsize=KEYS_KEPT)
def _private_key(text: str, passphrase: str | None, certificate: str | None) -> PKey:
    """Return a private key from its PEM or OpenSSH text, with its certificate.

    Raises:
        UnreachableError: If the text is not a key, or its passphrase or certificate is not the right one.
    """
    key = _opened(text, passphrase)
    if certificate:
        try:
            key.load_certificate(certificate.strip())
        except (ValueError, SSHException, IndexError):
            raise UnreachableError("the certificate does not belong to the private key") from None
    return key


def _opened(text: str, passphrase: str | None) -> PKey:
    for kind in KEY_KINDS:
        try:
            return kind.from_private_key(io.StringIO(text), password=passphrase)
        except PasswordRequiredException:
            hint = "name it in the inventory: passphrase: SECRET"
            raise UnreachableError("the private key has a passphrase and none was given", hint=hint) from None
        except (SSHException, ValueError, IndexError) as error:
            if passphrase and any(word in str(error).lower() for word in WRONG_PASSPHRASE):
                raise UnreachableError("the passphrase does not open the private key") from None
    hint = "it begins with -----BEGIN OPENSSH PRIVATE KEY-----"
    raise UnreachableError("the credential is not a private key of type ed25519, ecdsa or rsa", hint=hint)


def _with_agent(wire: Wire, host: str, user: str) -> None:
    agent = Agent()
    try:
        keys = agent.get_keys()
        if not keys:
            raise UnreachableError(f"{host}: the agent has no key", hint="ssh-add; SSH_AUTH_SOCK names the agent")
        for key in keys[:AGENT_KEYS]:
            try:
                missing = wire.auth_publickey(user, key)
            except AuthenticationException as error:
                if not wire.is_active():
                    raise _refused(host, user, "the agent's keys", error) from None
                continue
            return _complete(host, user, missing)
    finally:
        agent.close()
    raise _refused(host, user, f"the agent's {len(keys[:AGENT_KEYS])} keys", None)


def _with_password(wire: Wire, host: str, user: str, password: str) -> None:
    try:
        missing = wire.auth_password(user, password)
    except BadAuthenticationType as error:
        raise UnreachableError(
            f"{host}: sshd takes no password of user '{user}', it wants {' or '.join(error.allowed_types)}",
            hint="use a key: opsnb host show tells which credential is used",
        ) from None
    except AuthenticationException as error:
        raise _refused(host, user, "this password", error) from None
    _complete(host, user, missing)


def _complete(host: str, user: str, missing: list[str]) -> None:
    if missing:
        raise UnreachableError(
            f"{host}: user '{user}' needs one more factor ({', '.join(missing)}), which cannot be given"
        )


def _refused(host: str, user: str, what: str, error: AuthenticationException | None) -> UnreachableError:
    if error and "timeout" in str(error).lower():
        return UnreachableError(f"{host}: no answer to the login of user '{user}' in time")
    if error and ("EOF" in str(error) or "shut down" in str(error)):
        return UnreachableError(f"{host}: the host closed the connection during the login of user '{user}'")
    hint = "is the public key in the user's authorized_keys, and the user allowed (AllowUsers)?"
    if "password" in what:
        hint = "opsnb secret set puts a new one into the store; is the user allowed (AllowUsers)?"
    return UnreachableError(f"{host}: user '{user}' is refused with {what}", hint=hint)
