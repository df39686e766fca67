"""What a hostile cell tries: one piece of Python for each row of the table in docs/isolation.md.

A try answers by an exception, or by nothing: then it worked. ``c`` holds what the test knows and a notebook might find
out: paths, pids. Everything is harmless where it works: a signal is SIGCONT, a mount is a mount of nothing.
"""

from __future__ import annotations

PRELUDE = """
import array, ctypes, errno, fcntl, json, mmap, os, resource, signal, socket, struct, subprocess, sys, urllib.request
libc = ctypes.CDLL(None, use_errno=True)
class Refused(Exception): pass
def call(number, *args):
    ctypes.set_errno(0)
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def read(path):
    with open(path, "rb") as stream: stream.read(64)
def enter(path): os.listdir(path)
def write(path):
    with open(path, "ab") as stream: stream.write(b"")
def make(folder):
    path = os.path.join(folder, "made-by-a-kernel"); open(path, "w").close(); os.unlink(path)
def connect(family, address):
    with socket.socket(family) as s: s.settimeout(5); s.connect(address)
def http(method, path, token="", body=None, tcp=False):
    with socket.socket(socket.AF_INET if tcp else socket.AF_UNIX) as s:
        s.settimeout(10); s.connect(("127.0.0.1", c["api"]) if tcp else c["socket"]); data = json.dumps(body or {}).encode()
        head = f"{method} {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\n"
        head += f"Content-Length: {len(data)}\\r\\n" + (f"Authorization: Bearer {token}\\r\\n" if token else "") + "\\r\\n"
        s.sendall(head.encode() + data); status = s.recv(100).split()[1]
    if status in (b"401", b"403"): raise Refused("answered " + status.decode())
def remote(pid, number):
    here = ctypes.create_string_buffer(8); one = struct.pack("QQ", ctypes.addressof(here), 8)
    there = struct.pack("QQ", int(c["address"]), 8); call(number, pid, one, 1, there, 1, 0)
def user_namespace():
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(0x10000000) == 0 else 1)
    if os.waitpid(pid, 0)[1]: raise PermissionError(1, "unshare")
def clone_namespace():
    ctypes.set_errno(0); pid = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0: os._exit(0)
    if pid < 0: raise OSError(ctypes.get_errno(), "clone")
    os.waitpid(pid, 0)
def clone3_namespace():
    arguments = struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    ctypes.set_errno(0); pid = libc.syscall(435, arguments, 88)
    if pid == 0: os._exit(0)
    if pid < 0: raise OSError(ctypes.get_errno(), "clone3")
    os.waitpid(pid, 0)
def other_descriptor(pid):
    fd = os.pidfd_open(pid); call(438, fd, 0, 0)
def through(pid):
    for number in os.listdir(f"/proc/{pid}/fd"): os.readlink(f"/proc/{pid}/fd/{number}")
    os.open(f"/proc/{pid}/fd/0", os.O_RDONLY)
def pidfd_signal(pid): signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGCONT)
def raise_limit(which):
    soft, hard = resource.getrlimit(which); resource.setrlimit(which, (hard + 1, hard + 1))
def ask(op, **fields):
    import opsnb.base.runlink as link
    try: link.connect().ask(op, **fields)
    except link.LinkError as error: raise Refused(str(error))
def child(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode: raise PermissionError(1, done.stderr[:80])
def own_terminal():
    import pty; pty.openpty()
PP = os.getppid()
APPROVE = "/api/requests/" + c["request"] + "/approve"
"""

