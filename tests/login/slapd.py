"""A real slapd on loopback with people in it, and a gate in front of it that can be slow or cut: for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from papers import certificate
from places import wait_for
from ports import free_port

SLAPD = "/usr/sbin/slapd"
BASE = "ou=people,dc=example,dc=com"
OPEN = "ou=open,dc=example,dc=com"  # may be searched by anybody
OWN_DN, OWN_PASSWORD = "cn=opsnb,dc=example,dc=com", "what opsnb searches with"
PASSWORD = "the directory's own word"  # noqa: S105
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile {root}/slapd.pid
argsfile {root}/slapd.args
TLSCACertificateFile {cert}
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
database mdb
suffix dc=example,dc=com
directory {root}/data
maxsize 10485760
overlay ppolicy
ppolicy_default cn=policy,dc=example,dc=com
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=open,dc=example,dc=com" by * read
access to * by dn.exact="{own}" read by * none
"""
ROOT = f"""
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=open,dc=example,dc=com
objectClass: organizationalUnit
ou: open

dn: {OWN_DN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: opsnb
userPassword: {OWN_PASSWORD}

dn: cn=policy,dc=example,dc=com
objectClass: organizationalRole
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
"""


def person(name: str, *more: str, rdn: str = "", below: str = BASE) -> str:
    """Return somebody's entry."""
    lines = [
        f"dn: {rdn or f'uid={name}'},{below}", "objectClass: inetOrgPerson", f"uid: {name}", f"cn: {name.title()} Li",
        "sn: Li", f"mail: {name}@example.com", f"userPassword: {PASSWORD}", *more,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


class Slapd:
    """A directory.

    Args:
        root: Its folder.
        entries: People in LDIF.
    """

    def __init__(self, root: Path, *entries: str) -> None:
        self.port, self.tls_port = free_port(), free_port()
        (root / "data").mkdir(parents=True)
        self.cert, key = certificate(root)
        config = root / "slapd.conf"
        config.write_text(CONFIG.format(root=root, cert=self.cert, key=key, own=OWN_DN), encoding="utf-8")
        people = root / "people.ldif"
        people.write_text("\n".join((ROOT, *entries)), encoding="utf-8")
        subprocess.run(["/usr/sbin/slapadd", "-q", "-f", config, "-l", people], check=True, capture_output=True)
        places = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        self._log = (root / "slapd.log").open("wb")
        self.process = subprocess.Popen(
            [SLAPD, "-f", config, "-h", places, "-d", "0"], stdout=self._log, stderr=self._log
        )
        wait_for(lambda: answers(self.port) and answers(self.tls_port), 20, self.process)  # type: ignore[arg-type]

    @property
    def settings(self) -> dict[str, object]:
        """Settings that lead here, with TLS."""
        return {
            "url": f"ldaps://127.0.0.1:{self.tls_port}", "base": BASE, "bind": OWN_DN, "password": "ldap/opsnb",
            "ca": str(self.cert), "new": True, "answer": "3s",
        }  # fmt: skip

    @contextlib.contextmanager
    def asleep(self):
        """Have it answer nobody for a while."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(timeout=20)
        self._log.close()


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Gate:
    """Stands in front of a port: hands on, hangs up behind so many messages, or sends byte by byte.

    Args:
        port: What it stands in front of; 0 where ``said`` is all that is ever answered.
        messages: After so many from the client it hangs up; 0 for never.
        pause: Seconds between two bytes to the client; 0 for as they come.
        said: What is answered at once instead.
    """

    def __init__(self, port: int, *, messages: int = 0, pause: float = 0.0, said: bytes = b"") -> None:
        self._behind, self._messages, self._pause, self._said = port, messages, pause, said
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if self._said:
                client.recv(65536)
                client.sendall(self._said)
                client.recv(65536)
                return
            with socket.create_connection(("127.0.0.1", self._behind)) as server:
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
                count = 0
                while data := client.recv(65536):
                    count += 1
                    if self._messages and count > self._messages:
                        return
                    server.sendall(data)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not self._pause:
                    client.sendall(data)
                    continue
                for byte in data:
                    client.sendall(bytes((byte,)))
                    time.sleep(self._pause)
