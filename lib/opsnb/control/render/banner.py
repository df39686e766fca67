"""The banner of a record: the verdict in two languages, and what the reader must see first. Rules without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from opsnb.base.i18n import html_lang, mark, retell, translate
from opsnb.control.records import CellState, Check, Mode, Record
from opsnb.control.render import visible, words
from opsnb.control.render.cells import OPEN_STATES
from opsnb.control.render.visible import NOTHING

MAX_NAMED = 12  # people who were told
MAX_SHORT = 160  # characters of a value beside a failed check at the top
NOT_ISOLATED = mark("Not isolated: the kernel could read and write whatever its user can.")


@dataclass(frozen=True, kw_only=True)
class Half:
    """The verdict in one language: the words, what they mean, why, what was counted, who approved it."""

    lang: str
    word: str
    meaning: str
    reason: str
    counts: str
    approval: str = ""


@dataclass(frozen=True, kw_only=True)
class Point:
    """Something that the reader must see first, with the anchor that shows it (nothing where there is none)."""

    kind: str  # check, cell, change
    text: Markup
    detail: Markup = NOTHING
    anchor: str = ""
    cell: int | None = None


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """That nobody approved a run, in one language: in a word, and what follows from it, each as one sentence."""

    lang: str
    word: str
    lines: list[Markup]


def alarm_of(record: Record, language: str) -> Alarm | None:
    """Return what says that nobody approved a run; ``None``: somebody did, or it only read."""
    found = record.without
    if not found:
        return None

    def say(message: str, **values: object) -> Markup:
        return visible.text(translate(message, language, **values))

    due, names = words.moment(str(found.get("review_due") or "")), [str(name) for name in found.get("told") or ()]
    told = ", ".join(names[:MAX_NAMED]) + (f" (+{len(names) - MAX_NAMED})" if len(names) > MAX_NAMED else "")
    if glass := found.get("glass"):
        word, who, until = mark("BREAK-GLASS"), str(found.get("who", "")), words.moment(str(found.get("until", "")))
        lines = [
            say(mark("{who} acted without an approval, in an emergency; this was allowed until {until}."),
                who=who, until=until),
            say(mark("Somebody else has to review it until {due}: opsnb requests show {glass}"), due=due, glass=glass),
        ]  # fmt: skip
    else:
        word, policy = mark("NOT APPROVED BY ANYBODY"), str(found.get("policy", ""))
        lines = [say(mark("Policy {policy} asks for nobody's approval here."), policy=policy)]
        again = mark("Somebody else has to review it until {due}: opsnb requests show {glass}")
        lines += [say(again, due=due, glass=record.request)] if due else []
    lines += [say(mark("Told at once: {names}"), names=told)] if told else []
    return Alarm(lang=html_lang(language), word=translate(word, language), lines=lines)


def half_of(record: Record, language: str) -> Half:
    """Return the verdict in one language."""
    _, word, meaning = words.VERDICTS[record.verdict]
    return Half(
        lang=html_lang(language),
        word=translate(word, language),
        meaning=translate(meaning, language),
        reason=retell(record.reason, language),
        counts=" · ".join(_counts(record, language)),
        approval=_approval(record, language),
    )


def _approval(record: Record, language: str) -> str:
    """Return who approved a change; what nobody approved has its alarm."""
    names = [retell(str(row.get("who", "")), language) for row in record.approvals]
    if not names or not record.mode.changes:
        return ""
    if any(row.get("self") for row in record.approvals):
        return translate(
            "Approved by {names}, who asked for it: nobody else was here", language, names=", ".join(names)
        )
    return translate("Approved by {names}", language, names=", ".join(names))


def _counts(record: Record, language: str) -> list[str]:
    held = sum(c.ok for c in record.checks)
    made = []
    if record.checks:
        made.append(translate("{n} of {m} checks held", language, n=held, m=len(record.checks)))
    elif record.mode is not Mode.PLAN:
        made.append(translate("no check was made", language))
    if record.mode.changes:
        planned = len((record.plan or {}).get("changes") or [])
        done = sum(row.get("state") == "ok" for row in record.applied)
        made.append(translate("{n} of {m} planned changes made", language, n=done, m=max(planned, done)))
    return [*made, words.duration(record.seconds, language)]


def points_of(record: Record, places: list[int | None], language: str) -> list[Point]:
    """Failed checks first, then changes that failed or are unknown, then the cells that broke."""
    made = [
        Point(
            kind="check",
            text=visible.text(check.what),
            detail=_difference(check, language),
            cell=place,
            anchor=f"check-{n}" if place is None else f"cell-{place}",
        )
        for n, (check, place) in enumerate(zip(record.checks, places, strict=True))
        if not check.ok
    ]
    made += [
        Point(
            kind="unknown" if row.get("state") != "failed" else "change",
            text=visible.text(f"{row.get('host', '')}: {row.get('what', '')}"),
            anchor="applied",
        )
        for row in record.applied
        if row.get("state") != "ok"
    ]
    for cell in record.cells:
        if cell.state in OPEN_STATES:
            text = visible.text(": ".join(t for t in (_state(cell.state, language), retell(cell.why, language)) if t))
            made.append(Point(kind="cell", text=text, anchor=f"cell-{cell.index}", cell=cell.index))
    return made


def _difference(check: Check, language: str) -> Markup:
    got, want = _short(check.got), _short(check.want)
    return visible.text(translate("got {got}, want {want}", language, got=got, want=want))


def _short(value: Any) -> str:
    text = words.compared(value)
    return text if len(text) <= MAX_SHORT else f"{text[:MAX_SHORT]}…"


def _state(state: CellState, language: str) -> str:
    return translate(words.CELL_STATES[state][1], language)


def notes_of(record: Record, language: str) -> list[str]:
    """Return what the reader must know besides; missing isolation is said even where no note says it."""
    notes = [retell(note, language) for note in record.notes]
    told = any("isolated" in note.lower() for note in record.notes)
    if record.isolation == "none" and not told:
        notes.append(translate(NOT_ISOLATED, language))
    return notes
