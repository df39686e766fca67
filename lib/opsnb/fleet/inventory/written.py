"""What the files say, entry by entry, before anything is inherited."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError
from opsnb.base.yaml import Document, read_yaml
from opsnb.fleet.inventory.fields import ENGINE, USER, Fields, File, check_group_name
from opsnb.fleet.inventory.selector import Node, parse
from opsnb.fleet.inventory.values import EVERY, SETTINGS, THIS_MACHINE, TRANSPORTS, Credential, Service

FILE, FOLDER = "inventory.yaml", "inventory"
SECTIONS = ("credentials", "hosts", "groups", "services")
HOST = ("address", *SETTINGS, "keys", "legacy", "transport", "container", "engine")
GROUP = ("hosts", "groups", "select", *SETTINGS)
SERVICE = ("owner", "hosts", "depends", "links", "files", "health", "runbooks")
CREDENTIAL = {
    "key": ("kind", "user", "secret", "file", "passphrase", "certificate"),
    "password": ("kind", "user", "secret"),
    "agent": ("kind", "user"),
}
OF_SSH = (
    "address",
    "user",
    "port",
    "via",
    "keys",
    "legacy",
    "credential",
)  # a container and this machine have none of these
MAX_BYTES = 64 * 1024 * 1024  # of all files together; 100,000 hosts take 22 MB
MAX_FILES = 1000


@dataclass(frozen=True)
class Entry:
    """One host, group or service as it stands in a file; ``settings`` holds what is there, checked."""

    name: str
    fields: Fields
    settings: dict[str, Any]
    line: int

    @property
    def path(self) -> str:
        """The file in which it stands."""
        return self.fields.file.path


@dataclass
class Written:
    """All files together; names are unique across them."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    hosts: dict[str, Entry] = field(default_factory=dict)
    groups: dict[str, Entry] = field(default_factory=dict)
    services: dict[str, tuple[Entry, Service]] = field(default_factory=dict)
    selectors: dict[tuple[str, str], Node] = field(default_factory=dict)  # ("group", name) or (service, environment)
    places: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)


def files_of(root: Path) -> list[Path]:
    """Return the files of a workspace's inventory: ``inventory.yaml``, then ``inventory/*.yaml`` by name.

    Raises:
        InventoryError: If one is no file, or is called ``.yml``, or there are too many.
    """
    found = [root / FILE] if os.path.lexists(root / FILE) else []
    if (root / FOLDER).is_dir():
        inside = sorted(p for p in (root / FOLDER).iterdir() if not p.name.startswith("."))
        for path in inside:
            if path.suffix == ".yml":
                raise InventoryError(
                    "files of the inventory end in .yaml", path=f"{FOLDER}/{path.name}", hint="rename it"
                )
        found += [p for p in inside if p.suffix == ".yaml"]
    if len(found) > MAX_FILES:
        raise InventoryError(f"holds {len(found)} files, at most {MAX_FILES} are read", path=FOLDER)
    return found


def read(root: Path) -> Written:
    """Read every file of a workspace's inventory.

    Raises:
        InventoryError: On anything that is not as the documentation says; names file and line.
    """
    written, left = Written(), MAX_BYTES
    for path in files_of(root):
        text = _text(path, str(path.relative_to(root)), left)
        left -= len(text)
        add(written, text, str(path.relative_to(root)))
    return written


def add(written: Written, text: str, path: str) -> None:
    """Read the text of one file into ``written``."""
    add_document(written, read_yaml(text, File(path), limit=MAX_BYTES), path)


def add_document(written: Written, document: Document, path: str) -> None:
    """Read what one file says into ``written``."""
    file = File(path, document.lines)
    top = Fields(file, "", document.value, SECTIONS)
    for section, read_one in (
        ("credentials", _credential), ("hosts", _host), ("groups", _group), ("services", _service),
    ):  # fmt: skip
        for name, value in Fields(file, section, top.values.get(section), None).values.items():
            _unique(written, file, section, name)
            read_one(written, file, name, value)


