"""Network interfaces: rates from two samples of ``/proc/net/dev``, in the units of ``sar -n DEV``.

1 kB is 1024 bytes here, as in sar's rxkB/s, so that thresholds mean the same.
"""

from __future__ import annotations

import pandas as pd

from opsnb.base.errors import UsageError

BYTES_IN_KB = 1024
RECEIVE = ("bytes", "packets", "errors", "dropped", "fifo", "frame", "compressed", "multicast")
TRANSMIT = ("bytes", "packets", "errors", "dropped", "fifo", "collisions", "carrier", "compressed")
COUNTERS = (*(f"receive_{n}" for n in RECEIVE), *(f"transmit_{n}" for n in TRANSMIT))
RATES = {  # column: the counters that it sums, and by what it divides
    "receive_packets_s": (("receive_packets",), 1),
    "transmit_packets_s": (("transmit_packets",), 1),
    "receive_kb_s": (("receive_bytes",), BYTES_IN_KB),
    "transmit_kb_s": (("transmit_bytes",), BYTES_IN_KB),
    "errors_s": (("receive_errors", "transmit_errors"), 1),
    "drops_s": (("receive_dropped", "transmit_dropped", "receive_fifo", "transmit_fifo"), 1),
}


def parse_net_dev(text: str) -> dict[str, dict[str, int]]:
    """Return counters by interface: ``{"eth0": {"receive_bytes": 549005139, ...}}``.

    Raises:
        UsageError: If the two header lines are missing or a line has another number of columns than 16.
    """
    head, _, body = text.partition("\n")
    if "Receive" not in head:
        raise UsageError(f"/proc/net/dev starts otherwise than with 'Inter-|   Receive': {text[:80]!r}")
    found = {}
    for line in body.strip("\n").split("\n")[1:]:
        name, _, rest = line.strip().rpartition(":")  # an alias such as eth0:1 has a colon in its name
        numbers = rest.split()
        if len(numbers) != len(COUNTERS):
            raise UsageError(f"/proc/net/dev has {len(numbers)} columns for {name!r}; {len(COUNTERS)} were expected")
        found[name] = dict(zip(COUNTERS, map(int, numbers), strict=True))
    return found


def network_rates(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]], seconds: float) -> pd.DataFrame:
    """Return what each interface received and sent between two samples.

    Args:
        before: Counters at the start, of :func:`parse_net_dev`.
        after: Counters at the end.
        seconds: Time between the samples, above 0.

    Returns:
        Columns: ``interface``, ``receive_packets_s``, ``transmit_packets_s`` (packets/s), ``receive_kb_s``,
        ``transmit_kb_s`` (1024 bytes/s), ``errors_s``, ``drops_s`` (packets/s, both directions). Busiest first. NaN
        where a counter ran backwards (it wrapped at 32 bits, or the driver was loaded again).

    Raises:
        UsageError: If ``seconds`` is not above 0.
    """
    if seconds <= 0:
        raise UsageError(f"a rate needs two samples at different times; these are {seconds} s apart")
    rows = [
        {"interface": name, **{column: _rate(before[name], after[name], counters, scale * seconds)
                               for column, (counters, scale) in RATES.items()}}
        for name in after if name in before
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["interface", *RATES])
    return frame.sort_values("receive_packets_s", ascending=False, kind="stable", ignore_index=True)


def _rate(before: dict[str, int], after: dict[str, int], counters: tuple[str, ...], divisor: float) -> float:
    differences = [after[c] - before[c] for c in counters]
    return float("nan") if min(differences) < 0 else sum(differences) / divisor
