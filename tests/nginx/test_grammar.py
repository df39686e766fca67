"""The grammar of nginx configurations: words as nginx takes them apart, spans that leave every other byte alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nginx.spans import gaps
from opsnb.base.errors import UsageError
from opsnb.kits.nginx.grammar import MAX_DEPTH, parse, walk
from opsnb.kits.nginx.tokens import MAX_WORD, decode, encode

WORDS = [
    ("plain", "plain"),
    ('"a b"', "a b"),
    ("'a;b{c}#d'", "a;b{c}#d"),
    ("a#b", "a#b"),
    ('a"b', 'a"b'),
    ("${host}x", "${host}x"),
    ("$${{x", "$${{x"),
    ("a}", "a}"),
    (r"^~\.php$", r"^~\.php$"),
    (r"a\;b\ c\{", r"a\;b\ c\{"),
    (r'"say \"hi\" \\ \t\n\r \d"', 'say "hi" \\ \t\n\r \\d'),
    (r"it\'s", "it's"),
    ('""', ""),
    ("'line\nbreak'", "line\nbreak"),
    ('"~^/(?<a>[a-z]{2,3})$"', "~^/(?<a>[a-z]{2,3})$"),
    ("例子.中国", "例子.中国"),
]

REFUSED = [
    ("a {\nb c;\n", "x:3: found the end of the file, wanted '}' for 'a' of line 1"),
    ("a b", "x:1: found the end of the file after 'b', wanted ';' or '{'"),
    ("a b\\", "x:1: found the end of the file after 'b', wanted ';' or '{'"),
    ("a\n'b c;\n}", "x:2: found ' without its end: ''b c;\\n}', wanted a closing '"),
    ('a "b"c;', "x:1: found 'c' after a closing \", wanted a space, ';' or '{'"),
    ("a b; }", "x:1: found '}' that closes nothing, wanted a directive or the end of the file"),
    ("a {\nb c }", "x:2: found '}' after 'b c' without its end, wanted ';'"),
    (";", "x:1: found ';' without a directive, wanted a directive"),
    ("\n{ }", "x:2: found '{' without a name, wanted a directive"),
    ("\ufeffa b;", "x:1: found a byte order mark, wanted none: nginx takes it as part of the first word"),
    ("a;\n\0b;", "x:2: found a NUL byte, wanted text"),
    ("server {\n listen 80\n location / { }\n}", "x:2: found 'listen' with a block: 'listen 80 location /', wanted ';' after its arguments"),
    ("http;", "x:1: found 'http' that ends with ';': 'http', wanted '{'"),
    ("map $a $b { c d {} }", "x:1: found '{' after 'c d' in 'map', wanted ';': its entries have no block"),
    ("x_by_lua_block { if a then { }", "x:1: found a block of Lua without its end, wanted '}'"),
    ("x_by_lua_block { a = 'b }", "x:1: found a Lua string without its end in ', wanted a closing quote"),
    ("x_by_lua_block { --[==[ ]] }", "x:1: found Lua's --[==[ without its end, wanted ]==]"),
    ("a " + "b" * MAX_WORD + ";", f"x:1: found a word of {MAX_WORD} bytes or more: '{'b' * 40}...', wanted less"),
    ("a " + "中" * 1366 + ";", f"x:1: found a word of {MAX_WORD} bytes or more: '{'中' * 40}...', wanted less"),
    ("a {" * (MAX_DEPTH + 1), f"x:1: found blocks more than {MAX_DEPTH} deep, wanted fewer"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), WORDS, ids=range(len(WORDS)))
def test_a_word_means_what_nginx_takes_it_for(written: str, meant: str) -> None:
    """Quotes, backslashes, braces of variables, comment signs within words; its span is what is written."""
    text = f"# 注释 {{\nname {written} # }}\n ;"
    (found,) = parse(text, "x")
    assert (found.name, found.arguments, found.line) == ("name", (meant,), 2)
    assert text[slice(*found.spans[1])] == written
    assert text[found.start : found.end] == text[text.index("name") :]


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=range(len(REFUSED)))
def test_what_nginx_cannot_read_is_refused_with_its_line(text: str, why: str) -> None:
    """The refusal names file and line, what was found, what was wanted."""
    with pytest.raises(UsageError) as refusal:
        parse(text, "x")
    assert refusal.value.message == why


def test_blocks_nest_and_know_where_they_are() -> None:
    """A block has its directives, the offsets between its braces, and ends behind its brace."""
    text = "http { # {\n  server { listen 80; }\n}\nuser www;"
    http, user = parse(text, "x")
    assert http.block is not None
    (server,) = http.named("server")
    assert (text[slice(*server.inside or ())], text[server.start : server.end]) == (
        " listen 80; ",
        "server { listen 80; }",
    )
    assert (server.value("listen"), server.value("root", "none"), server.where, user.line) == ("80", "none", "x:2", 4)
    assert [d.name for d in walk((http, user))] == ["http", "server", "listen", "user"]


def test_lua_is_kept_as_it_is() -> None:
    """Braces in Lua's strings, comments and long brackets do not count."""
    lua = "\n local t = {a = '}', b = \"\\\"}\"} -- } '\n s = [[ } ]] --[=[ } ]] ]=] s = s .. [==[ ]=] } ]==]\n"
    text = f"location / {{ set_by_lua_block $x {{{lua}}} root /a; }}"
    (location,) = parse(text, "x")
    block, root = location.block or ()
    assert (block.name, block.arguments, block.raw, block.block) == ("set_by_lua_block", ("$x",), lua, ())
    assert (root.name, text[block.start : block.end]) == ("root", f"set_by_lua_block $x {{{lua}}}")


def test_bytes_survive_whatever_their_encoding() -> None:
    """GBK, latin-1, CRLF: one argument replaced by its span, every other byte as it was."""
    for data in ("# 中文\r\nroot /旧;\r\n".encode("gbk"), b"# caf\xe9\nroot /\xe9;", b"root /a;"):
        text = decode(data)
        (root,) = parse(text, "x")
        begin, end = root.spans[1]
        assert encode(text) == data
        assert encode(text[:begin] + "/new" + text[end:]).startswith(data[: data.index(b"/")] + b"/new;")


word = st.text(st.sampled_from("ab\"'\\$#é中/~^."), min_size=1, max_size=8)
noise = st.text(st.sampled_from(" \n\t{};#\"'\\$ab[]-="), max_size=60)


@settings(deadline=None, max_examples=400)
@given(noise | st.binary(max_size=60).map(decode), st.sampled_from(["", "x_by_lua_block {", "map a b {", "http {"]))
def test_any_text_is_taken_apart_or_refused(text: str, before: str) -> None:
    """Never another error; between the words of what was taken there is nothing that means anything."""
    text = before + text + ("}" if before else "")
    try:
        found = parse(text, "x")
    except UsageError:
        return
    for line in gaps(text, found).split("\n"):
        assert not line.split("#")[0].strip(" \t\r{};")
    for one in walk(found):
        again = parse(text[one.start : one.end], "x")
        assert [(d.name, d.arguments, d.raw) for d in walk(again)] == [
            (d.name, d.arguments, d.raw) for d in walk((one,))
        ]


@settings(deadline=None, max_examples=200)
@given(st.lists(word, min_size=1, max_size=4))
def test_what_is_quoted_comes_back(words: list[str]) -> None:
    """A word written between quotes with its quotes and backslashes escaped is that word again."""
    written = " ".join('"' + w.replace("\\", "\\\\").replace('"', '\\"') + '"' for w in words)
    (found,) = parse(f"a {written};", "x")
    assert found.arguments == tuple(words)
