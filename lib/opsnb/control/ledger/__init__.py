"""The ledger: a Merkle tree over what happened, signed heads, and the evidence that anyone checks offline."""
