"""The web tier of a rehearsal fleet: what its hosts serve, from which files. Rules only: hosts in, files out.

* A host of role web runs nginx in Debian's layout; its upstream ``shop`` are all application hosts.
* A host of role app runs supervisord in Debian's layout, with the programs ``shop`` and ``worker``.
* Each listens on its host's own address only, since hosts share the machine's network.
* Where a program is not on the machine, its hosts come up without it, and :func:`missing` names the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opsnb.rehearsal.hosts import Host
from opsnb.rehearsal.identity import File

WEB_PORT, APP_PORT = 8080, 8000
SHOP = Path(__file__).parent / "shop"
EMPTY = (  # directories of which a serving host sees nothing that the machine has there
    "/etc/nginx/conf.d", "/etc/nginx/modules-enabled", "/etc/nginx/sites-available", "/etc/nginx/sites-enabled",
    "/etc/supervisor/conf.d", "/var/lib/nginx", "/var/log/nginx", "/var/log/supervisor",
)  # fmt: skip
NGINX = """\
user {user};
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;

events {{
    worker_connections 768;
}}

http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    server_tokens off;

    include /etc/nginx/mime.types;
    default_type application/octet-stream;

    log_format ops '$remote_addr - $remote_user [$time_local] $host "$request" $status $body_bytes_sent '
                   '"$http_referer" "$http_user_agent" rt=$request_time ua=$upstream_addr urt=$upstream_response_time';
    access_log /var/log/nginx/access.log ops;

    gzip on;
    keepalive_timeout 65;

    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}}
"""
UPSTREAM = """\
# The application hosts of the shop.
upstream shop {{
    zone shop 64k;
{servers}    keepalive 16;
}}
"""
SERVER = "    server {address}:{port} max_fails=3 fail_timeout=10s;\n"
SITE = """\
server {{
    listen {address}:{port};
    server_name shop.example {name};

    location / {{
{answer}
    }}

    location = /nginx_status {{
        stub_status;
        access_log off;
        allow 127.0.0.1;
        allow {address};
        deny all;
    }}
}}
"""
PROXY = """\
        proxy_pass http://shop;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_connect_timeout 2s;"""
ALONE = '        return 503 "this fleet has no application hosts\\n";'
SUPERVISORD = """\
; supervisor config file

[unix_http_server]
file=/var/run/supervisor.sock   ; (the path to the socket file)
chmod=0700                       ; sockef file mode (default 0700)

[supervisord]
logfile=/var/log/supervisor/supervisord.log ; (main log file;default $CWD/supervisord.log)
pidfile=/var/run/supervisord.pid ; (supervisord pidfile;default supervisord.pid)
childlogdir=/var/log/supervisor            ; ('AUTO' child log dir, default $TEMP)

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///var/run/supervisor.sock ; use a unix:// URL  for a unix socket

[include]
files = /etc/supervisor/conf.d/*.conf
"""
PROGRAM = """\
[program:shop]
command={command}
directory=/opt/shop
user={user}
autorestart=true
startsecs=1
stopwaitsecs=10
environment=SHOP_LOG="/var/log/shop/access.log"
stdout_logfile=/var/log/shop/shop.log
stderr_logfile=/var/log/shop/shop.err
"""
WORKER = """\
[program:worker]
command=/bin/sh /opt/shop/worker.sh
user={user}
autorestart=true
startsecs=1
stopasgroup=true
killasgroup=true
stdout_logfile=/var/log/shop/worker.log
stderr_logfile=/var/log/shop/worker.err
"""
UWSGI = """\
[uwsgi]
plugins = python3
http-socket = {address}:{port}
wsgi-file = /opt/shop/app.py
need-app = true
threads = 8
die-on-term = true
; http-socket closes after each answer and does not say so: a balancer that keeps connections would meet closed ones
add-header = Connection: close
disable-logging = true
"""


@dataclass(frozen=True, kw_only=True)
class Tier:
    """The programs of this machine that hosts serve with, by path; empty where there is none.

    Args:
        nginx: nginx.
        supervisord: supervisord.
        uwsgi: uwsgi, where it has its plugin for Python 3 too.
        python: Python of the system; serves the application without uwsgi.
        user: Whom nginx's workers and the application run as, with the number.
        user_id: That user's number.
    """

    nginx: str
    supervisord: str
    uwsgi: str
    python: str
    user: str
    user_id: int


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a host serves: its name, with which program, and the port on the host's own address; 0 for none."""

    name: str
    program: str
    port: int


