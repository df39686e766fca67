"""Ours in tests/bench/ssh.py: the plan's command on its hosts, as often as asked; prints seconds and memory as JSON."""

import json
import sys
import time
from pathlib import Path

from opsnb import fleet

plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
times = []
with fleet.connect(plan["rows"], lambda _host, _purpose: {"kind": "key", "key": plan["key"]}) as hosts:
    for _ in range(int(sys.argv[2])):
        began = time.monotonic()
        results = hosts.run(*plan["command"])
        times.append(time.monotonic() - began)
        bad = [f"{row.host}: {row.why}" for row in results.values() if not (row.ok and "load average" in row.text)]
        if bad:
            sys.exit("\n".join(bad))
status = Path("/proc/self/status").read_text(encoding="utf-8")
memory = int(status.split("VmHWM:")[1].split()[0]) / 1024  # MB, the most that it had
print(json.dumps({"cold": times[0], "reused": min(times), "memory": memory}))
