"""The audit kit: parsers against small data, coverage as rules, and what a reader is shown."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.clock import stamp
from opsnb.base.errors import UsageError
from opsnb.control.ledger import tree
from opsnb.kits import audit
from opsnb.kits.audit.coverage import coverage_of
from opsnb.kits.audit.periods import MOST, step_name, step_of

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT = bytes(range(32))
ROOT64 = base64.b64encode(ROOT).decode()
DAY = "2026/11/23"


def log(*rows, every=60):
    """Return entries.jsonl: one line for each (kind, fields), ``every`` seconds apart."""
    lines = []
    for index, (kind, fields) in enumerate(rows):
        at = stamp(START + timedelta(seconds=every * index))
        lines.append(json.dumps({"at": at, "index": index, "kind": kind, **fields}).encode() + b"\n")
    return b"".join(lines)


def life(run, verdict="DONE", end=("finished", "recorded")):
    """Return the entries of one run."""
    rows = [("request.sealed", {"request": f"q{run}", "risk": "read"}),
            ("run.claimed", {"run": run, "request": f"q{run}", "mode": "read"})]  # fmt: skip
    said = {
        "finished": {"request": f"q{run}", "mode": "read", "verdict": verdict},
        "recorded": {"path": f"{DAY}/{run}"}, "unrecorded": {"reason": "disk full"},
    }  # fmt: skip
    return rows + [(f"run.{what}", {"run": run, **said[what]}) for what in end]


def entries(*lives, every=60):
    """Return the parsed entries of a ledger that holds these runs."""
    rows = [row for one in lives for row in one]
    return audit.parse_entries(log(("ledger.opened", {"origin": "t"}), *rows, every=every)).entries


def trail(*lives, every=60, **fields):
    """Return a trail of these runs, read a minute after its last entry."""
    found = entries(*lives, every=every)
    return audit.Trail(outputs="/o", entries=found, **{"read_at": found[-1].at + timedelta(minutes=1), **fields})


def note(size="5", root=ROOT64, origin="shop"):
    """Return a checkpoint's bytes."""
    return f"{origin}\n{size}\n{root}\n\n— {origin} c2ln\n".encode()


def test_entries_are_read_with_their_times_and_fields():
    """Index, time, kind, ids and the other fields of each line are there."""
    found = entries(life("r1"))
    assert [e.index for e in found] == [0, 1, 2, 3, 4]
    assert found[2].kind == "run.claimed"
    assert (found[2].run, found[2].request, found[2].fields["mode"]) == ("r1", "qr1", "read")
    assert found[1].at == START + timedelta(minutes=1)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"1", b'{"index":1,"at":"2026-11-23T12:00:00.000Z"}', b'{"index":true,"at":"x","kind":"k"}',
     b'{"index":2,"at":"2026-11-23T12:00:00.000Z","kind":"k"}', b'{"index":1,"at":"yesterday","kind":"k"}',
     b'{"index":1,"at":"2026-13-23T12:00:00.000Z","kind":"k"}', b'{"index":1,"at":3,"kind":"k"}',
     b'{"index":1,"at":"2026-11-23T12:00:00.000Z","kind":"k","run":[]}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_a_malformed_line_is_named_and_left_out(line):
    """What is not an entry in its place is a problem with its number; the others are read."""
    good = log(("ledger.opened", {}))
    found = audit.parse_entries(good + line + b"\n" + good.replace(b'"index": 0', b'"index": 2'))
    assert found.problems == ("entry 1 is malformed or out of place",)
    assert [e.index for e in found.entries] == [0, 2]


def test_a_torn_last_line_is_a_problem():
    """An entry that was cut off is not read as if it were whole."""
    whole = log(*life("r1"))
    found = audit.parse_entries(whole[:-5])
    assert found.problems == ("the last line is torn",)
    assert len(found.entries) == len(audit.parse_entries(whole).entries) - 1


def test_a_ledger_beyond_the_limit_is_refused_with_the_program_that_takes_it(monkeypatch):
    """Memory is bounded; the reader learns what checks a larger ledger."""
    monkeypatch.setattr("opsnb.kits.audit.entries.MAX_ENTRIES", 3)
    with pytest.raises(UsageError, match=r"4 entries.*3[^0-9]*\n.*verify\.py"):
        audit.parse_entries(log(*life("r1")))


