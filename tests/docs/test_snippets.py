"""How code blocks are read from a page, and how a page is compared with what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from snippets import DiffersError, Reader, Snippet, agrees, snippets

PAGE = """
Some text.

`package/module.py`

```python
ONE = 1
```

**config/some.yaml:**
```yaml
algorithm: sft
```

<!-- file: rows.jsonl -->
```json
{"prompt": "1+1="}
```

```yaml
# other.yaml
seed: 1
```

- in a list

  ```sh
  cat package/module.py
  ```

`package/module.py`:

```py
TWO = 2
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_blocks_have_a_language_a_line_and_a_file(page: Path) -> None:
    found = [(s.language, s.line, s.file) for s in snippets(page)]
    assert found == [
        ("python", 6, "package/module.py"),
        ("yaml", 11, "config/some.yaml"),
        ("json", 16, "rows.jsonl"),
        ("yaml", 20, "other.yaml"),
        ("bash", 27, ""),
        ("python", 33, "package/module.py"),
    ]


def test_files_are_made_and_commands_see_them(page: Path, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("OLD = 0\n")
    reader = Reader(tmp_path)
    for snippet in snippets(page):
        reader.follow(snippet)
    assert (tmp_path / "package" / "module.py").read_text() == "ONE = 1\n\n\nTWO = 2\n\n\n"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("bash", "false"),
        ("console", "$ echo one\ntwo"),
        ("console", "$ echo one; exit 2\none"),
        ("console", "$ echo error: one\nerror: one"),
        ("python", ">>> 1 + 1\n3\n"),
        ("python", "assert False"),
        ("fortran", "END"),
    ],
)
def test_what_is_not_so_fails(language: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Reader(tmp_path).follow(Snippet("page.md", 1, language, text))


def test_what_differs_is_named(tmp_path: Path) -> None:
    session = Snippet("page.md", 7, "console", "$ echo one two four\none ... three\n")
    with pytest.raises(DiffersError, match=r"page.md:7: `echo one two four` .* not write ' three'"):
        Reader(tmp_path).follow(session)


@pytest.mark.parametrize(
    ("expected", "written", "same"),
    [
        ("loss 1.00", "loss  1.01\n", True),
        ("loss 1.00", "loss 1.05", False),
        ("a ... z", "a b c z", True),
        ("a ... z", "a b c", False),
        ("10 rows", "11 rows", False),
        ("━━━━ x", "━━━ x", True),
    ],
)
def test_output_agrees(expected: str, written: str, same: bool) -> None:
    assert agrees(expected, written) is same
