"""A notebook file is read within limits, whatever its bytes are."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsnb.base.errors import NotebookError
from opsnb.control.catalog import read_notebook
from opsnb.control.catalog.notebook import LIMITS, parse_notebook


def test_reads_cells_and_digest(workspace):
    """Cells, tags, outputs and counts come out; the digest is the SHA-256 of the file's bytes."""
    body = [*workspace.cells(), workspace.cell("code", "1", outputs=[{"output_type": "stream"}], execution_count=3)]
    file = workspace.write("a.ipynb", body)
    notebook = read_notebook(file, path="a.ipynb")
    assert [c.kind for c in notebook.cells[:3]] == ["raw", "markdown", "code"]
    assert notebook.cells[2].tags == ("parameters",)
    assert (notebook.cells[-1].outputs, notebook.cells[-1].execution_count) == (1, 3)
    assert notebook.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert notebook.content == file.read_bytes()
    assert notebook.language == "python"


def test_a_source_may_be_one_text(workspace):
    """The format allows a source as text and as a list of lines."""
    one = {"cell_type": "raw", "metadata": {}, "source": "a\nb"}
    notebook = parse_notebook(json.dumps(workspace.document([one])).encode(), "a.ipynb")
    assert notebook.cells[0].source == "a\nb"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON: Expecting property name enclosed in double quotes, file line 1 column 2"),
        (b"print('hello')", "is not JSON"),
        (b"[]", "found a JSON list, wanted an object"),
        (b"null", "found a JSON null"),
        (b"{}", "wanted nbformat 4"),
        (b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": []}', "found nbformat 3"),
        (b'{"nbformat": 4, "nbformat_minor": true, "cells": []}', "wanted nbformat 4"),
        (b'{"a": 1,\n "b": "\xff"}', "is not UTF-8: byte 16, file line 2"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"cells": [], "cells": []}', "'cells' stands twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b'{"a": "\\ud800"}', "holds half a character"),
        (b'{"\\uDFFF": 1}', "holds half a character"),
        (b'{"a": "\\ud83d\\ude00"}', "wanted nbformat 4"),
        (b'{"a": "\\\\ud800"}', "wanted nbformat 4"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested more than 100"),
    ],
)
def test_bytes_that_are_no_notebook(content, says):
    """Every way to be no notebook has its words, and names the file."""
    with pytest.raises(NotebookError) as caught:
        parse_notebook(content, "a.ipynb")
    assert says in caught.value.message
    assert caught.value.message.startswith("a.ipynb")


@pytest.mark.parametrize(
    ("change", "field", "cell"),
    [
        ({"cells": None}, "cells", None),
        ({"cells": [{}] * (LIMITS.cells + 1)}, "cells", None),
        ({"cells": ["text"]}, "", 0),
        ({"cells": [{"cell_type": "heading", "metadata": {}, "source": ""}]}, "cell_type", 0),
        ({"cells": [{"cell_type": [], "metadata": {}, "source": ""}]}, "cell_type", 0),
        ({"cells": [{"cell_type": "code", "metadata": {}}]}, "source", 0),
        ({"cells": [{"cell_type": "code", "metadata": {}, "source": [1]}]}, "source", 0),
        ({"cells": [{"cell_type": "code", "source": ""}]}, "metadata", 0),
        ({"cells": [{"cell_type": "code", "metadata": {"tags": "parameters"}, "source": ""}]}, "metadata", 0),
        ({"cells": [{"cell_type": "code", "metadata": {"tags": [1]}, "source": ""}]}, "metadata", 0),
        ({"cells": [{"cell_type": "code", "metadata": {}, "source": "", "outputs": {}}]}, "outputs", 0),
        (
            {"cells": [{"cell_type": "code", "metadata": {}, "source": "", "execution_count": "1"}]},
            "execution_count",
            0,
        ),
        ({"metadata": []}, "metadata", None),
    ],
)
def test_shapes_that_are_no_notebook(workspace, change, field, cell):
    """A cell of another shape is named with its index and field."""
    content = json.dumps(workspace.document([]) | change).encode()
    with pytest.raises(NotebookError) as caught:
        parse_notebook(content, "a.ipynb")
    assert (caught.value.field, caught.value.cell) == (field, cell)


def test_a_file_that_is_too_large_is_refused(workspace):
    """21 MiB are refused with the way out."""
    file = workspace.write("big.ipynb", b" " * (21 * 2**20))
    with pytest.raises(NotebookError, match="larger than 20 MiB") as caught:
        read_notebook(file)
    assert "clear" in caught.value.hint


def test_only_regular_files_are_opened(workspace):
    """A pipe does not block, a folder, a link and a missing file each say what they are."""
    file = workspace.runbook("real.ipynb")
    os.mkfifo(workspace.root / "pipe.ipynb")
    (workspace.root / "folder.ipynb").mkdir()
    (workspace.root / "link.ipynb").symlink_to(file)
    (workspace.root / "loop.ipynb").symlink_to("loop.ipynb")
    for name, says in {
        "pipe": "is not a regular file",
        "folder": "not a regular file",
        "link": "is a symbolic link",
        "loop": "is a symbolic link",
        "missing": "No such file",
    }.items():
        with pytest.raises(NotebookError, match=says):
            read_notebook(workspace.root / f"{name}.ipynb")


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_notebook_is_read_or_refused(workspace, data):
    """Any change to any bytes gives a notebook or a NotebookError, nothing else."""
    content = bytearray(json.dumps(workspace.document(workspace.cells())).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=6))
    try:
        notebook = parse_notebook(bytes(content), "a.ipynb")
    except NotebookError:
        return
    assert all(isinstance(c.source, str) for c in notebook.cells)


def test_the_catalog_stays_light():
    """Importing and using the catalog loads no notebook library, and YAML only where front matter is read."""
    heavy = "{'yaml', 'nbformat', 'papermill', 'pandas', 'jsonschema', 'sqlalchemy', 'IPython'}"
    code = f"import sys, opsnb.control.catalog, opsnb.base.parameters; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
