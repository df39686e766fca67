"""Spares in and back ends out: the rules as edits, and on a real nginx what is asked before and proven after."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nearby import carry_out, nearby
from nginx.tier import Tier, tier
from opsnb.base.errors import NotFoundError, OpsnbError, UsageError
from opsnb.kits.nginx import shift, shiftproof, shiftrules, spares, sparesrules
from opsnb.kits.nginx.grammar import parse
from opsnb.kits.nginx.shift import Wanted
from opsnb.kits.nginx.sparesrules import Spare
from opsnb.kits.nginx.upstreams import upstreams_of
from places import wait_for

HOST = "near1"
TEXT = """\
http {
  upstream shop {
    server 10.0.0.1:8000 weight=3 max_fails=2 fail_timeout=5s;  # app1
    server 10.0.0.2:8000 fail_timeout=5s max_fails=2 max_conns=9; # app2
    server 10.0.0.9:8000 backup max_fails=7;  # the reserve
  }
}
"""


def came_in(text: str, spare: Spare, names: shiftrules.Names | None = None) -> str:
    """Return a text with a spare in."""
    found = upstreams_of(parse(text, "f"))
    upstream = sparesrules.the_upstream(found, spare, names)
    edits = sparesrules.bring_in(upstream, spare, sparesrules.address_of(upstream, spare, names), {"f": text})
    return edits[0]["f"] if edits else text


def went_out(text: str, spare: Spare) -> list[str]:
    """Return a text after each step of taking a back end out."""
    chosen = shiftrules.choose(upstreams_of(parse(text, "f")), spare.as_shift)
    return [edits["f"] for edits in sparesrules.take_out(chosen, spare, {"f": text})]


def test_a_new_line_stands_behind_the_last_primary_with_the_words_they_agree_on():
    """Their max_fails and fail_timeout, not their weights; the backup stays last."""
    line = "    server 10.0.0.3:8000 weight=1 max_fails=2 fail_timeout=5s;\n"
    want = TEXT.replace("    server 10.0.0.9", f"{line}    server 10.0.0.9")
    assert came_in(TEXT, Spare(action="in", server="10.0.0.3:8000", weight=1)) == want
    by_name = Spare(action="in", server="app3", weight=1)
    assert came_in(TEXT, by_name, {"app3": ["10.0.0.3"]}) == want
    assert came_in(want, by_name, {"app3": ["10.0.0.3"]}) == want
    empty = "http {\n  upstream shop {\n    zone shop 64k;\n  }\n}\n"
    assert "    zone shop 64k;\n      server a:1;\n  }" in came_in(empty, Spare(action="in", server="a:1"))


def test_down_and_backup_are_taken_from_the_line():
    """One that is down or in reserve serves like the others afterwards."""
    down = TEXT.replace("max_conns=9;", "max_conns=9 down;")
    assert came_in(down, Spare(action="in", server="10.0.0.2:8000")) == TEXT
    reserve = came_in(TEXT, Spare(action="in", server="10.0.0.9:8000", weight=2))
    assert reserve == TEXT.replace("10.0.0.9:8000 backup max_fails=7", "10.0.0.9:8000 weight=2 max_fails=7")


def test_one_goes_out_by_way_of_down():
    """Removed with its comment left, turned into a comment, or left as down."""
    spare = Spare(action="out", server="10.0.0.2:8000")
    down = TEXT.replace("max_conns=9;", "max_conns=9 down;")
    gone = TEXT.replace("server 10.0.0.2:8000 fail_timeout=5s max_fails=2 max_conns=9; # app2", "# app2")
    assert went_out(TEXT, spare) == [down, gone]
    assert went_out(down, spare) == [gone]
    comment = down.replace("    server 10.0.0.2", "    # out: server 10.0.0.2")
    assert went_out(TEXT, Spare(action="out", server="10.0.0.2:8000", how="comment")) == [down, comment]
    assert went_out(TEXT, Spare(action="out", server="10.0.0.2:8000", how="down")) == [down]


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        (TEXT, {"at_least": 2}, r"1 back ends of shop would be up without 10\.0\.0\.1:8000, and at least 2"),
        (TEXT.replace("max_conns=9", "down"), {}, "only backup servers of shop would be left"),
        (
            TEXT.replace("shop {", "shop { ip_hash;").replace(" backup", ""),
            {},
            "shop chooses by ip_hash: without the line",
        ),
        (TEXT.replace("shop {", "shop { hash $uri;"), {"how": "comment"}, "shop chooses by hash"),
    ],
)
def test_what_would_leave_too_few_or_move_everybody_is_refused(text: str, values: dict[str, object], words: str):
    """With the reason and the next move; under ip_hash the line may stay as down."""
    with pytest.raises(UsageError, match=words) as caught:
        went_out(text, Spare(**{"action": "out", "server": "10.0.0.1:8000", **values}))  # type: ignore[arg-type]
    assert caught.value.hint
    if "ip_hash" in text:
        assert len(went_out(text, Spare(action="out", server="10.0.0.1:8000", how="down"))) == 1


def test_which_upstream_and_which_port_are_meant():
    """The only one, or the named one; a host's port is that of the others, when they have one."""
    two = TEXT.replace("http {", "http {\n upstream api { server 10.0.0.1:81; server 10.0.0.2:82; }")
    found = upstreams_of(parse(two, "f"))
    with pytest.raises(UsageError, match="2 upstreams could be meant"):
        sparesrules.the_upstream(found, Spare(action="in", server="10.0.0.3:8000"))
    api = sparesrules.the_upstream(found, Spare(action="in", server="app3", upstream="api"))
    with pytest.raises(UsageError, match=r"the port of app3 is not known: the servers of api have 81, 82"):
        sparesrules.address_of(api, Spare(action="in", server="app3"), {"app3": ["10.0.0.3"]})
    with pytest.raises(NotFoundError, match="no upstream 'shp'"):
        sparesrules.the_upstream(found, Spare(action="in", server="app3", upstream="shp"))
    for bad in ("10.0.0.3:8000; }", "a b", "10.0.0.300:80", "$host:80", "[::1", "a:99999", "x\nserver y"):
        with pytest.raises(UsageError):
            sparesrules.address_of(api, Spare(action="in", server=bad))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    """A tier of which a and b serve, and c is a spare that no line names."""
    folder = tmp_path_factory.mktemp("web")
    folder.chmod(0o755)
    with nearby(), tier(folder, "server {a} max_fails=2;  # first", "server {b} max_fails=2;") as made:
        yield made


