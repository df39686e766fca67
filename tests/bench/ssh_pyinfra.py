"""pyinfra's library in tests/bench/ssh.py: the same command on the same hosts, as many at a time as ours."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402 - gevent wants to be first
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from pyinfra.api import Config, Inventory, State  # noqa: E402
from pyinfra.api.connect import connect_all  # noqa: E402
from pyinfra.api.operation import add_op  # noqa: E402
from pyinfra.api.operations import run_ops  # noqa: E402
from pyinfra.operations import server  # noqa: E402

AT_ONCE = 50

plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
folder = Path(sys.argv[1]).parent
values = {"ssh_key": str(folder / "key"), "ssh_known_hosts_file": str(folder / "known_hosts")}
hosts = [(r["address"], {**values, "ssh_port": r["port"], "ssh_user": r["user"]}) for r in plan["rows"]]
began = time.monotonic()
state = State(Inventory((hosts, {})), Config(PARALLEL=AT_ONCE))
connect_all(state)
add_op(state, server.shell, commands=[" ".join(plan["command"])])
run_ops(state)
took = time.monotonic() - began
done = sum(state.results[host].success_ops for host in state.inventory.get_active_hosts())
if done != len(hosts):
    sys.exit(f"{done} of {len(hosts)} hosts answered")
print(json.dumps({"cold": took}))