def services(host: Host, tier: Tier) -> list[Service]:
    """Return what a host serves."""
    if host.role == "web" and tier.nginx:
        return [Service(name="nginx", program="nginx", port=WEB_PORT)]
    if host.role == "app" and tier.supervisord:
        shop = [Service(name="shop", program=_server(tier), port=APP_PORT)] if _server(tier) else []
        return [Service(name="supervisor", program="supervisord", port=0), *shop]
    return []


def missing(tier: Tier) -> list[str]:
    """Return what the machine has not, each with what comes of it and the package."""
    found = []
    if not tier.nginx:
        found.append("no nginx: web hosts serve nothing (apt-get install nginx-light)")
    if not tier.supervisord:
        found.append("no supervisord: application hosts serve nothing (apt-get install supervisor)")
    elif not tier.uwsgi:
        instead = "the shop runs under wsgiref" if tier.python else "there is no shop"
        found.append(f"no uwsgi: {instead} (apt-get install uwsgi-core uwsgi-plugin-python3)")
    return found


def _server(tier: Tier) -> str:
    return "uwsgi" if tier.uwsgi else "wsgiref" if tier.python else ""


def commands(host: Host, tier: Tier) -> list[list[str]]:
    """Return what starts a host's services; each program goes into the background by itself."""
    if host.role == "web" and tier.nginx:
        return [[tier.nginx]]
    if host.role == "app" and tier.supervisord:
        return [[tier.supervisord, "-c", "/etc/supervisor/supervisord.conf"]]
    return []


def files(host: Host, hosts: Sequence[Host], tier: Tier) -> dict[str, File]:
    """Return the files of a host's services, by path from its root, without the leading slash.

    Args:
        host: The host.
        hosts: All hosts of the fleet.
        tier: The programs.
    """
    if not commands(host, tier):
        return {}
    return _web(host, hosts, tier) if host.role == "web" else _app(host, tier)


def _web(host: Host, hosts: Sequence[Host], tier: Tier) -> dict[str, File]:
    nodes = [each for each in hosts if each.role == "app" and tier.supervisord and _server(tier)]
    servers = "".join(SERVER.format(address=node.address, port=APP_PORT) for node in nodes)
    site = SITE.format(address=host.address, port=WEB_PORT, name=host.name, answer=PROXY if servers else ALONE)
    made = {
        "etc/nginx/nginx.conf": File(text=NGINX.format(user=tier.user)),
        "etc/nginx/modules-enabled": File(directory=True, mode=0o755),
        "etc/nginx/sites-available/shop": File(text=site),
        "etc/nginx/sites-enabled/shop": File(link="/etc/nginx/sites-available/shop"),
        "var/log/nginx": File(directory=True, mode=0o755),
        "var/lib/nginx": File(directory=True, mode=0o755),
    }
    upstream = {"etc/nginx/conf.d/shop-upstream.conf": File(text=UPSTREAM.format(servers=servers))}
    return made | (upstream if servers else {"etc/nginx/conf.d": File(directory=True, mode=0o755)})


def _app(host: Host, tier: Tier) -> dict[str, File]:
    made = {
        "etc/supervisor/supervisord.conf": File(text=SUPERVISORD),
        "etc/supervisor/conf.d/worker.conf": File(text=WORKER.format(user=tier.user)),
        "opt/shop/worker.sh": File(text=(SHOP / "worker.sh").read_text(encoding="utf-8"), mode=0o755),
        "var/log/supervisor": File(directory=True, mode=0o755),
        "var/log/shop": File(directory=True, mode=0o755, owner=tier.user_id),
        "var/lib/shop": File(directory=True, mode=0o755, owner=tier.user_id),
    }
    if not _server(tier):
        return made
    shop = {
        "etc/supervisor/conf.d/shop.conf": File(text=PROGRAM.format(user=tier.user, command=_command(host, tier))),
        "opt/shop/app.py": File(text=(SHOP / "app.py").read_text(encoding="utf-8")),
    }
    uwsgi = {"opt/shop/uwsgi.ini": File(text=UWSGI.format(address=host.address, port=APP_PORT))}
    return made | shop | (uwsgi if tier.uwsgi else {})


def _command(host: Host, tier: Tier) -> str:
    if tier.uwsgi:
        return f"{tier.uwsgi} --ini /opt/shop/uwsgi.ini"
    return f"{tier.python} /opt/shop/app.py {host.address} {APP_PORT}"
