"""Signed notes and checkpoints are those of C2SP and of Go's sumdb/note, byte for byte."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import AlteredError, OpsnbError, UsageError
from opsnb.control.ledger.note import (
    Checkpoint,
    SigningKey,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_note,
)

# The example of golang.org/x/mod/sumdb/note.
PETER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_NOTE = (
    PETER_TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6"
    "RyyBwJnAM=\n"
).encode()
# The example of c2sp.org/signed-note.
FOO_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
    "OBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
KEY = SigningKey.generate("log.example/a")
HEAD = Checkpoint(origin="log.example/a", size=7, root=bytes(range(32)))


def test_go_example() -> None:
    """Signing gives the bytes of Go's example, and its key and note are read."""
    key = SigningKey.from_text(PETER)
    assert key.text == PETER
    assert key.verifier.text == PETER_KEY
    assert key.sign(PETER_TEXT) == PETER_NOTE
    assert verify_note(PETER_NOTE, parse_vkey(PETER_KEY)) == PETER_TEXT


def test_c2sp_example() -> None:
    """The specification's example verifies."""
    assert verify_note(FOO_NOTE, parse_vkey(FOO_KEY)) == "This is an example message.\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2l",
        "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        PETER,
    ],
)
def test_damaged_keys_are_refused(text: str) -> None:
    """A key whose name, hash, type or bytes were changed is no key."""
    with pytest.raises(UsageError):
        parse_vkey(text)


def test_a_signing_key_never_shows_itself() -> None:
    """Neither ``repr`` nor the message about a damaged key holds a byte of the private key."""
    secret = KEY.text.split("+", 4)[4]  # PRIVATE+KEY+name+hash+base64, and base64 may hold a plus
    assert len(secret) > 40
    assert secret not in repr(KEY)
    with pytest.raises(UsageError) as caught:
        SigningKey.from_text(KEY.text.replace("log.example/a", "log.example/b"))
    assert secret not in str(caught.value)


def test_one_changed_bit_anywhere_is_found() -> None:
    """No bit of a signed checkpoint can change unnoticed."""
    note = KEY.sign(HEAD.text)
    assert verify_checkpoint(note, KEY.verifier) == HEAD
    for at in range(len(note)):
        for bit in range(8):
            wrong = note[:at] + bytes([note[at] ^ (1 << bit)]) + note[at + 1 :]
            with pytest.raises((UsageError, AlteredError)):
                verify_checkpoint(wrong, KEY.verifier)


def test_witnesses_are_passed_over_and_cannot_stand_in() -> None:
    """Signatures of unknown keys neither help nor hurt; a bad one of the known key spoils the note."""
    note = KEY.sign(HEAD.text)
    witness = SigningKey.generate("witness.example").sign(HEAD.text).split(b"\n\n")[1]
    assert verify_checkpoint(note + witness, KEY.verifier) == HEAD
    with pytest.raises(AlteredError, match="not signed by"):
        verify_checkpoint(note.split(b"\n\n")[0] + b"\n\n" + witness, KEY.verifier)
    forged = base64.b64encode(KEY.verifier.hash + bytes(64))
    with pytest.raises(AlteredError, match="does not fit"):
        verify_checkpoint(note + "— log.example/a ".encode() + forged + b"\n", KEY.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "log.example/a\n7\n",
        "log.example/a\n07\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "log.example/a\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "log.example/a\n7\n" + base64.b64encode(bytes(31)).decode() + "\n",
        HEAD.text + "extension\n",
        HEAD.text.rstrip("\n"),
        "\n" + HEAD.text,
    ],
)
def test_other_checkpoints_are_refused(text: str) -> None:
    """A checkpoint has three lines and one form."""
    with pytest.raises(UsageError):
        parse_checkpoint(text)


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    """A key signs for the ledger whose name it carries only."""
    note = KEY.sign(Checkpoint(origin="log.example/b", size=1, root=bytes(32)).text)
    with pytest.raises(AlteredError, match=r"log\.example/b"):
        verify_checkpoint(note, KEY.verifier)


@pytest.mark.parametrize("text", ["no newline", "tab\there\n", "nul\0\n"])
def test_only_texts_are_signed(text: str) -> None:
    """A text without a final newline or with a control character is not signed."""
    with pytest.raises(UsageError):
        KEY.sign(text)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode) | st.just(FOO_NOTE * 2000))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    """Bytes from anywhere never raise anything but our own errors."""
    with suppress(OpsnbError):
        parse_note(data)
