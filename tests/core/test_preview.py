"""A preview, on a terminal and as a page in a real browser."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from selenium.webdriver.common.by import By

from aligntune.errors import RunError
from aligntune.preview import Preview, PreviewRow, Sequence, Token
from aligntune.preview.page import write_page
from aligntune.preview.terminal import show

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver

HELLO = "שלום"
ATTACK = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"


def sequence(prompt: str, completion: str, role: str = "row", cut: int = 0) -> Sequence:
    tokens = [Token(c, ord(c), False) for c in prompt] + [
        Token(c, ord(c), True) for c in completion
    ]
    return Sequence(role, tuple(tokens), cut, completion.endswith("."))


@pytest.fixture
def preview() -> Preview:
    return Preview(
        algorithm="sft",
        backend="trl",
        model="m",
        rows=[
            PreviewRow(
                "d.jsonl",
                0,
                {"q": "1+1", "a": ATTACK},
                {"prompt": "1+1", "completion": ATTACK},
                (sequence("1+1\n", "2."),),
            ),
            PreviewRow("d.jsonl", 1, {"q": "x", "a": ""}, left_out="the completion is empty"),
            PreviewRow(
                "d.jsonl",
                2,
                {"q": HELLO},
                {"prompt": HELLO},
                (sequence(HELLO, "🙂", "chosen", 7), sequence(HELLO, "a", "rejected")),
                warnings=("the prompt is rendered otherwise",),
            ),
        ],
        lengths=[5, 6, 6, 30],
        limit=20,
        stop_tokens=["."],
        counts=["d.jsonl: 2 of 3 rows"],
        warnings=["1 of 3 sequences are cut to 20 tokens"],
    )


def shown(preview: Preview) -> str:
    console = Console(file=io.StringIO(), width=100, no_color=True)
    show(preview, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_what_is_trained_stands_in_brackets(preview: Preview) -> None:
    text = shown(preview)
    assert "1|+|1|⏎⟦2|.⟧" in text
    assert "row: 6 tokens, 2 trained on ⟦in brackets⟧, stop token trained" in text
    assert f"{'|'.join(HELLO)}⟦🙂⟧" in text
    assert "chosen: 5 tokens, 1 trained on ⟦in brackets⟧, 7 more cut off, stop token NOT" in text


def test_it_says_what_is_left_out_and_what_is_odd(preview: Preview) -> None:
    text = shown(preview)
    assert "left out: the completion is empty" in text
    assert "warning: the prompt is rendered otherwise" in text
    assert "warning: 1 of 3 sequences are cut to 20 tokens" in text
    assert "d.jsonl: 2 of 3 rows" in text


def test_a_prompt_says_that_the_model_completes_it(preview: Preview) -> None:
    asked = Sequence("prompt", tuple(Token(c, 1, False) for c in "why?"))
    preview.rows[:] = [PreviewRow("d", 0, {}, {}, (asked,))]
    assert "prompt: 4 tokens, completed by the model" in shown(preview)


def test_the_histogram_counts_every_length_once(preview: Preview) -> None:
    bins = preview.bins()
    assert sum(count for _, _, count in bins) == len(preview.lengths)
    assert [(low, high) for low, high, count in bins if count] == [(5, 7), (29, 31)]
    assert "too long" in shown(preview).splitlines()[-2]
    preview.lengths[:] = [8, 8]
    assert preview.bins() == [(8, 8, 2)]
    preview.lengths.clear()
    assert preview.bins() == []
    assert "lengths of" not in shown(preview)


def test_a_long_row_is_shortened_and_says_by_how_much(preview: Preview) -> None:
    long = sequence("p" * 5000, "c" * 5000)
    preview.rows[:] = [PreviewRow("d", 0, {"text": "t" * 5000}, {}, (long,))]
    text = shown(preview)
    assert len(text) < 6000
    assert "more characters" in text


def test_the_page_marks_the_same_tokens(
    preview: Preview, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    path = write_page(preview, tmp_path / "deep" / "preview.html")
    browser.get(path.as_uri())
    trained = browser.find_elements(By.CSS_SELECTOR, ".tokens .token.trained")
    assert [token.text for token in trained] == ["2", ".", "🙂", "a"]
    assert [t.get_attribute("title") for t in trained[:2]] == [str(ord("2")), str(ord("."))]
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tokens .token")) == 6 + 5 + 5
    words = browser.find_element(By.TAG_NAME, "body").text
    assert "Left out: the completion is empty" in words
    assert "the prompt is rendered otherwise" in words
    assert len(browser.find_elements(By.CSS_SELECTOR, ".lengths .bar.over")) >= 1
    assert not list(path.parent.glob("*.part"))


def test_a_page_that_cannot_be_written_says_so(preview: Preview, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"p\.html: the page cannot be written: "):
        write_page(preview, tmp_path / "file" / "p.html")


def test_nothing_a_row_holds_can_run(
    preview: Preview, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    browser.get(write_page(preview, tmp_path / "preview.html").as_uri())
    assert browser.title == "Preview: sft on trl"
    assert ATTACK in browser.find_element(By.TAG_NAME, "body").text
    assert browser.find_elements(By.TAG_NAME, "img") == []
