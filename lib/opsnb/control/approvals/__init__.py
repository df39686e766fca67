"""WHY a change may happen: one approval engine (rules without I/O), the policies that feed it, and what was said."""