@pytest.mark.slow
def test_a_spare_is_asked_brought_in_proven_taken_out_and_everything_comes_back(web: Tier) -> None:
    """Shares by weight in, none after out; the undo of both restores the file to the byte."""
    conf, before = str(web.conf), web.site.read_text(encoding="utf-8")
    spare = Spare(action="in", server=web.backends["c"], weight=2)
    answers = spares.ask([HOST], spare, "/health", conf=conf)[HOST]
    assert {address: answer.status for address, answer in answers.items()} == dict.fromkeys(web.backends.values(), 200)
    plan = spares.plan([HOST], spare, conf=conf)
    notes = spares.notes(plan)["to know"].tolist()
    assert ["it may be another release" in words for words in notes] == [True]  # each test back end says its name
    with pytest.raises(UsageError, match="another release"):
        spares.plan([HOST], spare, conf=conf, same=True)
    carry_out(plan)
    assert spares.plan([HOST], spare, conf=conf).changes == ()
    proof = spares.prove_all([HOST], "shop", "/n/1", 40, conf=conf)[HOST]
    assert proof.answered == {web.backends["a"]: 10, web.backends["b"]: 10, web.backends["c"]: 20}
    assert shiftproof.silent({HOST: proof}, web.backends["c"], wanted=True) == []
    assert shiftproof.silent({HOST: proof}, web.backends["c"], wanted=False) == [f"{HOST}: 20 of 40 answers"]
    out = spares.plan([HOST], Spare(action="out", server=web.backends["a"], at_least=2, how="comment"), conf=conf)
    assert [c.verb for c in out.changes] == ["nginx.files", "nginx.step"]
    carry_out(out)
    assert f"    # out: server {web.backends['a']} max_fails=2 down;  # first\n" in web.site.read_text(encoding="utf-8")
    assert spares.astray(out) == []
    proof = spares.prove_all([HOST], "shop", "/n/1", 30, conf=conf)[HOST]
    assert proof.answered == {web.backends["b"]: 10, web.backends["c"]: 20}
    carry_out(out.inverse())
    carry_out(plan.inverse())
    assert web.site.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_a_line_stays_while_requests_are_open_and_goes_when_they_have_ended(web: Tier) -> None:
    """Not drained in time: the step is refused, the back end stays down, nothing else changed; later it goes."""
    web.write()
    web.reload()
    web.forget()
    spare = Spare(action="out", server=web.backends["c"])
    plan = spares.plan([HOST], spare, conf=str(web.conf), wait=0.5)
    threads = [threading.Thread(target=web.get, args=(f"/held/{n}",)) for n in range(3)]  # one for each back end
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: sum(web.counted().values()) >= 3, 20)
        carry_out(type(plan)(title="", changes=plan.changes[:1]))
        last = type(plan)(title="", changes=plan.changes[1:])
        said = r"is not drained, and stays down: after .* 1 connections and [12] workers"
        with pytest.raises(OpsnbError, match=said):
            carry_out(last)
        assert f"server {web.backends['c']} down;" in web.site.read_text(encoding="utf-8")
    finally:
        web.release()
        for thread in threads:
            thread.join()
    carry_out(last)
    assert web.backends["c"] not in web.site.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_step_is_not_begun_after_errors_and_one_that_is_unwell_does_not_return(web: Tier) -> None:
    """Errors at the back end in the watched log end the shift; a back end that is not there is not returned."""
    web.write()
    web.reload()
    server, conf = web.backends["b"], str(web.conf)
    plan = shift.plan(
        [HOST], Wanted(action="weight", server=server, steps=(2,), weight=5), conf=conf, pause=1, errors=10
    )
    assert "watch the log for 1 s, at most 10 % errors" in plan.changes[1].command
    ended = threading.Event()

    def broken() -> None:
        while not ended.is_set():
            for path in ("/broken/1", "/n/2", "/n/3"):
                try:
                    web.get(path)
                except OSError:
                    continue

    asking = threading.Thread(target=broken)
    asking.start()
    try:
        with pytest.raises(OpsnbError, match=r"the step to weight 5: .* was not begun: \d+ errors in \d+ tries at"):
            carry_out(plan)
    finally:
        ended.set()
        asking.join()
    assert f"server {server} weight=2;" in web.site.read_text(encoding="utf-8")
    drain = shift.plan([HOST], Wanted(action="drain", server=server), conf=conf)
    carry_out(drain)
    web.stop_backend("b")
    try:
        with pytest.raises(UsageError, match=r"does not answer /health as a back end that may return: no answer"):
            shift.plan([HOST], Wanted(action="return", server=server), conf=conf)
    finally:
        web.start_backend("b")
    assert len(shift.plan([HOST], Wanted(action="return", server=server), conf=conf).changes) == 1
