"""What it means that no answer came from where one asked, or one that is no answer of ours; and what to do about it.

Whoever asks from elsewhere has no log and no process to look at: the address, the certificate and the network are all
that they can put right.
"""

from __future__ import annotations

import socket
import ssl

from opsnb.base.errors import OpsnbError, UnavailableError, UsageError
from opsnb.base.workspace import Workspace
from opsnb.client.logins import login_of

SHOWN = 60  # characters of an answer that is not ours


def nobody(place: Workspace, error: OSError) -> UnavailableError:
    """Return what to raise where nobody answered."""
    if not place.url:
        return UnavailableError(f"no control plane answers in {place.root}: {error}", hint="start it with: opsnb up")
    return UnavailableError(f"no control plane answers at {place.url}: {_why(error)}", hint=_next(place.url, error))


def context_of(url: str) -> ssl.SSLContext:
    """Return what a certificate must be good for, by the login of an address.

    Raises:
        UsageError: If the file with the certificates to trust is not there, or holds none.
    """
    login = login_of(url)
    if login is None or not login.ca:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=login.ca)
    except ssl.SSLError:
        raise UsageError(
            f"{login.ca}: holds no certificate", hint="--ca wants PEM: -----BEGIN CERTIFICATE-----"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{login.ca}: cannot be read: {error.strerror}", hint=f"opsnb login {url} --ca FILE, or without --ca"
        ) from None


def stranger(place: Workspace, status: int, data: bytes) -> OpsnbError:
    """Return what to raise where somebody answered who does not speak as a control plane does."""
    text = " ".join(data.decode("utf-8", "replace").split())[:SHOWN]
    if not place.url:
        return OpsnbError(f"the control plane failed: {text}", hint="see .opsnb/opsnb.log")
    return UnavailableError(
        f"{place.url} answers, and not as opsnb does: {status} {text}".rstrip(),
        hint="is it the address of: opsnb up --listen? A proxy answers so when what is behind it does not",
    )


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS is spoken there ({error.reason or error})"
    return error.strerror or str(error)


def _next(url: str, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "mismatch" in error.verify_message:
            return "use the name that the certificate is for"
        return f"where it is the right one, name who signed it: opsnb login {url} --ca FILE"
    if isinstance(error, ssl.SSLError):
        return f"is it http there? Only to this machine: {url.replace('https', 'http', 1)}"
    if isinstance(error, socket.gaierror):
        return "look at the name, and at the network of this machine"
    return "is the address right, and is it served there? opsnb up --listen HOST:PORT"
