"""Exact edits of a server line: what is wanted changes, and not one byte besides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.kits.nginx import edit
from opsnb.kits.nginx.grammar import Directive, parse, walk

PLAIN = """\
# balanced by hand; do not touch
upstream shop {
    least_conn;  # busy ones last
\tserver 10.0.0.1:8000 weight=3 max_fails=2;   # app1, rack 7
    server 10.0.0.2:8000;
    server   "10.0.0.3:8000"  backup ;# app3
    keepalive 16;
}
"""
ONE_LINE = "upstream shop { server 10.0.0.1:8000; server 10.0.0.2:8000 down; }\n"
SPREAD = "upstream shop {\n  server 10.0.0.1:8000 # the address\n    weight=2 # of 3\n    down # since Monday\n  ;\n  server b;\n}\n"


def server(text: str, address: str) -> Directive:
    """Return the server line of an address."""
    return next(d for d in walk(parse(text, "f.conf")) if d.name == "server" and d.arguments[0] == address)


def meaning(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return every directive's words."""
    return [(d.name, d.arguments) for d in walk(parse(text, "f.conf"))]


def test_down_is_set_behind_the_last_word_and_comments_stay():
    """The word goes before the semicolon; blanks, tabs and the comment behind are as they were."""
    text = edit.set_down(PLAIN, server(PLAIN, "10.0.0.1:8000"))
    assert "\tserver 10.0.0.1:8000 weight=3 max_fails=2 down;   # app1, rack 7\n" in text
    assert text.replace(" max_fails=2 down", " max_fails=2") == PLAIN
    text = edit.set_down(PLAIN, server(PLAIN, "10.0.0.3:8000"))
    assert '    server   "10.0.0.3:8000"  backup down ;# app3\n' in text


def test_what_is_so_already_stays_to_the_byte():
    """Down set twice, down removed where there is none, the weight that it has: the same text."""
    down = edit.set_down(PLAIN, server(PLAIN, "10.0.0.2:8000"))
    assert edit.set_down(down, server(down, "10.0.0.2:8000")) == down
    assert edit.remove_down(PLAIN, server(PLAIN, "10.0.0.1:8000")) == PLAIN
    assert edit.set_weight(PLAIN, server(PLAIN, "10.0.0.1:8000"), 3) == PLAIN
    assert edit.set_weight(PLAIN, server(PLAIN, "10.0.0.2:8000"), 1) == PLAIN
    assert edit.remove_weight(PLAIN, server(PLAIN, "10.0.0.2:8000")) == PLAIN


def test_a_weight_is_replaced_where_it_stands_or_put_behind_the_address():
    """Other words keep their order; one line of several on a line is edited alone."""
    assert "10.0.0.1:8000 weight=12 max_fails=2;" in edit.set_weight(PLAIN, server(PLAIN, "10.0.0.1:8000"), 12)
    assert '"10.0.0.3:8000" weight=2  backup ;# app3' in edit.set_weight(PLAIN, server(PLAIN, "10.0.0.3:8000"), 2)
    text = edit.set_weight(ONE_LINE, server(ONE_LINE, "10.0.0.2:8000"), 5)
    assert text == "upstream shop { server 10.0.0.1:8000; server 10.0.0.2:8000 weight=5 down; }\n"
    quoted = 'upstream u { server a "weight=2"; }'
    assert edit.set_weight(quoted, server(quoted, "a"), 4) == "upstream u { server a weight=4; }"


def test_words_on_lines_of_their_own_and_comments_between_them():
    """A word goes without the comments around it, and what nginx reads afterwards is what was wanted."""
    text = edit.remove_down(SPREAD, server(SPREAD, "10.0.0.1:8000"))
    assert text == SPREAD.replace("    down # since Monday", " # since Monday")
    text = edit.remove_weight(SPREAD, server(SPREAD, "10.0.0.1:8000"))
    assert text == SPREAD.replace("    weight=2 # of 3", " # of 3")
    text = edit.set_down(SPREAD.replace("down #", "#"), server(SPREAD.replace("down #", "#"), "10.0.0.1:8000"))
    assert text == SPREAD.replace("weight=2 # of 3", "weight=2 down # of 3").replace("    down # since", "    # since")


def test_a_server_line_is_added_as_its_neighbour_stands():
    """Behind the neighbour's comment, with its indentation and its line ends; on its line where it shares one."""
    text = edit.add_server(PLAIN, server(PLAIN, "10.0.0.1:8000"), "10.0.0.9:8000 weight=2")
    assert "rack 7\n\tserver 10.0.0.9:8000 weight=2;\n    server 10.0.0.2" in text
    text = edit.add_server(ONE_LINE, server(ONE_LINE, "10.0.0.2:8000"), "c")
    assert text == "upstream shop { server 10.0.0.1:8000; server 10.0.0.2:8000 down; server c; }\n"
    dos = PLAIN.replace("\n", "\r\n")
    assert ";# app3\r\n    server c;\r\n    keepalive" in edit.add_server(dos, server(dos, "10.0.0.3:8000"), "c")
    empty = "  upstream shop {\n    zone shop 64k;\n  }\n"
    block = parse(empty, "f")[0]
    assert edit.add_first_server(empty, block, "c") == "  upstream shop {\n    zone shop 64k;\n      server c;\n  }\n"


