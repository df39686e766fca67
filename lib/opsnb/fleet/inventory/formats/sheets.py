"""Tables of hosts, CSV and Excel: one row a host, headings in English or Chinese.

On export no cell is a formula: in CSV a text that a spreadsheet would compute gets a ``'`` in front (taken off again
on import), in Excel every cell is marked as text.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opsnb.base.canonical import JSON
from opsnb.base.errors import InventoryError
from opsnb.base.nearest import did_you_mean
from opsnb.fleet.inventory.fields import is_address
from opsnb.fleet.inventory.formats.exchange import SECRET_LIKE, Imported
from opsnb.fleet.inventory.inventory import Inventory
from opsnb.fleet.inventory.values import DEFAULT_PORT, THIS_MACHINE, Host

COLUMNS = ("name", "address", "port", "user", "via", "environment", "groups", "credential", "transport", "container")
OTHERS = {
    "name": ("host", "hostname", "host name", "server", "主机", "主机名", "主机名称", "名称", "服务器"),
    "address": ("ip", "ip address", "addr", "ansible_host", "地址", "ip地址", "内网ip", "管理ip"),
    "port": ("ssh port", "ssh_port", "端口", "ssh端口"),
    "user": ("username", "login", "ssh user", "用户", "用户名", "账号", "登录用户"),
    "via": ("jump", "jump host", "bastion", "proxy", "跳板机", "堡垒机"),
    "environment": ("env", "stage", "环境"),
    "groups": ("group", "分组", "组", "主机组"),
    "credential": ("凭据", "凭证"),
    "transport": ("connection", "连接方式"),
    "container": ("容器",),
}
HEADINGS = {name: key for key, names in OTHERS.items() for name in (key, *names)}
PREFIXES = {"label": "labels", "标签": "labels", "var": "variables", "variable": "variables", "变量": "variables"}
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet may compute
MAX_ROWS, MAX_COLUMNS = 100_000, 500
MAX_UNPACKED = 512 * 1024 * 1024  # bytes of a workbook's parts: a bomb ends here
MAX_BYTES = 64 * 1024 * 1024


def read(path: Path, kind: str) -> Imported:
    """Read a table of hosts.

    Args:
        path: The file.
        kind: ``csv`` or ``excel``.

    Raises:
        InventoryError: If it is no such table; names file and row.
    """
    rows = _excel(path) if kind == "excel" else _csv(path)
    imported = Imported()
    headings: list[tuple[str, str]] = []
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS or len(row) > MAX_COLUMNS:
            raise InventoryError(f"has more than {MAX_ROWS} rows or {MAX_COLUMNS} columns", path=str(path))
        if not any(cell not in (None, "") for cell in row):
            continue
        if not headings:
            headings = _headings(row, str(path), number, imported)
        else:
            _host(imported, headings, row, str(path), number)
    if not headings:
        raise InventoryError("is empty", path=str(path), hint=f"the first row names columns: {', '.join(COLUMNS)}")
    known = {host for host in imported.hosts if host != THIS_MACHINE}
    for via in {str(fields["via"]) for fields in imported.hosts.values() if fields.get("via")} - known:
        imported.note(f"jump host '{via}' has no row of its own")
    return imported


def write(inventory: Inventory, kind: str) -> bytes:
    """Return the inventory as ``csv`` (UTF-8 with a mark, as Excel wants it) or ``excel``."""
    hosts = list(inventory.hosts.values())
    labels = list(dict.fromkeys(key for host in hosts for key in host.labels))
    variables = list(dict.fromkeys(key for host in hosts for key in host.variables))
    heading = [*COLUMNS, *(f"label:{key}" for key in labels), *(f"var:{key}" for key in variables)]
    rows = [heading, *([*_own(host), *(host.labels.get(key, "") for key in labels),
                        *(_text(host.variables[key]) if key in host.variables else "" for key in variables)]
                       for host in hosts)]  # fmt: skip
    return _workbook(rows) if kind == "excel" else _table(rows)


def _own(host: Host) -> list[str]:
    ssh = host.transport == "ssh"
    return [
        host.name, host.address if ssh else "", str(host.port) if ssh and host.port != DEFAULT_PORT else "", host.user,
        host.via, host.environment, ";".join(reversed(host.groups)), host.credential.get("observe", ""),
        "" if ssh else host.transport, host.container,
    ]  # fmt: skip


def _text(value: JSON) -> str:
    """Return a variable's cell: text that reads as JSON again is quoted, all else as it is."""
    if isinstance(value, str) and value and _variable(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _variable(text: str) -> JSON:
    try:
        value: JSON = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    return text if isinstance(value, float) and not value.is_integer() and repr(value) != text else value


def _headings(row: Sequence[Any], path: str, number: int, imported: Imported) -> list[tuple[str, str]]:
    """Return what each column holds: a field, a label or a variable with its name; nothing for one without a name."""
    found: list[tuple[str, str]] = []
    for cell in row:
        text = _cell(cell)
        prefix, sign, name = text.partition(":")
        key = HEADINGS.get(re.sub(r"\s+", " ", text.lower()))
        if sign and prefix.strip().lower() in PREFIXES:
            found.append((PREFIXES[prefix.strip().lower()], name.strip()))
        elif key or not text:
            found.append((key or "", ""))
        elif SECRET_LIKE.search(text) or text in {"密码", "口令"}:
            imported.note(f"column '{text}' holds secrets and is left out: store them with opsnb secret set")
            found.append(("", ""))
        else:
            near = did_you_mean(text, [*HEADINGS, "label:NAME", "var:NAME"], what="columns")
            raise InventoryError(
                f"column '{text[:80]}' is not known", path=path, line=number,
                hint=f"{near}; call it label:{text[:40]} or var:{text[:40]} to keep it",
            )  # fmt: skip
    taken = [column for column in found if column[0]]
    if len(set(taken)) != len(taken) or not {("name", ""), ("address", "")} & set(taken):
        raise InventoryError("names a column twice, or neither name nor address", path=path, line=number)
    return found


def _host(imported: Imported, headings: list[tuple[str, str]], row: Sequence[Any], path: str, number: int) -> None:
    fields: dict[str, JSON] = {}
    for (field, key), cell in zip(headings, row, strict=False):
        text = _cell(cell)
        if not field or not text:
            continue
        if field in {"labels", "variables"}:
            fields.setdefault(field, {})[key] = text if field == "labels" else _variable(text)
        elif field == "port":
            fields |= _port(text, path, number)
        else:
            fields[field] = text
    groups = re.split(r"[;,、；，]", fields.pop("groups", ""))
    name = imported.name_of(fields.pop("name", "") or str(fields.get("address", "")))
    if name in imported.hosts:
        raise InventoryError(f"host '{name}' stands twice", path=path, line=number)
    if fields.get("address") == name and is_address(name):
        fields.pop("address")
    imported.hosts[name] = fields
    for group in filter(None, map(str.strip, groups)):
        imported.groups.setdefault(imported.name_of(group, "group"), {}).setdefault("hosts", []).append(name)


def _port(text: str, path: str, number: int) -> dict[str, JSON]:
    if not text.isdecimal():
        raise InventoryError(f"port '{text[:40]}' is no number", path=path, line=number)
    return {"port": int(text)} if int(text) != DEFAULT_PORT else {}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()  # a day: Excel knows no other kind of date
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value).strip()


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def _unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith((*FORMULA, "'")) else text


