"""450 hostile values as formats, paths, times, and as what a client writes into a log: data, or refused; none is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.sampled import part
from hostile.values import executed, sendable, values
from nginx.accesslines import AWKS, scanned
from opsnb.base.errors import UsageError
from opsnb.kits.nginx.access.formats import Format, parse_format
from opsnb.kits.nginx.access.logs import checked
from opsnb.kits.nginx.access.window import window

pytestmark = pytest.mark.slow
VALUES = values()
LONGEST = 400  # characters of a message that a person still reads
SIMPLE = parse_format('"$request" $status "$http_user_agent"')


def format_with(value: str) -> Format | None:
    """Return a format with a value between two variables; nothing where it is refused, or is a variable itself."""
    try:
        made = parse_format(f"<${{status}}{value}${{request_time}}>")
    except UsageError as error:
        refused = str(error)
    else:
        return made if len(made.fields) == len(("status", "request_time")) else None
    assert len(refused) < LONGEST
    return None


@pytest.mark.parametrize("awk", AWKS)
def test_a_value_as_the_text_of_a_format(awk: str, tmp_path: Path) -> None:
    """Between two variables: a line with that text there is counted, another one is not; or the format is refused."""
    pairs: list[tuple[str, Format]] = []
    some = part(VALUES, 6 if awk == "mawk" else 40)
    for number, value in enumerate(some):
        made = format_with(value)
        if made is None or f"200{value}".index(value) < len("200"):  # "0" ends a status in its middle
            continue
        path = tmp_path / f"{number}.log"
        text = value.encode("utf-8", "surrogateescape")
        path.write_bytes(b"<200" + text + b"0.010>\n<200" + text + b"x0.010>\n<200\n")
        pairs.append((str(path), made))
    assert len(pairs) > len(some) / 2
    answer = scanned(pairs, awk=awk)
    assert answer.whole
    for file in answer.files:
        assert (file.counted, file.odd, file.series.total.ms) == (1, 2, 10), (file.name, file.samples)
    assert len(answer.files) == len(pairs)
    assert executed() == []


def path_of(text: str) -> str:
    """Return a path, or nothing where it is refused."""
    try:
        return checked(text)
    except UsageError as error:
        refused = str(error)
    assert len(refused) < LONGEST
    return ""


def test_a_value_as_a_path() -> None:
    """Alone, and below a folder that is not there: refused, or no such file; no command, no option."""
    assert sum(path_of(value) == "" for value in VALUES) > len(VALUES) / 2, "most are no absolute path"
    some = [value for value in part(VALUES, 6) if sendable(value) and not value.startswith(("/", ".."))]
    patterns = [found for value in some if (found := path_of(f"/nowhere/{value}"))]
    assert len(patterns) > len(some) / 2
    answer = scanned([(pattern, SIMPLE) for pattern in patterns])
    assert (answer.whole, answer.files) == (True, [])
    assert executed() == []


def test_a_value_as_a_time() -> None:
    """It is no time."""
    for value in VALUES:
        if value.strip():
            with pytest.raises(UsageError):
                window(value, value)


@pytest.mark.parametrize("awk", AWKS)
def test_a_value_that_a_client_wrote_into_a_log(awk: str, tmp_path: Path) -> None:
    """As a line, as a path, as a user agent, unescaped as with escape=none: counted or shown, every line once, none run."""
    rows = []
    for value in VALUES:
        text = value.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
        rows += [text, b'"GET /' + text + b' HTTP/1.1" 200 "x"', b'"GET / HTTP/1.1" 200 "' + text + b'"']
    (tmp_path / "x.log").write_bytes(b"\n".join(rows) + b"\n")
    [file] = scanned([(str(tmp_path / "x.log"), SIMPLE)], awk=awk).files
    assert (file.lines, file.counted + file.odd) == (len(rows), len(rows))
    assert file.counted > len(VALUES)
    assert file.paths.total.requests == file.counted
    assert executed() == []
