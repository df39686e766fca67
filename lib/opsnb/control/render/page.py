"""A record as a page: every table and sentence in the order in which they are read. Rules without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from opsnb.base.i18n import CHINESE, ENGLISH, html_lang, language_of, mark, retell, translate
from opsnb.control.records import Check, Mode, Record
from opsnb.control.render import visible, words
from opsnb.control.render.banner import Alarm, Half, Point, alarm_of, half_of, notes_of, points_of
from opsnb.control.render.cells import CellView, check_cells, views
from opsnb.control.render.planned import ChangeView, changes

KEY_SHOWN = 24  # characters of a host key's digest
HALVES = (ENGLISH, CHINESE)  # a record shows its verdict in both


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table of names and values; ``code`` for what is compared letter by letter."""

    name: str
    value: Markup
    code: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckView:
    """One check: symbol and word, the promise, what was found and wanted, the cell that made it."""

    ok: bool
    what: Markup
    got: Markup
    want: Markup
    cell: int | None


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the template lays out."""

    lang: str
    record: Record
    symbol: str
    halves: list[Half]
    alarms: list[Alarm]
    points: list[Point]
    notes: list[str]
    about: list[Row]
    facts: list[Row]
    parameters: list[dict[str, Markup]]
    changes: list[ChangeView]
    context: Markup
    applied: list[dict[str, str]]
    checks: list[CheckView]
    evidence: list[Row]
    files: list[Row]
    cells: list[CellView]
    digests: list[Row]
    ledger: list[Row]
    verifier: str


def page_of(record: Record, notebook: Mapping[str, Any], language: str) -> Page:
    """Return the page of a record and its executed notebook."""
    language = language_of(language)
    places = check_cells(record, notebook)
    first, second = (CHINESE, ENGLISH) if language == CHINESE else HALVES
    return Page(
        lang=html_lang(language),
        record=record,
        symbol=words.VERDICTS[record.verdict][0],
        halves=[half_of(record, first), half_of(record, second)],
        alarms=[alarm for alarm in (alarm_of(record, first), alarm_of(record, second)) if alarm],
        points=points_of(record, places, language),
        notes=notes_of(record, language),
        about=_about(record, language),
        facts=_facts(record.facts, language),
        parameters=[_parameter(row) for row in record.parameters],
        changes=changes(record.plan),
        context=_context(record.plan),
        applied=[_applied(row, language) for row in record.applied],
        checks=[_check(c, place) for c, place in zip(record.checks, places, strict=True)],
        evidence=[Row(name=visible.plain(name), value=_value(value)) for name, value in record.evidence.items()],
        files=[_file(row, language) for row in record.files],
        cells=views(record, notebook, language),
        digests=_digests(record, language),
        ledger=_ledger(record, language),
        verifier=f"{record.root_prefix}ledger/verify.py",
    )


def _value(value: Any) -> Markup:
    return visible.text(words.value_text(value))


def _about(record: Record, language: str) -> list[Row]:
    def say(message: str, **values: object) -> str:
        return translate(message, language, **values)

    nobody = say("nobody") if record.without else ""
    unapproved = record.mode is Mode.APPLY and not record.approvals and record.without
    rows = [
        (say("Runbook"), f"{record.runbook} · {record.title}", False),
        (say("Requested by"), record.requester, False),
        (say("Why"), record.why, False),
        (say("Approved by"), "\n".join(_approval(row, language) for row in record.approvals) or nobody, False),
        (say("Hosts"), "\n".join(_host(row) for row in record.hosts), True),
        (say("Mode"), say(words.UNAPPROVED_APPLY if unapproved else words.MODES[record.mode]), False),
        (say("Risk"), say(words.RISKS[record.risk]), False),
        (say("Started"), words.moment(record.started), False),
        (say("Ended"), words.moment(record.ended), False),
        (say("Duration"), words.duration(record.seconds, language), False),
        (say("Isolation"), _isolation(record, language), False),
        (say("Request"), record.request, True),
        (say("Run"), record.run, True),
    ]
    return [Row(name=name, value=visible.text(value), code=code) for name, value, code in rows if value]


HOLDS = {"system-calls": mark("system calls refused"), "no cgroup": mark("no control group")}


def _isolation(record: Record, language: str) -> str:
    found = {"landlock": translate("isolated by Landlock", language), "none": translate("not isolated", language)}
    told = [translate(HOLDS[word], language) if word in HOLDS else retell(word, language) for word in record.holds]
    return "; ".join([found.get(record.isolation, record.isolation), *told])


def _approval(row: Mapping[str, Any], language: str) -> str:
    who, at = retell(str(row.get("who", "")), language), words.moment(str(row.get("at", "")))
    if row.get("self"):
        return translate(
            "{who}, {at}: self-approval, the requester approved their own request", language, who=who, at=at
        )
    return translate("{who}, {at}", language, who=who, at=at)


def _host(row: Mapping[str, Any]) -> str:
    """Return ``web1  ops@10.0.0.1:22  via bastion  key 3f9a…``: where and as whom; the manifest has the whole key."""
    where = f"{row['address']}:{row.get('port', 22)}" if row.get("address") else ""
    who = f"{row['user']}@" if where and row.get("user") else ""
    through = ", ".join(str(jump.get("name", "")) for jump in row.get("via", []))
    key = str(row.get("key", ""))
    parts = (
        str(row.get("name", "")),
        who + where,
        f"via {through}" if through else "",
        f"key {key[:KEY_SHOWN]}…" if key else "",
    )
    return "  ".join(part for part in parts if part)


def _facts(facts: Mapping[str, Any], language: str) -> list[Row]:
    return [
        Row(
            name=translate(words.FACTS.get(name, visible.plain(name)), language),
            value=visible.text(words.fact_text(value)),
            code=isinstance(value, dict),
        )
        for name, value in facts.items()
    ]


def _parameter(row: Mapping[str, Any]) -> dict[str, Markup]:
    return {
        "name": visible.text(str(row.get("name", ""))),
        "value": visible.text(words.compared(row.get("value"))),
        "default": visible.text(words.compared(row["default"])) if "default" in row else Markup(),
        "label": visible.text(str(row.get("label") or "")),
        "changed": visible.text("≠" if "default" in row and row["default"] != row.get("value") else ""),
    }


def _context(plan: Mapping[str, Any] | None) -> Markup:
    found = (plan or {}).get("context")
    return _value(found) if found else Markup()


def _applied(row: Mapping[str, Any], language: str) -> dict[str, str]:
    state = str(row.get("state", "unknown"))
    symbol, word = words.APPLIED.get(state, words.APPLIED["unknown"])
    return {
        "number": str(row.get("change", "")), "host": str(row.get("host", "")), "what": str(row.get("what", "")),
        "state": (state if state in words.APPLIED else "unknown").replace(" ", "-"), "symbol": symbol,
        "word": translate(word, language), "why": str(row.get("why", "")),
    }  # fmt: skip


def _check(check: Check, place: int | None) -> CheckView:
    return CheckView(
        ok=check.ok,
        what=visible.text(check.what),
        got=visible.text(words.compared(check.got)),
        want=visible.text(words.compared(check.want)),
        cell=place,
    )


def _file(row: Mapping[str, Any], language: str) -> Row:
    count = row.get("size")
    size = words.size(count, language) if isinstance(count, int) else ""
    value = Markup("{}<br><code>{}</code>").format(size, visible.text(str(row.get("sha256", ""))))
    return Row(name=visible.plain(str(row.get("path", ""))), value=value)


def _digests(record: Record, language: str) -> list[Row]:
    found = [("request", record.request_digest), ("plan", str((record.plan or {}).get("digest", "")))]
    found += list(record.digests.items())
    return [
        Row(
            name=translate(words.DIGESTS.get(name, visible.plain(name)), language), value=visible.text(value), code=True
        )
        for name, value in found
        if value
    ]


def _ledger(record: Record, language: str) -> list[Row]:
    names = {"index": mark("Entry"), "size": mark("Tree size"), "root": mark("Root"), "at": mark("Time")}
    return [
        Row(name=translate(name, language), value=visible.text(words.moment(str(record.ledger[key]))), code=True)
        for key, name in names.items()
        if key in record.ledger
    ]