def test_a_server_line_is_removed_and_its_comment_stays():
    """The line goes with its end; a comment behind it becomes a line of its own."""
    assert edit.remove_server(PLAIN, server(PLAIN, "10.0.0.2:8000")) == PLAIN.replace("    server 10.0.0.2:8000;\n", "")
    text = edit.remove_server(PLAIN, server(PLAIN, "10.0.0.1:8000"))
    assert "    least_conn;  # busy ones last\n\t# app1, rack 7\n    server 10.0.0.2" in text
    text = edit.remove_server(ONE_LINE, server(ONE_LINE, "10.0.0.2:8000"))
    assert text == "upstream shop { server 10.0.0.1:8000; }\n"
    dos = PLAIN.replace("\n", "\r\n")
    assert edit.remove_server(dos, server(dos, "10.0.0.2:8000")) == dos.replace("    server 10.0.0.2:8000;\r\n", "")


def test_a_server_line_becomes_a_comment_and_hides_nothing_else():
    """Each of its lines gets a mark; where another directive stands on the same line it is refused."""
    text = edit.comment_server(PLAIN, server(PLAIN, "10.0.0.1:8000"), "out")
    assert "\t# out: server 10.0.0.1:8000 weight=3 max_fails=2;   # app1, rack 7\n" in text
    assert [d.arguments[0] for d in walk(parse(text, "f")) if d.name == "server"] == ["10.0.0.2:8000", "10.0.0.3:8000"]
    text = edit.comment_server(SPREAD, server(SPREAD, "10.0.0.1:8000"))
    assert [d.arguments for d in walk(parse(text, "f")) if d.name == "server"] == [("b",)]
    with pytest.raises(UsageError, match=r"f\.conf:1: the server line shares its line"):
        edit.comment_server(ONE_LINE, server(ONE_LINE, "10.0.0.2:8000"))


def test_a_text_that_is_not_the_one_that_was_read_is_refused():
    """Offsets of another text never cut into it."""
    line = server(PLAIN, "10.0.0.1:8000")
    for other in ("", "x" * 500, PLAIN.replace("10.0.0.1", "10.0.0.7"), "\n" + PLAIN):
        with pytest.raises(UsageError, match="not as it was read"):
            edit.set_down(other, line)
    with pytest.raises(UsageError, match="nginx takes 1 and more"):
        edit.set_weight(PLAIN, line, 0)


words = st.lists(
    st.sampled_from(["weight=3", "max_fails=0", "fail_timeout=10s", '"down"', "down", "backup", "'a b'", "resolve"]),
    max_size=5,
    unique=True,
)
gaps = st.sampled_from([" ", "  ", "\t", "\n        ", " # note; }\n    ", "\r\n  "])
tails = st.sampled_from(["\n", "  # kept\n", " server z;\n", "\r\n", " }\n#"])


@given(before=words, gap=st.lists(gaps, min_size=6, max_size=6), tail=tails, weight=st.integers(1, 99))
def test_an_edit_means_what_it_says_and_its_opposite_gives_the_text_back(before, gap, tail, weight):
    """Any layout: exactly the wanted words differ in what nginx reads; set and remove are each other's inverse."""
    parts = "".join(g + w for g, w in zip(gap, ["a:1", *before], strict=False))
    text = (
        f"upstream u {{\n    server{parts};{tail}}}\n" if "}" not in tail else f"upstream u {{ server{parts};{tail}\n"
    )
    line = server(text, "a:1")
    others = [w for w in line.arguments if w != "down" and not w.startswith("weight=")]
    down = edit.set_down(text, line)
    assert server(down, "a:1").arguments == (*line.arguments, *(() if "down" in line.arguments else ("down",)))
    if "down" not in line.arguments:
        assert edit.remove_down(down, server(down, "a:1")) == text
    weighed = edit.set_weight(text, line, weight)
    assert [w for w in server(weighed, "a:1").arguments if w.startswith("weight=")] in ([f"weight={weight}"], [])
    assert [w for w in server(weighed, "a:1").arguments if w != "down" and not w.startswith("weight=")] == others
    if not any(w.startswith("weight=") for w in line.arguments):
        assert edit.remove_weight(weighed, server(weighed, "a:1")) == text
    up = edit.remove_down(text, line)
    assert server(up, "a:1").arguments == tuple(w for w in line.arguments if w != "down")


@given(before=words, gap=st.lists(gaps, min_size=6, max_size=6), tail=tails)
def test_a_line_that_is_added_and_removed_leaves_no_trace(before, gap, tail):
    """In any layout a new line stands as a directive of the block, and removing it gives the old text back."""
    parts = "".join(g + w for g, w in zip(gap, ["a:1", *before], strict=False))
    text = (
        f"upstream u {{\n    server{parts};{tail}}}\n" if "}" not in tail else f"upstream u {{ server{parts};{tail}\n"
    )
    more = edit.add_server(text, server(text, "a:1"), "b:2 weight=2")
    assert [m for m in meaning(more) if m not in meaning(text)] == [("server", ("b:2", "weight=2"))]
    assert edit.remove_server(more, server(more, "b:2")) == text
