#!/bin/sh
# Leaves a dated-by-hand mark in the working directory: the smallest script with a check and an undo.
#
# $1     what the mark is called
# text   what it says
set -eu

name=${1:-mark}
case $name in */* | .* | '') echo "the mark is called '$name'; wanted a plain name" >&2; exit 2 ;; esac
[ ! -e "$name" ] || { echo "$name is there already" >&2; exit 3; }
printf '%s\n' "${text:-marked}" >"$name"
echo "$name written"