def test_a_checkpoint_gives_its_head():
    """Origin, size and root, the root in hex."""
    assert audit.parse_checkpoint(note()) == audit.Head(origin="shop", size=5, root=ROOT.hex())


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"shop\n5\n\n", note(size="-1"), note(size="5 "), note(size="9" * 30), note(root="AAAA"),
     note(root="!"), note(origin=""), note(origin="a\x1b[0m"), note().replace(b"\n\n", b"\n"), note()[:-20]],
)  # fmt: skip
def test_what_is_not_a_checkpoint_is_refused(data):
    """A damaged head is an error with a next move, never a head."""
    with pytest.raises(UsageError, match="not a checkpoint"):
        audit.parse_checkpoint(data)


@given(st.lists(st.binary(max_size=20), max_size=40))
def test_the_root_is_that_of_the_ledger_itself(lines):
    """The kit's own tree hash and the one that signs agree at every size."""
    wanted = tree.root([tree.leaf_hash(line) for line in lines]).hex()
    assert audit.merkle_root(lines) == wanted


def manifest(**changes):
    """Return a manifest's bytes."""
    record = {"runbook": "AUD-001", "title": "T", "mode": "read", "verdict": "DONE", "requester": "kim",
              "ended": "2026-11-23T12:00:00.000Z", "evidence": {"entries": 7, "verified": True}}  # fmt: skip
    return json.dumps({"schema": 1, "run": "r1", "record": {**record, **changes}}).encode()


def test_a_manifest_gives_its_run_and_evidence():
    """Only what an overview needs is kept, texts cut."""
    found = audit.parse_manifest(manifest(title="x" * 1000))
    assert (found.run, found.runbook, found.verdict, len(found.title)) == ("r1", "AUD-001", "DONE", 200)
    assert found.evidence == {"entries": 7, "verified": True}


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"[" * 100_000, manifest(title=1), manifest(evidence=[])])
def test_what_is_not_a_manifest_is_refused(data):
    """Damage is an error, never a traceback."""
    with pytest.raises(UsageError, match="not a manifest"):
        audit.parse_manifest(data)


def test_a_recorded_run_with_its_folder_is_covered():
    """Finished, recorded, folder there: nothing to say."""
    found = coverage_of(entries(life("r1")), [f"{DAY}/r1"], [])
    assert [r.run for r in found.covered] == ["r1"]
    assert (found.uncovered, found.working, found.abandoned) == ((), (), ())


@pytest.mark.parametrize(
    ("one", "folders", "what"),
    [
        (life("r1", end=("finished",)), [], "neither run.recorded nor run.unrecorded"),
        (life("r1"), [], "its folder is missing"),
        ([], [f"{DAY}/r9"], "no entry covers this folder"),
    ],
)
def test_what_is_not_covered_is_named(one, folders, what):
    """A missing record, a missing folder and a folder too many are each found."""
    found = coverage_of(entries(one), folders, [])
    assert len(found.uncovered) == 1
    assert what in found.uncovered[0].what
    assert not found.covered


def test_a_run_said_to_be_unrecorded_is_covered():
    """The ledger says that its record could not be kept; that is not a gap, with or without run.finished."""
    found = coverage_of(entries(life("r1", end=("finished", "unrecorded")), life("r2", end=("unrecorded",))), [], [])
    assert [r.run for r in found.unrecorded] == ["r1", "r2"]
    assert not found.uncovered


@pytest.mark.parametrize("end", [(), ("finished",), ("finished", "recorded")])
def test_a_run_that_is_being_written_is_not_a_gap(end):
    """Claimed, finished or recorded without its folder: while .incoming/ holds it, it is being worked on."""
    found = coverage_of(entries(life("r1", end=end)), [], ["r1"])
    assert [r.run for r in found.working] == ["r1"]
    assert (found.uncovered, found.abandoned) == ((), ())


def test_a_folder_brought_in_while_it_was_looked_at_is_not_a_gap():
    """The rename happens before the ledger is published: such a folder was in .incoming/ a moment ago."""
    assert coverage_of(entries(), [f"{DAY}/r1"], ["r1"]).uncovered == ()


def test_a_claimed_run_that_nobody_works_on_is_left():
    """Without a folder in .incoming/ it is told of, and is not counted as ended."""
    found = coverage_of(entries(life("r1", end=())), [], [])
    assert [r.run for r in found.abandoned] == ["r1"]
    assert found.ended == ()