def _text(path: Path, shown: str, limit: int) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe does not make it wait
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InventoryError("is no regular file", path=shown)
            data = _all(descriptor, limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InventoryError(f"cannot be read: {error.strerror}", path=shown) from None
    if len(data) > limit:
        raise InventoryError(f"the inventory is larger than {MAX_BYTES} bytes", path=shown)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InventoryError("is not UTF-8", path=shown, line=line, hint="save it as UTF-8") from None


def _all(descriptor: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(descriptor, min(limit, 1 << 20))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _unique(written: Written, file: File, section: str, name: str) -> None:
    here = Fields(file, section, {name: None}, None)
    here.check_name(name, name, f"a {section[:-1]}")
    if section == "hosts" and name == EVERY:
        raise here.error(name, f"'{EVERY}' means every host", "choose another name")
    if section == "groups" and name == THIS_MACHINE:
        raise here.error(name, f"'{THIS_MACHINE}' is this machine", "choose another name")
    line = file.line_of(f"{section}.{name}") or 0
    for other in (section, *(s for s in ("hosts", "groups") if s != section and section in {"hosts", "groups"})):
        if (other, name) in written.places:
            path, first = written.places[other, name]
            what = "stands twice" if other == section else f"is the name of a {other[:-1]} too"
            raise here.error(name, f"'{name}' {what}, first in {path} line {first}", "rename or remove one")
    written.places[section, name] = (file.path, line)


def _settings(fields: Fields) -> dict[str, Any]:
    """Return what a host inherits as it stands here, checked; what does not stand here is left out."""
    there, found = fields.values, dict[str, Any]()
    if "user" in there:
        found["user"] = fields.text("user", USER, "a login name")
    if "port" in there and (port := fields.port()):
        found["port"] = port
    if "via" in there:
        found["via"] = fields.name("via", "a jump host")
    if "environment" in there:
        found["environment"] = fields.name("environment", "an environment")
    if "labels" in there:
        found["labels"] = fields.labels()
    if "variables" in there:
        found["variables"] = fields.variables()
    if "credential" in there:
        found["credential"] = fields.credential()
    if "sudo" in there and (sudo := fields.sudo()):
        found["sudo"] = sudo
    return found


def _host(written: Written, file: File, name: str, value: JSON) -> None:
    fields = Fields(file, f"hosts.{name}", value, HOST)
    found = _settings(fields)
    transport = fields.text("transport") or ("local" if name == THIS_MACHINE else TRANSPORTS[0])
    if transport not in TRANSPORTS:
        raise fields.error("transport", f"found '{transport[:40]}', wanted one of {', '.join(TRANSPORTS)}")
    if name == THIS_MACHINE and transport != "local":
        raise fields.error("transport", f"'{THIS_MACHINE}' is this machine, so its transport is local")
    found["transport"] = transport
    for key in OF_SSH if transport != "ssh" else ("container", "engine"):
        if fields.values.get(key) is not None:
            raise fields.error(key, f"means nothing for transport '{transport}'", "remove it, or set the transport")
    if transport == "container":
        found["container"] = fields.text("container")
        found["engine"] = fields.text("engine", ENGINE, "where the engine listens: unix:///var/run/docker.sock")
        if not found["container"]:
            raise fields.error("", "names no container", "write container: NAME")
        if found["container"].startswith("-"):
            raise fields.error("container", "begins with '-'")
    if transport == "ssh":
        found["address"] = fields.address()
        found["keys"] = fields.keys()
        found["legacy"] = fields.flag("legacy")
    written.hosts[name] = Entry(name, fields, found, file.line_of(fields.at) or 0)


def _group(written: Written, file: File, name: str, value: JSON) -> None:
    fields = Fields(file, f"groups.{name}", value, GROUP)
    check_group_name(fields, name)
    found = _settings(fields)
    found["hosts"], found["groups"] = fields.texts("hosts", "hosts"), fields.texts("groups", "groups")
    found["select"] = fields.text("select")
    if found["select"]:
        written.selectors["group", name] = _parsed(fields, "select", found["select"])
    written.groups[name] = Entry(name, fields, found, file.line_of(fields.at) or 0)


def _service(written: Written, file: File, name: str, value: JSON) -> None:
    fields = Fields(file, f"services.{name}", value, SERVICE)
    hosts = Fields(file, f"{fields.at}.hosts", fields.values.get("hosts"), None)
    links = Fields(file, f"{fields.at}.links", fields.values.get("links"), None)
    selectors = {}
    for environment in hosts.values:
        hosts.check_name(environment, environment, "an environment")
        selectors[environment] = hosts.text(environment)
        if not selectors[environment]:
            raise hosts.error(environment, "found nothing, wanted a selector")
        written.selectors[f"service {name}", environment] = _parsed(hosts, environment, selectors[environment])
    files = fields.text("files")
    if files and (Path(files).is_absolute() or ".." in Path(files).parts):
        raise fields.error("files", f"found '{files}', wanted a path inside the workspace")
    service = Service(
        name=name, owner=fields.text("owner"), hosts=selectors, depends=fields.texts("depends", "services"),
        links={key: links.url(key) for key in links.values}, files=files, health=fields.url("health"),
        runbooks=fields.texts("runbooks", "ids of runbooks"), path=file.path, line=file.line_of(fields.at) or 0,
    )  # fmt: skip
    written.services[name] = (Entry(name, fields, {}, service.line), service)


def _credential(written: Written, file: File, name: str, value: JSON) -> None:
    fields = Fields(file, f"credentials.{name}", value, CREDENTIAL["key"])
    kind = fields.text("kind")
    if kind not in CREDENTIAL:
        found = f"found '{kind[:40]}'" if kind else "says no kind"
        raise fields.error("kind" if kind else "", f"{found}, wanted one of {', '.join(CREDENTIAL)}")
    Fields(file, fields.at, fields.values, CREDENTIAL[kind])
    found_secret, key_file = fields.secret("secret"), fields.text("file")
    if kind == "key" and bool(found_secret) == bool(key_file):
        raise fields.error("", "a key comes from the secret store or from a file", "write secret: NAME or file: PATH")
    if kind == "password" and not found_secret:
        raise fields.error("", "a password comes from the secret store", "write secret: NAME")
    written.credentials[name] = Credential(
        name=name, kind=kind, secret=found_secret, file=key_file, passphrase=fields.secret("passphrase"),
        certificate=fields.secret("certificate"), user=fields.text("user", USER, "a login name"),
    )  # fmt: skip


def _parsed(fields: Fields, key: str, text: str) -> Node:
    try:
        return parse(text)
    except InventoryError as error:
        raise fields.error(key, error.message, error.hint) from None


def entries(written: Written) -> Iterator[Entry]:
    """Yield every host, then every group: what may inherit or hand on settings."""
    yield from written.hosts.values()
    yield from written.groups.values()
