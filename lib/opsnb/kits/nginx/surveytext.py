"""What stands out, as text that reads well on a phone."""

from __future__ import annotations

import textwrap

from opsnb.kits.nginx.survey import Survey
from opsnb.kits.nginx.surveywords import Finding

MAX_PARAGRAPHS, HOSTS_NAMED = 40, 8  # findings that are told, hosts that are named in one
PHONE = 36  # characters that a phone shows in one line of a record


def absent_text(seen: Survey) -> str:
    """Return the hosts that nothing is known about, each with the whole reason, and those without nginx."""
    rows = [(host, f"{status}: {why}") for host, (status, why) in seen.unread.items()]
    rows += [(host, "no nginx: none runs, and none is in the usual places") for host in seen.absent]
    lines = [
        textwrap.fill(f"{host}  {why}", PHONE, subsequent_indent="   ", break_on_hyphens=False) for host, why in rows
    ]
    return "\n".join(lines) or "(none)"


def findings_text(seen: Survey) -> str:
    """Return what stands out as short paragraphs that read well on a phone, worst first; says so when there is none."""
    rows = seen.findings()
    if not rows:
        return "Nothing stands out."
    told = [_paragraph(number, hosts, f) for number, (hosts, f) in enumerate(rows[:MAX_PARAGRAPHS], 1)]
    more = len(rows) - len(told)
    return "\n".join(told) + (f"\n... and {more} more, in the record's evidence" if more > 0 else "")


def _paragraph(number: int, hosts: tuple[str, ...], f: Finding) -> str:
    more = len(hosts) - HOSTS_NAMED
    names = ", ".join(hosts[:HOSTS_NAMED]) + (f" and {more} more" if more > 0 else "")
    lines = textwrap.wrap(f"{number}. {f.severity.upper()}  {f.what}", PHONE, subsequent_indent="   ")
    lines += [f"   at:   {f.where}"] * bool(f.where)
    lines += textwrap.wrap(f.why, PHONE, initial_indent="   why:  ", subsequent_indent="         ")
    lines += textwrap.wrap(f.next, PHONE, initial_indent="   next: ", subsequent_indent="         ")
    return "\n".join([*lines, *textwrap.wrap(names, PHONE, initial_indent="   on:   ", subsequent_indent="         ")])