def test_changes_without_a_known_outcome_are_findings():
    """Opened and never closed, or closed as unknown, is told; ok and failed are not."""
    changes = [("intent.opened", {"run": "r1", "change": n}) for n in range(4)]
    changes += [("intent.closed", {"run": "r1", "change": n, "outcome": o})
                for n, o in enumerate(("ok", "failed", "unknown"))]  # fmt: skip
    claimed, ended = life("r1", "LOST")[:2], life("r1", "LOST")[2:]
    found = trail([*claimed, *changes, *ended], folders=(f"{DAY}/r1",))
    covered = audit.coverage(found)
    assert list(audit.unknown_table(covered)["change"]) == [2, 3]
    assert "2 change(s) with an unknown outcome" in audit.findings_text(audit.stands_out(found, covered))


def test_the_longest_pause_comes_first_with_what_stands_around_it():
    """A gap of days between two entries leads the table and is a finding; a usual one is not."""
    early, late = log(*life("r1")), stamp(START + timedelta(days=9, hours=3))
    line = json.dumps({"at": late, "index": 4, "kind": "site.published"}).encode() + b"\n"
    found = audit.Trail(outputs="/o", entries=audit.parse_entries(early + line).entries)
    first = audit.longest_gaps(found).iloc[0]
    assert (first["pause"], first["after entry"]) == ("9 d 2 h", "3 run.recorded")
    assert "nothing was recorded for 9 d 2 h" in audit.findings_text(audit.stands_out(found, audit.coverage(found)))
    assert "nothing was recorded" not in audit.findings_text(audit.stands_out(trail(life("r1")), audit.Coverage()))


def test_a_request_that_never_ran_is_listed_and_told_of_after_an_hour():
    """A moment ago it is only listed; after an hour it stands out."""
    one = life("r1")[:1]
    fresh, old = trail(one), trail(one, read_at=START + timedelta(hours=5))
    assert list(audit.unrun_table(fresh)["request"]) == ["qr1"]
    assert audit.stands_out(fresh, audit.coverage(fresh)) == []
    assert "waiting request" in audit.findings_text(audit.stands_out(old, audit.coverage(old)))
    assert audit.unrun_table(trail(life("r1"))).empty


def test_the_share_of_own_approvals_is_shown_by_person():
    """One of two approvals of one person was of their own request."""
    rows = [("request.approved", {"request": f"q{n}", "by": who, "self": own})
            for n, (who, own) in enumerate([("p1", True), ("p1", False), ("p2", False)])]  # fmt: skip
    found = trail(rows)
    assert audit.approvals_table(found).to_numpy().tolist() == [["p1", 2, 1, 50.0], ["p2", 1, 0, 0.0]]
    assert audit.self_approved(found) == 1


def test_a_clock_that_went_back_stands_out():
    """Its entry is named; times cannot be compared across it."""
    found = trail(life("r1"), every=-60)
    assert "went back 4 time(s), first at entry 1" in audit.findings_text(
        audit.stands_out(found, audit.coverage(found))
    )


def test_earlier_verifications_come_newest_first_and_only_of_this_runbook():
    """Other runbooks' manifests are not mistaken for verifications."""
    rows = {"a": manifest(), "b": manifest(ended="2026-11-24T12:00:00.000Z", verdict="FAILED"),
            "c": manifest(runbook="HST-001")}  # fmt: skip
    found = audit.Trail(outputs="/o", manifests={k: audit.parse_manifest(v) for k, v in rows.items()})
    assert list(audit.earlier_table(found)["verdict"]) == ["FAILED", "DONE"]
    assert audit.earlier_table(found).iloc[1].tolist() == ["r1", "DONE", True, "7"]


@given(st.lists(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9990, 1, 1)), max_size=30))  # noqa: DTZ001  (made aware below)
def test_periods_are_few_and_lose_nothing(moments):
    """Whatever the span, a plot has at most MOST + 1 periods, and the counts add up to the entries."""
    rows = [audit.Entry(index=i, at=m.replace(tzinfo=UTC), kind="k") for i, m in enumerate(moments)]
    table = audit.entries_by_period(rows)
    assert len(table) <= MOST + 1
    assert table["entries"].sum() == len(rows)
    assert not rows or table["in all"].iloc[-1] == len(rows)


