"""The Merkle tree of RFC 6962, section 2: hashes, roots, proofs, and the right edge that makes appending cheap.

Rules without I/O:

* A leaf is ``SHA-256(0x00 ‖ data)``, a node ``SHA-256(0x01 ‖ left ‖ right)``, the empty tree ``SHA-256("")``; the two
  prefixes keep a node from being passed off as a leaf.
* A tree of ``n`` leaves splits at the largest power of two below ``n``; only its right edge changes when it grows.
* An inclusion proof shows that a leaf is under a root; a consistency proof shows that an older tree is a prefix of a
  newer one. Both are checked as in RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from opsnb.base.errors import UsageError

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte hash of a leaf that holds ``data``."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of the node over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """The right edge of a tree: all that appending needs, O(log n) hashes.

    Args:
        size: Number of leaves.
        nodes: Roots of the complete subtrees, the largest (leftmost) first; one for each bit set in ``size``.

    Raises:
        UsageError: If the number of nodes does not fit the size.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            wanted = self.size.bit_count()
            raise UsageError(f"a frontier of size {self.size} has {wanted} nodes, found {len(self.nodes)}")

    def push(self, leaf: bytes) -> Frontier:
        """Return the frontier after appending the leaf hash ``leaf``."""
        nodes, rest = list(self.nodes), self.size
        while rest & 1:
            leaf = node_hash(nodes.pop(), leaf)
            rest >>= 1
        return Frontier(size=self.size + 1, nodes=(*nodes, leaf))

    @property
    def root(self) -> bytes:
        """The root of the tree, 32 bytes."""
        if not self.nodes:
            return EMPTY_ROOT
        *rest, root = self.nodes
        for node in reversed(rest):
            root = node_hash(node, root)
        return root


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, 32 bytes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.push(leaf)
    return frontier.root


class Tree:
    """All complete subtrees over a sequence of leaf hashes: n hashes once, then O(log n) for each proof."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def subtree(self, start: int, end: int) -> bytes:
        """Return the root over leaves ``start`` to ``end`` (exclusive), as RFC 6962 splits them."""
        if start == end:
            return EMPTY_ROOT
        width = end - start
        if width & (width - 1) == 0 and start % width == 0:
            return self._levels[width.bit_length() - 1][start // width]
        middle = start + _split(width)
        return node_hash(self.subtree(start, middle), self.subtree(middle, end))

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion proof of leaf ``index``, the lowest sibling first.

        Raises:
            UsageError: If the tree has no such leaf.
        """
        if not 0 <= index < self.size:
            raise UsageError(f"the tree has {self.size} leaves; there is no leaf {index}")
        proof: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                proof.append(self.subtree(middle, end))
                end = middle
            else:
                proof.append(self.subtree(start, middle))
                start = middle
        return proof[::-1]

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that the first ``old`` leaves are a prefix of this tree; empty for 0 and for all.

        Raises:
            UsageError: If the tree has fewer leaves.
        """
        if not 0 <= old <= self.size:
            raise UsageError(f"the tree has {self.size} leaves; it has no prefix of {old}")
        if old in {0, self.size}:
            return []
        proof: list[bytes] = []
        start, end, known = 0, self.size, True
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self.subtree(middle, end))
                end = middle
            else:
                proof.append(self.subtree(start, middle))
                start, known = middle, False
        if not known:  # the old tree's last subtree is not its root, so the reader needs it
            proof.append(self.subtree(start, end))
        return proof[::-1]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the inclusion proof of leaf ``index`` under the root over ``leaves``; see :meth:`Tree.inclusion`."""
    return Tree(leaves).inclusion(index)


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Return the proof that ``leaves[:old]`` is a prefix of ``leaves``; see :meth:`Tree.consistency`."""
    return Tree(leaves).consistency(old)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Return whether ``leaf`` is leaf ``index`` of the tree of ``size`` leaves with root ``expected``."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Return whether the tree (``old``, ``old_root``) is a prefix of the tree (``new``, ``new_root``)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root and (old > 0 or old_root == EMPTY_ROOT)
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node_hash(node, was), node_hash(node, now)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, node)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def _split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)
