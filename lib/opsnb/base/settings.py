"""Settings of a workspace: ``opsnb.yaml``, read strictly: an unknown key is an error, no typo runs with a default."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from opsnb.base.errors import ParameterError, SettingsError
from opsnb.base.parameters import duration_seconds
from opsnb.base.signin import SignInSettings, read_sign_in
from opsnb.base.yaml import read_yaml

SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)?$")
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
LANGUAGES = ("en", "zh_CN")
MIN_PROCESSES = 32  # a kernel, its threads, and the programs that a cell pipes together


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a workspace; every one has a default.

    Args:
        name: The workspace's name; it is the ledger's origin.
        language: Language of pages and messages: ``en`` or ``zh_CN``.
        workers: Runs at a time.
        kernel: ``fork`` from a warm zygote, or ``spawn`` an interpreter for each run.
        cell_timeout: Seconds that one cell may take.
        timeout: Seconds that a run may take when its runbook says nothing.
        memory: Bytes resident in a run's processes.
        output: Bytes of output kept of one run.
        vault_address: URL of a HashiCorp Vault; empty: there is none.
        vault_mount: Where its KV version 2 engine is mounted.
        vault_role_id: The AppRole with which the control plane logs in.
        vault_secret_id: Reference of that role's secret id: a stored secret, or ``env:NAME``.
        allow_unconfined_changes: Whether risk ``change`` may run where the system cannot isolate kernels.
        kernel_user: User of this system that kernels become; empty: they stay who the control plane is.
        processes: Processes and threads of one run, where the system has control groups.
        policies: Who has to approve what, as written: name to keys and values. ``control.approvals`` knows what they
            mean.
        login: How people sign in, besides their passwords here.
    """

    name: str = "opsnb"
    language: str = "en"
    workers: int = max(2, os.cpu_count() or 2)
    kernel: str = "fork"
    cell_timeout: float = 1800.0
    timeout: float = 3600.0
    memory: int = 2 * UNITS["GiB"]
    output: int = 32 * UNITS["MiB"]
    vault_address: str = ""
    vault_mount: str = "secret"
    vault_role_id: str = ""
    vault_secret_id: str = "vault/secret-id"  # noqa: S105  (a name, no secret)
    allow_unconfined_changes: bool = False
    kernel_user: str = ""
    processes: int = 2048
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    login: SignInSettings = field(default_factory=SignInSettings)


@dataclass(frozen=True)
class _File:
    """Where the text of the settings stands; makes the errors about it."""

    path: Path

    def error(self, message: str, *, line: int | None = None, name: str = "", hint: str = "") -> SettingsError:
        where = f"{self.path}" + (f" line {line}" if line else "") + (f": setting '{name}'" if name else "")
        return SettingsError(f"{where}: cannot be read: {message}", hint=hint)


def read(path: Path) -> Settings:
    """Read ``opsnb.yaml``.

    Raises:
        SettingsError: Names the file, the key, what was found and what was wanted.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return parse(data, path)


def parse(data: bytes, path: Path) -> Settings:
    """Return the settings that the bytes of ``opsnb.yaml`` hold; ``path`` is what errors call it.

    Raises:
        SettingsError: As :func:`read`.
    """
    try:
        value = read_yaml(data.decode("utf-8").replace("\r\n", "\n"), _File(path)).value or {}
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8", hint="save it as UTF-8") from error
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: holds a {type(value).__name__}, wanted keys and values")
    known = {f.name for f in fields(Settings)}
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known settings: {', '.join(sorted(known))}"
            raise SettingsError(f"{path}: unknown setting '{key}'", hint=hint)
    return Settings(**{key: _setting(path, key, found) for key, found in value.items()})


def seconds(text: object) -> float:
    """Return a duration in seconds: ``90``, ``"90s"``, ``"10m"``, ``"1h30m"``.

    Raises:
        ValueError: If it is not one.
    """
    if isinstance(text, int | float | str) and not isinstance(text, bool):
        try:
            found = duration_seconds(str(text))
        except ParameterError:
            found = 0.0
        if found > 0:
            return found
    raise ValueError(f"{text!r} is not a duration such as 90s, 10m or 1h30m")


def size(text: object) -> int:
    """Return a size in bytes: ``1048576``, ``"2GiB"``.

    Raises:
        ValueError: If it is not one.
    """
    match = SIZE.match(str(text).strip()) if isinstance(text, int | str) and not isinstance(text, bool) else None
    if not match:
        raise ValueError(f"{text!r} is not a size such as 512MiB or 2GiB")
    return int(float(match[1]) * UNITS[match[2] or "B"])


def _setting(path: Path, key: str, found: Any) -> Any:
    try:
        if key in {"timeout", "cell_timeout"}:
            return seconds(found)
        if key in {"memory", "output"}:
            return size(found)
        if key == "login":
            return read_sign_in(found)
        return _kernels(key, _plain(key, found))
    except ValueError as error:
        raise SettingsError(f"{path}: setting '{key}': {error}") from error


def _plain(key: str, found: Any) -> Any:
    if key == "language" and found not in LANGUAGES:
        raise ValueError(f"found {found!r}, wanted one of {', '.join(LANGUAGES)}")
    if key == "kernel" and found not in {"fork", "spawn"}:
        raise ValueError(f"found {found!r}, wanted 'fork' or 'spawn'")
    if key == "name" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", str(found)):
        raise ValueError(f"found {found!r}, wanted up to 63 letters, digits, dots, dashes")
    if key == "workers" and (not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= 256):  # noqa: PLR2004
        raise ValueError(f"found {found!r}, wanted a number from 1 to 256")
    if key.startswith("vault_") and (not isinstance(found, str) or not found.isprintable()):
        raise ValueError(f"found {found!r}, wanted text")
    if key == "vault_address" and found and not re.fullmatch(r"https?://[^\s/?#@]+/?", found):
        raise ValueError(f"found {found!r}, wanted a URL such as https://vault.example:8200")
    if key == "policies" and not (
        isinstance(found, dict) and all(isinstance(policy, dict) for policy in found.values())
    ):
        raise ValueError(f"found {found!r:.60}, wanted names with keys and values")
    if key == "allow_unconfined_changes" and not isinstance(found, bool):
        raise ValueError(f"found {found!r}, wanted true or false")
    return found


def _kernels(key: str, found: Any) -> Any:
    if key == "processes" and (not isinstance(found, int) or isinstance(found, bool) or found < MIN_PROCESSES):
        raise ValueError(f"found {found!r}, wanted a number from {MIN_PROCESSES}")
    if key == "kernel_user" and not re.fullmatch(r"[a-z_][a-z0-9_.-]{0,31}", str(found)):
        raise ValueError(f"found {found!r}, wanted the name of a user such as opsnb-kernel")
    return found