TRIES = {
    "reads the system: /usr, /lib, /bin": "enter('/usr/lib'); read('/bin/sh')",
    "reads /etc/hostname": "read('/etc/hostname')",
    "reads the interpreter and its packages": "read(sys.executable); read(json.__file__)",
    "reads the toolkit": "import opsnb; read(opsnb.__file__)",
    "reads runbooks/": "enter(c['root'] + '/runbooks')",
    "reads what the front matter's `reads` name": "enter(c['reads'])",
    "reads what the front matter's `writes` name": "enter(c['into'])",
    "reads its own entries in /proc": "read('/proc/self/environ'); enter('/proc/self/fd')",
    "writes its scratch folder": "make(os.environ['HOME']); make(os.environ['TMPDIR'])",
    "writes what the front matter's `writes` name": "make(c['into'])",
    "signals and waits for its own children": "p = subprocess.Popen(['sleep', '60']); p.terminate(); p.wait()",
    "connects to an address of the network": "connect(socket.AF_INET, ('127.0.0.1', c['port']))",
    "connects to the API's socket": "connect(socket.AF_UNIX, c['socket'])",
    "asks the API without a token": "http('GET', '/api/runs')",
    "asks the API with a token of its own making": "http('GET', '/api/runs', token='0' * 64)",
    "asks the API with a token that holds": "http('GET', '/api/runs', token=c['token'])",
    "asks the API with a token that holds, over TCP": "http('GET', '/api/runs', token=c['token'], tcp=True)",
    "approves by the API with a token that holds": "http('POST', APPROVE, token=c['token'])",
    "approves by the API with a token that holds, over TCP": "http('POST', APPROVE, token=c['token'], tcp=True)",
    "starts a run by the API with a token that holds": "http('POST', '/api/runs', c['token'], {'runbook': 'HST-001'})",
    "signs in at the API": "http('POST', '/api/session', body={'name': 'a', 'password': 'b'}, tcp=True)",
    "reads what the API shows to anybody: /healthz": "http('GET', '/healthz'); http('GET', '/healthz', tcp=True)",
    "reads the arguments of other processes": "read(f\"/proc/{c['bystander']}/cmdline\")",
    "reads the environment of a process that its user started": "read(f\"/proc/{c['bystander']}/environ\")",
    "reads the ledger's key": "read(c['root'] + '/.opsnb/keys/ledger.key')",
    "reads the key of the secrets": "read(c['root'] + '/.opsnb/keys/secrets.key')",
    "reads the database": "read(c['root'] + '/.opsnb/opsnb.db')",
    "reads the API's token": "read(c['root'] + '/.opsnb/token')",
    "lists .opsnb/": "enter(c['root'] + '/.opsnb')",
    "writes into .opsnb/": "make(c['root'] + '/.opsnb')",
    "reads the key through a child": "child('cat', c['root'] + '/.opsnb/keys/ledger.key')",
    "reads the key through a link that it makes": "os.symlink(c['root'] + '/.opsnb/keys/ledger.key', 'l'); read('l')",
    "links the key into its scratch folder": "os.link(c['root'] + '/.opsnb/keys/ledger.key', 'hard')",
    "reads the key through a parent's root": "read(f\"/proc/{PP}/root{c['root']}/.opsnb/keys/ledger.key\")",
    "reads opsnb.yaml and the inventory": "read(c['root'] + '/opsnb.yaml')",
    "lists the records in outputs/": "enter(c['root'] + '/outputs')",
    "lists what is being recorded, outputs/.incoming": "enter(c['root'] + '/outputs/.incoming')",
    "writes into outputs/": "make(c['root'] + '/outputs')",
    "reads another run's scratch folder": "enter(c['other'])",
    "writes into another run's scratch folder": "make(c['other'])",
    "reads another run's staged notebook": "read(c['root'] + '/outputs/.incoming/' + c['other_run'] + '/run.ipynb')",
    "writes runbooks/": "make(c['root'] + '/runbooks')",
    "writes the toolkit": "import opsnb; write(opsnb.__file__)",
    "writes what the front matter's `reads` name": "make(c['reads'])",
    "writes beside its folder: /tmp, /var/tmp, /dev/shm": "make(c['beside'])",
    "lists /tmp": "enter('/tmp')",
    "lists /var and homes": "enter('/var'); enter('/root')",
    "reads /etc/shadow": "read('/etc/shadow')",
    "reads the supervisor's environment": "read(f'/proc/{PP}/environ')",
    "reads the supervisor's memory": "read(f'/proc/{PP}/mem')",
    "reads the supervisor's memory map": "read(f'/proc/{PP}/maps')",
    "opens a descriptor of the supervisor in /proc": "through(PP)",
    "reads the control plane's environment": "read(f\"/proc/{c['up']}/environ\")",
    "opens a descriptor of the control plane in /proc": "through(c['up'])",
    "opens a descriptor of another run, its link for one, in /proc": "through(c['other_pid'])",
    "takes a descriptor of another run (pidfd_getfd)": "other_descriptor(c['other_pid'])",
    "takes a descriptor of the supervisor (pidfd_getfd)": "other_descriptor(PP)",
    "traces the supervisor (ptrace)": "call(101, 16, PP, 0, 0)",
    "traces another run's kernel (ptrace)": "call(101, 16, c['other_pid'], 0, 0)",
    "reads the supervisor's memory (process_vm_readv)": "remote(PP, 310)",
    "writes the supervisor's memory (process_vm_writev)": "remote(PP, 311)",
    "signals the supervisor": "os.kill(PP, signal.SIGCONT)",
    "signals the control plane": "os.kill(c['up'], signal.SIGCONT)",
    "signals another run's kernel": "os.kill(c['other_pid'], signal.SIGCONT)",
    "signals by a pidfd": "pidfd_signal(PP)",
    "connects to an abstract Unix socket": "connect(socket.AF_UNIX, '\\0' + c['abstract'])",
    "mounts": "call(165, b'x', os.getcwd().encode(), b'tmpfs', 0, 0)",
    "makes a user namespace (unshare)": "user_namespace()",
    "makes a user namespace (clone)": "clone_namespace()",
    "makes a user namespace (clone3)": "clone3_namespace()",
    "enters another namespace (setns)": "call(308, os.open('/proc/self/ns/net', os.O_RDONLY), 0)",
    "changes its root (chroot)": "call(161, b'/usr')",
    "uses io_uring": "call(425, 1, ctypes.create_string_buffer(120))",
    "uses the kernel's keyrings": "call(250, 0, -3, 1)",
    "adds a key to a keyring": "call(248, b'user', b'k', b'v', 1, -3)",
    "loads a BPF program": "call(321, 0, ctypes.create_string_buffer(128), 128)",
    "watches the system (perf_event_open)": "call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "handles page faults itself (userfaultfd)": "call(323, 1)",
    "opens /dev/mem, /dev/kmsg, /dev/port": "[os.close(os.open(p, os.O_RDONLY)) for p in c['devices']]",
    "opens a new terminal": "own_terminal()",
    "raises a hard limit of its own": "raise_limit(resource.RLIMIT_NOFILE)",
    "leaves its control group": "write(c['cgroup'])",
    "lowers its own priority": "os.nice(1)",
    "limits the control plane (prlimit)": "call(302, c['up'], 12, struct.pack('QQ', 819200, 819200), 0)",
    "changes the priority of the supervisor (setpriority)": "os.setpriority(os.PRIO_PROCESS, PP, 0)",
    "changes the priority of all of its user's processes": "os.setpriority(os.PRIO_USER, 0, 0)",
    "changes where the control plane runs (sched_setaffinity)": "os.sched_setaffinity(c['up'], os.sched_getaffinity(0))",
    "changes the priority of the supervisor's disk access": "call(251, 1, PP, 0)",
    "becomes another user": "os.setuid(os.getuid() + 1)",
    "changes the mode of a file that its user owns (chmod)": "os.chmod(c['owned'], 0o644)",
    "asks for a secret that is not sealed": "ask('secret', name='not-sealed')",
    "asks for the change credential of a host": "ask('credential', host='localhost', purpose='change')",
    "announces a change (intent) that no approved plan names": "ask('intent', change=0)",
    "says what became of a change that it did not begin": "ask('result', change=0, ok=True)",
    "says something that no runbook says": "ask('approve', request=c['request'])",
}  # fmt: skip

RUN_ALL = """
def attempt(code):
    try:
        exec(code, globals())
    except Refused as error: return f"no: {error}"
    except OSError as error: return f"no: {errno.errorcode.get(error.errno, error.errno)}"
    except (resource.error, ValueError) as error: return f"no: {error}"
    return "yes"
print(json.dumps({name: attempt(code) for name, code in TRIES.items()}))
"""


def cell() -> str:
    """Return one cell that tries everything and prints what came of each; it finds ``c`` in its parameters."""
    return f"import json\nc = json.loads(known)\n{PRELUDE}\nTRIES = {TRIES!r}\n{RUN_ALL}"
