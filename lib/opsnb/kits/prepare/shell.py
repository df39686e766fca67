"""What the fixed scripts of this kit share: how they end, and how a small file is replaced."""

from __future__ import annotations

# end CODE WORDS; put PATH MODE CONTENT
COMMON = r"""
set -u
umask 022
end() { printf '%s\n' "$2" >&2; exit "$1"; }
put() {
  t=$(mktemp "${1%/*}/.opsnb-XXXXXXXXXXXX") || end 1 "$1 could not be changed"
  printf '%s' "$3" >"$t" && chmod "$2" "$t" && dd if=/dev/null of="$t" conv=notrunc,fsync 2>/dev/null \
    && mv -f -- "$t" "$1" || { rm -f -- "$t"; end 1 "$1 could not be changed"; }
}
"""

MAX_ARGUMENT = 64 * 1024  # bytes of one file that travels as an argument; Linux takes 128 KiB