@pytest.mark.parametrize(
    ("span", "name"),
    [({"minutes": 5}, "minute"), ({"hours": 5}, "10 minutes"), ({"hours": 30}, "hour"), ({"days": 30}, "day"),
     ({"days": 300}, "week"), ({"days": 3000}, "8 weeks")],
)  # fmt: skip
def test_periods_suit_the_span(span, name):
    """Minutes for an afternoon, days for a month, weeks for a year."""
    assert step_name(step_of([START, START + timedelta(**span)])) == name


def test_verdicts_are_counted_in_their_period_good_ones_first():
    """One column for each verdict that occurs; periods without a run are there as zeros."""
    lives = entries(life("r1", "FAILED"), life("r2"), life("r3"), every=40)
    found = coverage_of(lives, [f"{DAY}/r{n}" for n in (1, 2, 3)], [])
    table = audit.verdicts_by_period(found.ended)
    assert list(table.columns) == ["minute", "DONE", "FAILED"]
    assert (table["DONE"].sum(), table["FAILED"].sum()) == (2, 1)
    assert (table.iloc[:, 1:].sum(axis=1) == 0).any()


@pytest.mark.parametrize(
    ("code", "report", "verdict", "altered"),
    [
        (0, {"problems": []}, "INTACT", 0),
        (1, {"problems": ["a\x1b[31m: gone"] * 60}, "ALTERED", 60),
        (2, {"problems": ["no ledger"]}, "NOT CHECKED", 0),
        (0, {"problems": ["x"]}, "NOT CHECKED", 0),
        (0, {"problems": [], "exit_code": 1}, "NOT CHECKED", 0),
        (0, {"problems": [], "ok": False}, "NOT CHECKED", 0),
        (7, {"problems": ["x"]}, "NOT CHECKED", 0),
        (0, {}, "NOT CHECKED", 0),
    ],
)
def test_the_verifiers_answer_counts_only_without_contradiction(code, report, verdict, altered):
    """Exit code and document must agree; what it says cannot steer a terminal; the count is the whole one."""
    document = {"ok": code == 0, "exit_code": code, "counts": {"entries": 1}, **report}
    found = audit.parse_report(code, json.dumps(document).encode())
    assert (found.verdict, found.altered) == (verdict, altered)
    assert "\x1b" not in audit.verification_text(found)
    assert found.intact is (verdict == "INTACT")


@pytest.mark.parametrize("printed", [b"", b"INTACT\n", b"[]", b"null", b"[" * 100_000])
def test_a_verifier_that_prints_no_document_has_not_checked(printed):
    """Exit code 0 alone is no proof."""
    assert audit.parse_report(0, printed).verdict == "NOT CHECKED"


def test_a_verifier_that_hangs_or_is_missing_has_not_checked(tmp_path):
    """Both are said in words, and neither is intact."""
    assert audit.verify(str(tmp_path)).summary == "NOT CHECKED: ledger/verify.py is not there"
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "verify.py").write_text("import time; time.sleep(60)")
    assert "did not answer within 0.2 s" in audit.verify(str(tmp_path), seconds=0.2).summary


def test_without_a_ledger_everything_is_empty_and_nothing_breaks():
    """A notebook opened by hand shows empty tables and plots rather than an error."""
    found = audit.read_trail("")
    covered = audit.coverage(found)
    assert audit.suits("") == (False, "outputs (not given) holds no ledger/checkpoint")
    for table in (audit.kinds_table(found), audit.verdicts_table(covered), audit.uncovered_table(covered),
                  audit.longest_gaps(found), audit.open_table(found, covered), audit.unrun_table(found),
                  audit.approvals_table(found), audit.earlier_table(found), audit.unknown_table(covered)):  # fmt: skip
        assert table.empty
    assert len(audit.ledger_table(found)) == 7
    assert "signed now: none" in audit.heads_text(found)
    audit.entries_chart(audit.entries_by_period(())).canvas.draw()
    audit.verdicts_chart(audit.verdicts_by_period(())).canvas.draw()
    assert audit.stands_out(found, covered) == []


def test_a_kept_head_that_is_none_is_refused_with_its_name(tmp_path):
    """The message names the file."""
    (tmp_path / "h").write_text("no")
    with pytest.raises(UsageError, match="h: this is not a checkpoint"):
        audit.read_head(str(tmp_path / "h"))
    with pytest.raises(UsageError, match="No such file"):
        audit.read_head(str(tmp_path / "gone"))
