"""How a block of a page becomes a script of its own, and how rows of a table are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reading import Listed, Page, beginning, digest, files_for, indented, read_pages, spec_folder
from rows import OPEN, REQUIRED, read_rows
from snippets import Snippet


def page(*texts: str, **more: object) -> Page:
    blocks = tuple(Snippet("page.md", line, "python", text) for line, text in enumerate(texts, 1))
    empty: dict[str, Any] = {"listed": (), "given": {}, "files": {}, "follows": {}}
    return Page(blocks, **{**empty, **more})


def lines(one: Page, number: int) -> list[str]:
    return [line for line in beginning(one, one.blocks[number]).splitlines() if line]


def test_a_block_begins_with_what_makes_its_names_and_nothing_else() -> None:
    one = page("import math\nimport json\nA = 1\nB = A + 1\nprint(A)", "print(math.pi, B)")
    assert lines(one, 1) == ["A = 1", "B = A + 1", "import math"]


def test_the_nearest_statement_before_a_block_counts() -> None:
    one = page("A = 1\nA = 2", "A = 3", "A", "A = 4")
    assert lines(one, 2) == ["A = 3"]
    assert lines(one, 0) == []


def test_what_a_statement_needs_is_looked_for_before_it() -> None:
    one = page("A = 1", "B = A", "A = 2", "print(B)")
    assert lines(one, 3) == ["A = 1", "B = A"]


def test_names_inside_functions_count_and_their_own_do_not() -> None:
    one = page("A, B = 1, 2", "A = 1", "def f(b):\n    c = A\n    return [b + c + d for d in b]")
    assert lines(one, 2) == ["A = 1"]


def test_a_class_may_stand_behind_its_use() -> None:
    one = page("print(C, D)", "class C: ...\nD = 1")
    assert lines(one, 0) == ["class C: ..."]


def test_a_name_may_be_left_to_the_reader_or_be_one_of_aligntune() -> None:
    one = page("print(config, TaskType)", "config = 2", given={"config": "config = 1"})
    assert lines(one, 0) == ["from aligntune import TaskType", "config = 1"]


def test_a_block_that_does_not_run_makes_nothing() -> None:
    broken = Listed("page.md", digest("A = f(a=1, ...)"), "a placeholder")
    assert lines(page("A = f(a=1, ...)", "print(A)", listed=(broken,)), 1) == []


def test_a_block_may_follow_another_whole() -> None:
    follows = {digest("print(2)"): digest("print(A)")}
    assert lines(page("A = 1", "print(A)", "print(2)", follows=follows), 2) == ["A = 1", "print(A)"]


def test_files_are_those_that_a_block_names() -> None:
    yaml = Snippet("page.md", 1, "yaml", "a: 1", "a.yaml")
    python = Snippet("page.md", 2, "python", "load('a.yaml', 'b.yaml')")
    one = Page((yaml, python), (), {}, {"b.yaml": "b: 1", "c.yaml": ""}, {})
    assert files_for(one, python) == {"b.yaml": "b: 1", "a.yaml": "a: 1"}


def test_indents_that_were_lost_are_put_back() -> None:
    yaml = "a:\n - b: 1\n c: 2\n\n - b: 3\n c: 4\nd:\n e: 5"
    assert indented(Snippet("page.md", 1, "yaml", yaml)) == (
        "a:\n - b: 1\n   c: 2\n\n - b: 3\n   c: 4\nd:\n e: 5\n"
    )
    python = "def f(a):\n if a:\n return 1\n return 2"
    assert indented(Snippet("page.md", 1, "python", python)) == (
        "def f(a):\n if a:\n   return 1\n return 2\n"
    )


def test_a_folder_without_pages_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIGNTUNE_SPEC", str(tmp_path))
    with pytest.raises(pytest.UsageError, match=f"no pages in {tmp_path}; set ALIGNTUNE_SPEC"):
        spec_folder()


def test_pages_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("```python\nB = 1\n```\n```mermaid\nx\n```\n")
    (tmp_path / "a.md").write_text("```yaml\na: 1\n```\n")
    found = [[block.text for block in one.blocks] for one in read_pages(tmp_path)]
    assert found == [["a: 1"], ["B = 1"]]


def test_rows_know_their_class_kind_and_default(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("""
## SFT
### Model (`ModelConfig`)
| Parameter | Type | Default | Description |
|---|---|---|---|
| `name` | str | **Required** | x |
| `a` / `b` | Dict | `{"c": 1}` | x |
| `d` | Kind | `AUTO` | x |
## RL
### PPO
| `e` | int | `batch_size` | x |
### Kinds
| `F` | x |
""")
    found = [(r.kind, r.owner, r.names, r.default) for r in read_rows(path)]
    assert found == [
        ("sft", "ModelConfig", ("name",), REQUIRED),
        ("sft", "ModelConfig", ("a", "b"), {"c": 1}),
        ("sft", "ModelConfig", ("d",), "auto"),
        ("rl", "PPO", ("e",), OPEN),
    ]
