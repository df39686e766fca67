"""The masker's speed: 50 secrets with all their needles over 100 MB of output, beside what `re` would do.

    python tests/bench/masker.py [--megabytes 100]

Figures are processor time of one run on one machine (it is single-threaded; others may use the machine); the ratio to `re` is made in the same run, on a part of the same text.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import time

from leaks import random_secret
from opsnb.base.masking import Masker, needles

SECRETS = 50
CHUNKS = (1 << 12, 1 << 16, 1 << 20)  # characters fed at a time
WANTED = 40.0  # MB/s
RE_SHARE = 200  # `re` gets the 200th part of the text


def text_of(dice: random.Random, megabytes: int, values: list[str]) -> str:
    """Return output like that of programs: lines of log, a few colours, a secret in one line of 2,000."""
    lines = []
    for number in range(5_000):
        words = " ".join(
            "".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=dice.randint(2, 12))) for _ in range(9)
        )
        colour = ("\x1b[32m", "\x1b[0m") if number % 50 == 0 else ("", "")
        lines.append(f"2026-11-25T12:00:{number % 60:02d} {colour[0]}INFO{colour[1]} {words}\n")
        if number % 2_000 == 7:
            lines.append(f"password={dice.choice(values)}\n")
    block = "".join(lines)
    return block * (megabytes * 1_000_000 // len(block.encode()) + 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=100)
    megabytes = parser.parse_args().megabytes
    dice = random.Random(20261125)  # noqa: S311
    values = [random_secret(dice) for _ in range(SECRETS)]
    masker = Masker()
    started = time.process_time()
    for number, value in enumerate(values):
        masker.register(f"team/secret-{number}", value)
    print(f"{SECRETS} secrets, {len(masker._names)} needles, registered in {time.process_time() - started:.2f} s")
    text = text_of(dice, megabytes, values)
    size = len(text.encode()) / 1e6
    digests, speeds = set(), []
    for chunk in CHUNKS:
        stream, said = masker.stream(), hashlib.sha256()
        started = time.process_time()
        for place in range(0, len(text), chunk):
            said.update(stream.feed(text[place : place + chunk]).encode())
        said.update(stream.flush().encode())
        speeds.append(size / (time.process_time() - started))
        digests.add(said.hexdigest())
        print(f"stream, {chunk:>8} characters at a time: {speeds[-1]:6.1f} MB/s over {size:.0f} MB")
    started = time.process_time()
    whole = masker.text(text)
    print(f"whole text at once:                     {size / (time.process_time() - started):6.1f} MB/s")
    digests.add(hashlib.sha256(whole.encode()).hexdigest())
    print(f"output independent of the chunk size: {len(digests) == 1}")
    part = text[: len(text) // RE_SHARE].encode()
    pattern = re.compile(b"|".join(re.escape(n) for v in values for n in sorted(needles(v), key=len, reverse=True)))
    started = time.process_time()
    pattern.sub(b"***", part)
    plain = len(part) / 1e6 / (time.process_time() - started)
    print(
        f"re with the same needles:               {plain:6.2f} MB/s over {len(part) / 1e6:.1f} MB, no gaps, no streams"
    )
    print(
        f"ratio to re: {min(speeds) / plain:.0f}; wanted {WANTED:.0f} MB/s at every chunk size: {min(speeds) >= WANTED}"
    )


if __name__ == "__main__":
    main()
