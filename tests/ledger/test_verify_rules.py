"""The rules inside verify.py against independent ones: Ed25519, the tree, canonical JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.canonical import canonical, digestible
from opsnb.control.ledger import tree, verify

# RFC 8032 section 7.1, tests 1 to 3: public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]  # fmt: skip
SMALL_ORDER = [  # encodings of the eight points of small order, and non-canonical forms of them
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_rfc_8032(public: str, message: str, signature: str) -> None:
    """The RFC's signatures verify, and not with S + L, which is the same number to a careless reader."""
    key, text, value = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verify.ed25519_verify(key, text, value)
    assert not verify.ed25519_verify(key, text + b"x", value)
    s = int.from_bytes(value[32:], "little") + verify.L
    assert not verify.ed25519_verify(key, text, value[:32] + s.to_bytes(32, "little"))
    for short in (value[:-1], value + b"\0", b"", value[:32]):
        assert not verify.ed25519_verify(key, text, short)
        assert not verify.ed25519_verify(key[:-1], text, value)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 511), st.integers(0, 255))
def test_ed25519_agrees_with_cryptography(message: bytes, bit: int, key_bit: int) -> None:
    """What cryptography signs is accepted; one changed bit in signature or key is not."""
    private = Ed25519PrivateKey.generate()
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert verify.ed25519_verify(public, message, signature)
    changed = (int.from_bytes(signature, "little") ^ (1 << bit)).to_bytes(64, "little")
    assert not verify.ed25519_verify(public, message, changed)
    other = (int.from_bytes(public, "little") ^ (1 << key_bit)).to_bytes(32, "little")
    assert not verify.ed25519_verify(other, message, signature)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_keys_of_small_order_are_refused(public: str) -> None:
    """A key under which one signature fits every message is no key."""
    identity = b"\1" + bytes(31)
    for r in (identity, bytes.fromhex(public)):
        assert not verify.ed25519_verify(bytes.fromhex(public), b"anything", r + bytes(32))


@pytest.mark.parametrize(
    ("r", "holds"),
    [("01" + "00" * 31, True), ("01" + "00" * 30 + "80", False), ("ee" + "ff" * 30 + "7f", False)],
)
def test_other_forms_of_a_point_are_refused(r: str, holds: bool) -> None:  # noqa: FBT001 - a case
    """A signature whose R is written in another form than its own is refused, though the equation holds."""
    private = Ed25519PrivateKey.generate()
    public, message, form = private.public_key().public_bytes_raw(), b"text", bytes.fromhex(r)
    secret = bytearray(hashlib.sha512(private.private_bytes_raw()).digest()[:32])
    secret[0], secret[31] = secret[0] & 248, secret[31] & 127 | 64
    k = int.from_bytes(hashlib.sha512(form + public + message).digest(), "little")
    s = k * int.from_bytes(secret, "little") % verify.L  # R is the identity: S alone carries the signature
    assert verify.ed25519_verify(public, message, form + s.to_bytes(32, "little")) == holds


@pytest.mark.parametrize("size", range(1, 34))
def test_tree_and_proofs(size: int) -> None:
    """verify.py's root and proofs are those of the ledger's tree; no proof holds elsewhere or one hash off."""
    leaves = [tree.leaf_hash(bytes([n])) for n in range(size)]
    root, whole = tree.root(leaves), tree.Tree(leaves)
    assert verify._root(list(leaves)) == root
    for index, leaf in enumerate(leaves):
        proof = whole.inclusion(index)
        assert verify._proven(leaf, index, size, proof) == root
        for wrong in ([*proof, leaf], proof[:-1], proof[1:]):
            if wrong != proof:
                with pytest.raises((ValueError, IndexError)):
                    assert verify._proven(leaf, index, size, wrong) == b"one hash too many or too few is an error"
        other = (index + 1) % size
        if other != index:
            with contextlib.suppress(ValueError, IndexError):
                assert verify._proven(leaf, other, size, proof) != root
        for place, node in enumerate(proof):
            bad = [*proof[:place], bytes([node[0] ^ 1]) + node[1:], *proof[place + 1 :]]
            assert verify._proven(leaf, index, size, bad) != root


def test_the_empty_tree() -> None:
    """The root over nothing is SHA-256 of nothing."""
    assert verify._root([]) == tree.EMPTY_ROOT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_canonical_form(value: object) -> None:
    """However a manifest was written, the bytes that digests are taken of are those of the control plane."""
    wanted = canonical(digestible(value))
    for written in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False), wanted.decode()):
        assert verify._canonical(verify._load(written.encode())) == wanted
