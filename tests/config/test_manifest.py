"""config.yaml and variables.yaml: what they say, or an error with file, line, field and the nearest right name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.base.errors import UsageError
from opsnb.kits.config import entries
from opsnb.kits.config.manifest import read_manifest, read_variables
from opsnb.kits.config.values import File, Manifest, Rule

PATH = "configs/shop/config.yaml"
FULL = """\
# the shop
files:
  - path: /etc/shop/a.conf
    source: a.conf
    hosts: role=app & !web1
    mode: "0640"
    owner: root:shop
    template: true
    sensitive: true
    validate: [shop, --check, "--config=%s"]
    activate: [systemctl, reload, shop]   # once a host
  - path: /etc/b
variables:
  port: {pattern: "[0-9]+"}
  tier: {choices: [1, gold, true]}
"""


def read(text: str) -> Manifest:
    """Read a manifest."""
    return read_manifest(text, "shop", PATH)


def test_everything_that_a_manifest_says() -> None:
    """Each field, and what is left out."""
    manifest = read(FULL)
    assert manifest.files == (
        File(path="/etc/shop/a.conf", source="a.conf", hosts="role=app & !web1", mode="0640", owner="root:shop",
             template=True, sensitive=True, validate=("shop", "--check", "--config=%s"),
             activate=("systemctl", "reload", "shop"), line=3),
        File(path="/etc/b", source="etc/b", line=12),
    )  # fmt: skip
    assert manifest.files[0].checks_staged
    assert manifest.rules == {"port": Rule(pattern="[0-9]+"), "tier": Rule(choices=("1", "gold", "true"))}
    assert manifest.file("/etc/b") is manifest.files[1]
    assert read("").files == read("files:\n").files == read("files: []\n").files == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("path: /etc/b", "pth: /etc/b", 12, "did you mean 'path'"),
        ("path: /etc/b", "mode: '0644'", 12, "has no path"),
        ("path: /etc/b", "path: etc/b", 12, "it is absolute"),
        ("path: /etc/b", "path: /etc/../b", 12, "no '..'"),
        ("path: /etc/b", 'path: "/etc/b\\nx"', 12, "wanted one line of text"),
        ("path: /etc/b", "path: /etc/shop/a.conf", 12, "stands already on line 3"),
        ("path: /etc/b", "[a]", 12, "wanted a file's fields"),
        ("source: a.conf", "source: /etc/passwd", 4, "wanted a relative path"),
        ("source: a.conf", "source: ../../.opsnb/keys", 4, "without '..'"),
        ("hosts: role=app & !web1", "hosts: role=app &", 5, "it ends here"),
        ('mode: "0640"', "mode: 640", 6, "four octal digits in quotes"),
        ('mode: "0640"', 'mode: "u+x"', 6, "four octal digits"),
        ("owner: root:shop", "owner: root", 7, "wanted USER:GROUP"),
        ("owner: root:shop", 'owner: "--reference=/etc/shadow"', 7, "wanted USER:GROUP"),
        ("template: true", "template: yes", 8, "wanted true or false"),
        ("validate: [shop, --check", "validate: shop -t # [", 10, "a command as a list of words"),
        ('"--config=%s"', '"%s.bak"', 10, "at the end of a word"),
        ("validate: [shop", "validate: [-c", 10, "wanted a program first"),
        ("activate: [systemctl, reload, shop]", 'activate: [sh, "%s"]', 11, "in validation commands only"),
        ("activate: [systemctl, reload, shop]", "activate: []", 11, "a command as a list of words"),
        ("files:\n", "filse:\n", 2, "did you mean 'files'"),
        ('pattern: "[0-9]+"', 'pattern: "["', 14, "not a regular expression"),
        ('pattern: "[0-9]+"', "patern: x", 14, "did you mean 'pattern'"),
        ("  port:", "  po-rt:", 14, "is not a variable's name"),
        ("choices: [1, gold, true]", "choices: gold", 15, "wanted a list of values"),
        ("# the shop", "a: &a [*a]", 1, "anchors"),
        ("# the shop", "\t", 1, "not YAML"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(old: str, new: str, line: int, says: str) -> None:
    """As ``configs/shop/config.yaml:12: 'files.1.mode': found ..., wanted ...``."""
    assert FULL.count(old) == 1
    with pytest.raises(UsageError) as caught:
        read(FULL.replace(old, new))
    assert str(caught.value).startswith(f"{PATH}:{line}: "), caught.value
    assert says in str(caught.value)


def test_variables_are_texts_numbers_and_booleans() -> None:
    """Each as a template gets it; nothing else, and never an object."""
    text = 'a: 1\nb: 0.50\nc: true\nd: "x y"\ne: 012\n_f: yes\n'
    assert read_variables(text, "v") == {"a": "1", "b": "0.5", "c": "true", "d": "x y", "e": "012", "_f": "yes"}
    assert read_variables("", "v") == {}
    for bad, says in {
        "a: [1]": "v:1: 'a': found [1]", "x\n": "v:1: wanted variables", "a: 1\na-b: 2": "v:2: 'a-b'", "a:": "found None",
    }.items():  # fmt: skip
        with pytest.raises(UsageError) as caught:
            read_variables(bad, "v")
        assert says in str(caught.value)


names = st.text("abcdefghijklmnop_.-", min_size=1, max_size=12).filter(lambda t: t.strip(".") != "")
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn", "Co", "Cf"]), min_size=1, max_size=20)
files = st.builds(
    File, path=names.map("/srv/{}".format), source=names, mode=st.sampled_from(["", "0644", "4755"]),
    owner=st.sampled_from(["", "root:root", "a_b:c.d"]), sensitive=st.booleans(), template=st.booleans(),
    activate=st.lists(words, max_size=3).map(lambda found: ("run", *(w.replace("%s", "") or "x" for w in found))),
)  # fmt: skip
LAYOUTS = {
    "none": None,
    "empty list": "files: []\nvariables: {a: {choices: [x]}}\n",
    "comments": "# top\nfiles:  # all of them\n    - path: /etc/x   # why\n      mode: '0644'\n    # last\n\nvariables:\n  a: {}\n",
    "variables first": "variables: {}\n\nfiles:\n- path: /etc/x\n",
    "no files": "variables: {}",
    "no end of line": "files:\n  - path: /etc/x",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(added=st.lists(files, min_size=1, max_size=4, unique_by=lambda file: file.path))
def test_entries_are_added_and_nothing_else_changes(layout: str, added: list[File]) -> None:
    """What was said is said still, line by line and comments too; the new entries are read back as they went in."""
    old = LAYOUTS[layout]
    new = entries.add(old, "shop", PATH, added)
    before = read(old).files if old else ()
    assert [(f.path, f.source, f.mode, f.owner, f.sensitive, f.template, f.activate) for f in read(new).files] == [
        (f.path, f.source, f.mode, f.owner, f.sensitive, f.template, f.activate) for f in (*before, *added)
    ]
    kept = [line for line in new.splitlines() if line in (old or "").splitlines()]
    assert [line for line in (old or "").splitlines() if not line.startswith("files: []")] == kept or layout == "none"


@pytest.mark.parametrize("text", ["files: [{path: /etc/x}]\n", "{files: [{path: /etc/x}]}\n", "- a\n"])
def test_a_layout_that_cannot_be_added_to_is_said(text: str) -> None:
    """And what to add by hand."""
    with pytest.raises(UsageError) as caught:
        entries.add(text, "shop", PATH, [File(path="/etc/y", source="y")])
    assert PATH in str(caught.value)
