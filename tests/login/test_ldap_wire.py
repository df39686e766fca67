"""What is sent to a directory, and what may come back: BER, filters, and answers that are none."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from login.slapd import Gate
from opsnb.base.errors import SettingsError
from opsnb.control.people import ldap_ber as ber
from opsnb.control.people.ldap_filter import parse
from opsnb.control.people.ldap_wire import Line, LineError

OK_TLS = bytes.fromhex("300c02010178070a010004000400")  # an ExtendedResponse: success


@given(st.lists(st.tuples(st.sampled_from([0x02, 0x04, 0x30, 0xA3, 0x80]), st.binary(max_size=300)), max_size=5))
def test_what_is_written_is_read(parts: list[tuple[int, bytes]]) -> None:
    """Values that are written one after the other are read so, whatever is in them."""
    assert list(ber.values(b"".join(ber.tlv(tag, body) for tag, body in parts))) == parts


@given(st.integers(0, 2**63 - 1))
def test_numbers(value: int) -> None:
    """A whole number is read as it was written."""
    assert ber.whole(ber.take(ber.values(ber.number(value)), ber.INTEGER)) == value


@given(st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    """Whatever comes is values or a BrokenError, never anything else."""
    with contextlib.suppress(ber.BrokenError):
        for _, body in ber.values(data):
            ber.whole(body)


@pytest.mark.parametrize(
    "text",
    [
        "(uid={name})", "(objectClass=*)", "(!(uid={name}))", "(&(a=1)(|(b>=2)(c<=3)(d~=4)))", "(mail={name}@*.x)",
        "(cn=a*{name}*)", "(cn=\\2a\\28{name}\\29)", "(memberOf:1.2.840.113556.1.4.1941:=cn=x)", "(ou:dn:=a)",
        "(:dn:2.4.6:={name})", "(cn=*a*b*)", "(cn=*)", "(|(uid={name})(mail={name}@x))",
    ],
)  # fmt: skip
def test_filters_are_those_of_others(text: str) -> None:
    """Each kind of filter (RFC 4515) is sent byte for byte as OpenLDAP's ldapsearch sends it."""
    assert parse(text).of("bob") in searched(text.replace("{name}", "bob"))


def searched(filter_: str) -> bytes:
    """Return what ldapsearch sends when it searches."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = ["ldapsearch", "-x", "-H", f"ldap://127.0.0.1:{listener.getsockname()[1]}", "-b", "dc=x", filter_]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(bytes.fromhex("300c02010161070a010004000400"))
            found = client.recv(65536)
        process.wait(timeout=10)
    return found


@given(st.text())
def test_a_name_is_a_value(name: str) -> None:
    """Whatever a name holds, the filter has the same form, and the name stands in it as one value, byte for byte."""
    tag, body = next(ber.values(parse("(&(objectClass=person)(uid={name}))").of(name)))
    _, (kind, inside) = list(ber.values(body))
    values = list(ber.values(inside))
    assert (tag, kind, [v for _, v in values]) == (0xA0, 0xA3, [b"uid", name.encode("utf-8", "surrogatepass")])


@pytest.mark.parametrize(
    "text",
    ["", "uid={name}", "(uid={name}", "(uid={name}))", "(&)", "((uid={name}))", "(=x)", "(uid=\\zz)", "(:=x)", "()",
     "(!)", "(" * 50 + "uid=x" + ")" * 50, "(&" * 30 + "(a=b)" + ")" * 30, "(cn=**)"],
)  # fmt: skip
def test_what_is_no_filter(text: str) -> None:
    """A filter that is none is refused when the settings are read, with what is wrong."""
    with pytest.raises(SettingsError, match="user_filter"):
        parse(text)


@pytest.fixture
def saying(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of somebody who says one thing."""
    gate = Gate(0, said=request.param)
    yield gate.port
    gate.close()


@pytest.mark.parametrize(
    "saying",
    [
        b"HTTP/1.0 200 OK\r\n\r\n", b"\x30\x80\x02\x01\x01\x00\x00", b"\x30\x84\x7f\xff\xff\xff", b"\x30\x89" + b"\xff" * 9,
        b"\x30\x0c\x02\x01\x09\x61\x07\x0a\x01\x00\x04\x00\x04\x00",  # answers what was not asked
        b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00",  # is another answer
        b"\x30\x05\x02\x01\x01\x61\x00", b"\x30\x00", b"\x30\x03\x02\x01\x01", b"\x00" * 50, b"\x30\x02\x02\x00",
    ],
    indirect=True,
)  # fmt: skip
def test_an_answer_that_is_none(saying: int) -> None:
    """Whoever does not speak LDAP is an error, at once, and lets nobody in."""
    begun = time.monotonic()
    with Line("127.0.0.1", saying, 30) as line, pytest.raises(LineError):
        line.bind(b"cn=x", b"secret")
    assert time.monotonic() - begun < 10  # and not after its bound


@pytest.mark.parametrize("saying", [OK_TLS + OK_TLS], indirect=True)
def test_nothing_in_the_clear_after_starttls(saying: int) -> None:
    """What was slipped in between StartTLS and TLS is never taken for an answer."""
    with Line("127.0.0.1", saying, 5) as line, pytest.raises(LineError, match="in the clear"):
        line.secure("", start=True)


def test_no_password_is_no_proof() -> None:
    """A bind without a password, or without a name, is never sent: it would succeed as nobody."""
    gate = Gate(0, said=bytes.fromhex("300c02010161070a010004000400"))
    with Line("127.0.0.1", gate.port, 5) as line:
        for dn, password in ((b"cn=x", b""), (b"", b"x")):
            with pytest.raises(ValueError, match="proves nothing"):
                line.bind(dn, password)
        assert line.bind(b"cn=x", b"x")
    gate.close()
