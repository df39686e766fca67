"""A service's files in a folder of a test, and hosts that are this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nearby import nearby
from opsnb.kits import config

MANIFEST = """\
files:
  - path: {root}/etc/shop/site.conf
    source: site.conf
    template: true
    mode: "0640"
    validate: [/bin/sh, -c, 'grep -q "^port" "$1"', check, "%s"]
    activate: [/bin/sh, -c, '{{ echo @@; cat "$1" 2>/dev/null || :; }} >>"$2"', reload, {root}/etc/shop/site.conf, {root}/reloaded]
  - path: {root}/etc/plain.conf
    source: plain.conf
variables:
  port: {{pattern: "[0-9]{{2,5}}"}}
  tier: {{choices: [gold, silver]}}
"""


class Shop:
    """``configs/shop`` in a folder, with two environments, and a host's file system beside it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "host"
        self.configs = folder / "configs"
        (self.root / "etc").mkdir(parents=True)
        self.write("shop/config.yaml", MANIFEST.format(root=self.root))
        self.write("shop/common/site.conf", "port ${port}\nname ${name} on ${host}\nkeep $host and $${name}\n")
        self.write("shop/common/plain.conf", "as it stands: ${nothing} $1\n")
        self.write("shop/common/variables.yaml", "port: 80\nname: shop\n")
        self.write("shop/prod/variables.yaml", "port: 8080\n")

    def write(self, path: str, text: str) -> Path:
        """Write a file below configs/."""
        file = self.configs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def open(self, environment: str = "prod", **parameters: str) -> config.Service:
        """Read the service."""
        return config.open_service(self.configs, "shop", environment, parameters)

    @property
    def site(self) -> Path:
        """Its first file on the host."""
        return self.root / "etc/shop/site.conf"

    @property
    def plain(self) -> Path:
        """Its second file on the host."""
        return self.root / "etc/plain.conf"

    @property
    def reloads(self) -> list[str]:
        """What the service was made to use, once for each activation."""
        file = self.root / "reloaded"
        return file.read_text(encoding="utf-8").split("@@\n")[1:] if file.exists() else []

    def snapshot(self) -> dict[str, Any]:
        """Everything on the host: kind, bytes, mode, owner; not what was reloaded."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            info = path.lstat()
            data = path.read_bytes() if path.is_file() else b""
            if path.name != "reloaded":
                found[str(path.relative_to(self.root))] = (info.st_mode, info.st_uid, info.st_gid, data)
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A service with two files, and no host has them."""
    return Shop(tmp_path)


@pytest.fixture(autouse=True)
def hosts() -> Iterator[tuple[str, ...]]:
    """Hosts that are this machine."""
    with nearby() as names:
        yield names
