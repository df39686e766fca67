#!/bin/sh
# The background job of a rehearsal fleet: says every five seconds that it lives.
while :; do
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) worker on $(hostname): alive"
  sleep 5
done