def _csv(path: Path) -> Iterable[Sequence[str]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InventoryError(f"is larger than {MAX_BYTES} bytes", path=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise InventoryError(f"cannot be read: {error.strerror}", path=str(path)) from None
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "gb18030"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise InventoryError("is neither UTF-8 nor GB18030", path=str(path))
    if "\0" in text:
        raise InventoryError("holds a NUL, which no table has", path=str(path))
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            yield [_unguarded(cell) for cell in row]
    except csv.Error as error:
        raise InventoryError(f"is no table: {error}", path=str(path)) from None


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n").writerows([_guarded(cell) for cell in row] for row in rows)
    return stream.getvalue().encode("utf-8-sig")


def _excel(path: Path) -> Iterable[Sequence[Any]]:
    openpyxl = _openpyxl()
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED:
                raise InventoryError(f"unpacks to more than {MAX_UNPACKED} bytes", path=str(path))
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise InventoryError(f"is no workbook: {error}", path=str(path)) from None
    try:
        yield from book.worksheets[0].iter_rows(values_only=True)
    finally:
        book.close()


def _workbook(rows: Sequence[Sequence[str]]) -> bytes:
    openpyxl = _openpyxl()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("hosts")
    for row in rows:
        cells = []
        for text in row:
            cell = openpyxl.cell.WriteOnlyCell(sheet, value=re.sub(r"[\0-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", text))
            cell.data_type = "s"  # never "f", a formula
            cells.append(cell)
        sheet.append(cells)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _openpyxl() -> Any:
    try:
        import openpyxl
        import openpyxl.cell
        import openpyxl.utils.exceptions
    except ImportError:
        raise InventoryError(
            "Excel files need openpyxl", hint="pip install 'opsnb[excel]'; or save it as CSV"
        ) from None
    return openpyxl
