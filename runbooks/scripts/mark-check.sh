#!/bin/sh
# Proves that mark.sh did what it promises, with the same values.
set -eu

name=${1:-mark}
[ "$(cat -- "./$name")" = "${text:-marked}" ]
echo "$name says what it should"
