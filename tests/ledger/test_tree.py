"""The Merkle tree gives the known roots, and every proof holds exactly for what it proves."""

from __future__ import annotations

import os
from itertools import pairwise

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.control.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

SIZES = 100 if os.environ.get("OPSNB_PROVE") else 40
# The leaves and roots of Certificate Transparency's own tests (merkle_tree_test of RFC 6962's reference code).
KNOWN_LEAVES = [
    bytes.fromhex(h)
    for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
ALL = [leaf_hash(b"entry %d" % n) for n in range(SIZES + 1)]


def flips(proof: list[bytes]) -> list[list[bytes]]:
    """Return the proof with one bit changed, once for every hash in it."""
    return [[*proof[:n], bytes([h[0] ^ (1 << n % 8)]) + h[1:], *proof[n + 1 :]] for n, h in enumerate(proof)]


def test_known_roots() -> None:
    """The roots over the reference leaves are the published ones; the empty tree is SHA-256 of nothing."""
    leaves = [leaf_hash(data) for data in KNOWN_LEAVES]
    assert [root(leaves[:n]).hex() for n in range(1, 9)] == KNOWN_ROOTS
    assert root([]) == EMPTY_ROOT == Frontier().root
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_known_proofs() -> None:
    """Inclusion and consistency proofs over the reference leaves are the published ones."""
    leaves = [leaf_hash(data) for data in KNOWN_LEAVES]
    assert [h.hex()[:16] for h in consistency_proof(leaves, 6)] == [
        "0ebc5d3437fbe2db", "ca854ea128ed050b", "d37ee418976dd957",
    ]  # fmt: skip
    assert [h.hex()[:16] for h in consistency_proof(leaves[:5], 2)] == ["5f083f0a1a33ca07", "bc1a0643b12e4d2d"]
    assert [h.hex() for h in inclusion_proof(leaves[:3], 2)] == [KNOWN_ROOTS[1]]


@pytest.mark.parametrize("size", range(1, SIZES + 1))
def test_every_inclusion_proof(size: int) -> None:
    """Every leaf of every size is proven; no proof holds after one bit is flipped, or one hash added or taken."""
    leaves, expected = ALL[:size], root(ALL[:size])
    tree = Tree(leaves)
    for index in range(size):
        proof = tree.inclusion(index)
        assert verify_inclusion(leaves[index], index, size, proof, expected)
        assert proof == inclusion_proof(leaves, index)
        for wrong in flips(proof):
            assert not verify_inclusion(leaves[index], index, size, wrong, expected)
        assert not verify_inclusion(leaves[index], index, size, [*proof, EMPTY_ROOT], expected)
        if proof:
            assert not verify_inclusion(leaves[index], index, size, proof[:-1], expected)
        assert not verify_inclusion(leaves[index], size, size, proof, expected)
        assert not verify_inclusion(ALL[SIZES], index, size, proof, expected)


@pytest.mark.parametrize("size", range(1, SIZES + 1))
def test_every_consistency_proof(size: int) -> None:
    """Every prefix of every size is proven; no proof holds after one bit is flipped in it or in either root."""
    tree, new_root = Tree(ALL[:size]), root(ALL[:size])
    for old in range(size + 1):
        old_root, proof = root(ALL[:old]), tree.consistency(old)
        assert verify_consistency(old, size, proof, old_root, new_root)
        for wrong in flips(proof):
            assert not verify_consistency(old, size, wrong, old_root, new_root)
        for wrong in flips([old_root]):
            assert not verify_consistency(old, size, proof, wrong[0], new_root)
        for wrong in flips([new_root]):
            assert old == 0 or not verify_consistency(old, size, proof, old_root, wrong[0])
        assert not verify_consistency(old, size, [*proof, EMPTY_ROOT], old_root, new_root)
        assert not verify_consistency(size + 1, size, proof, old_root, new_root)


def test_pymerkle_agrees() -> None:
    """An independent implementation gives the same roots and the same proofs."""
    other = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [b"entry %d" % n for n in range(SIZES)]
    leaves: list[bytes] = []
    for entry in entries:
        other.append_entry(entry)
        leaves.append(leaf_hash(entry))
        assert other.get_root() == root(leaves)
    for size in (1, 2, 3, 7, 8, 9, 31, SIZES):
        for index in range(size):
            path = other.prove_inclusion(index + 1, size).path
            assert set(inclusion_proof(leaves[:size], index)) == set(path) - {leaves[index]}


@given(st.lists(st.binary(max_size=40), max_size=60), st.data())
@settings(max_examples=2000 if SIZES > 40 else 60, deadline=None)
def test_frontier_is_the_tree(entries: list[bytes], data: st.DataObject) -> None:
    """The right edge that appending keeps gives the root of the whole tree, and subtrees give it too."""
    leaves = [leaf_hash(entry) for entry in entries]
    edge = Frontier()
    for leaf in leaves:
        edge = edge.push(leaf)
    assert edge.root == root(leaves) == Tree(leaves).subtree(0, len(leaves))
    old = data.draw(st.integers(0, len(leaves)))
    assert verify_consistency(old, len(leaves), consistency_proof(leaves, old), root(leaves[:old]), edge.root)


def test_frontier_refuses_nodes_that_do_not_fit() -> None:
    """A right edge has one node for each bit of its size."""
    for size, nodes in ((1, ()), (2, (EMPTY_ROOT, EMPTY_ROOT)), (-1, ()), (0, (EMPTY_ROOT,))):
        with pytest.raises(UsageError, match="frontier"):
            Frontier(size=size, nodes=nodes)


def test_proofs_outside_the_tree_are_refused() -> None:
    """There is no proof for a leaf or a prefix that the tree does not have."""
    for index in (-1, 3):
        with pytest.raises(UsageError, match="3 leaves"):
            inclusion_proof(ALL[:3], index)
    for old in (-1, 4):
        with pytest.raises(UsageError, match="3 leaves"):
            consistency_proof(ALL[:3], old)


def test_order_and_place_matter() -> None:
    """Swapping two leaves changes the root, and a node never passes as a leaf."""
    for one, two in pairwise(ALL[:4]):
        assert root([one, two]) != root([two, one])
    inner = root(ALL[:2])
    assert root([inner, ALL[2]]) == root(ALL[:3])  # equal hashes: only the leaf prefix keeps data apart
    assert leaf_hash(ALL[0] + ALL[1]) != inner
