"""asyncssh in tests/bench/ssh.py: the same command on the same hosts, as many at a time as ours."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import asyncssh

AT_ONCE = 50

plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
key = asyncssh.import_private_key(plan["key"])


async def one(row: dict[str, Any], bound: asyncio.Semaphore) -> None:
    """Run it on one host, whose key is checked."""
    known = ([asyncssh.import_public_key(line) for line in row["keys"]], [], [])
    async with (
        bound,
        asyncssh.connect(
            row["address"], row["port"], username=row["user"], client_keys=[key], known_hosts=known, config=None
        ) as connection,
    ):
        done = await connection.run(" ".join(plan["command"]), check=True)
        if "load average" not in str(done.stdout):
            sys.exit(f"{row['name']}: {done.stdout} {done.stderr}")


async def every() -> None:
    """Run it on all hosts."""
    bound = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(one(row, bound) for row in plan["rows"]))


began = time.monotonic()
asyncio.run(every())
print(json.dumps({"cold": time.monotonic() - began}))
