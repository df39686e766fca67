#!/bin/sh
# Undoes mark.sh, with the same values.
set -eu

name=${1:-mark}
case $name in */* | .* | '') echo "the mark is called '$name'; wanted a plain name" >&2; exit 2 ;; esac
rm -- "./$name"
echo "$name removed"
