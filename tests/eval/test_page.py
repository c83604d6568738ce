"""The page in a real browser: each number opens its rows, and nothing a model wrote can act."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from browsing import Page, chromium
from evaluations import measured, sums, written
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, Metric
from aligntune_eval.comparing.compare import compare, compare_runs
from aligntune_eval.files.reading import Result, Row, read_results, result_of
from aligntune_eval.page import write_page
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium import webdriver

ROWS = sums(50)
ATTACK = "<script>window.ran=1;alert(1)</script></script><img src=x onerror='window.ran=2'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("evaluation")
    written(folder, "small", measured(ROWS, 0.4, 1, bleu=True), ROWS)
    written(folder, "large", measured(ROWS, 0.8, 2, bleu=True), ROWS)
    return read_results(folder)


@pytest.fixture(scope="module")
def path(results: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(results, tmp_path_factory.mktemp("page") / "new" / "report.html")


class Rows(Page):
    """The page, and the rows that are open in it."""

    def choose(self, css: str) -> None:
        """Click, as a script does, whatever stands before it."""
        self.run(f"document.querySelector({css!r}).click()")

    def number(self, metric: str, model: str) -> Any:
        """The button of one number of the table."""
        found = self.run(
            "return [...document.querySelectorAll('.numbers .open')].find((b) => {"
            f"const said = b.closest('tr').querySelector('svg').ariaLabel; const at = {model!r};"
            "return said.startsWith(at + ':') && index(b) === arguments[0]; function index(b) {"
            "return JSON.parse(document.getElementById('index').textContent)[b.dataset.task]"
            ".metrics[b.dataset.metric].name; } })",
            metric,
        )
        assert found is not None, (metric, model)
        return found

    def run(self, script: str, *given: Any) -> Any:
        return self.browser.execute_script(script, *given)

    def click(self, button: Any) -> None:
        self.run("arguments[0].click()", button)

    @property
    def made(self) -> str:
        return str(self.one("#rows-made").text)

    @property
    def place(self) -> str:
        return str(self.one("#rows-place").text)

    def heads(self) -> list[str]:
        return [head.text for head in self.all(".sample .head")]

    def every_value(self) -> list[float]:
        """The value of each row, over all pages."""
        found: list[float] = []
        self.choose("#rows-first")
        while True:
            found += [float(head.text.split()[-1]) for head in self.all(".sample .head .total")]
            if not self.one("#rows-on").is_enabled():
                return found
            self.choose("#rows-on")


@pytest.fixture
def page(browser: webdriver.Chrome, path: Path) -> Rows:
    return Rows(browser, path)


def cells(page: Rows, table: str) -> list[list[str]]:
    return [
        [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
        for row in page.all(f"{table} tbody tr")
    ]


def test_the_page_stands_alone(browser: webdriver.Chrome, path: Path, tmp_path: Path) -> None:
    alone = tmp_path / "page.html"
    alone.write_bytes(path.read_bytes())
    page = Rows(browser, alone)
    page.click(page.number("accuracy", "small"))
    page.choose(".differences .open")
    assert page.requests() == {alone.as_uri()}
    assert browser.get_log("browser") == []


def test_the_table_holds_every_number_with_its_interval(page: Rows, results: list[Result]) -> None:
    lines = cells(page, ".numbers")
    assert len(lines) == 6
    accuracy = results[0].metric("accuracy")
    assert accuracy.stderr is not None
    assert accuracy.interval is not None
    low, high = accuracy.interval
    assert lines[0][:6] == [
        "accuracy \u2191", "small", f"{accuracy.value:.4g}", f"{accuracy.stderr:.2g}", "50",
        f"{low:.4g} to {high:.4g}",
    ]  # fmt: skip
    assert lines[2][0] == "perplexity \u2193"
    assert lines[1][0] == "large"  # the metric's name stands once, over both models
    svg = page.run(
        "return [...document.querySelectorAll('.numbers svg')].slice(0, 2).map((svg) => ["
        "...svg.querySelectorAll('.span')].map((l) => [+l.getAttribute('x1'), "
        "+l.getAttribute('x2')])[0].concat(+svg.querySelector('.dot').getAttribute('cx')))"
    )
    for left, right, dot in svg:
        assert left < dot < right
    scale = (svg[1][2] - svg[0][2]) / (results[1].metric("accuracy").value - accuracy.value)
    assert svg[0][1] - svg[0][0] == pytest.approx(scale * (high - low), rel=0.01)


@pytest.mark.parametrize("model", ["small", "large"])
def test_a_number_opens_exactly_its_rows(page: Rows, results: list[Result], model: str) -> None:
    result = next(each for each in results if each.model == model)
    button = page.number("accuracy", model)
    shown = float(button.text)
    page.click(button)
    assert page.one("#rows-title").text == f"accuracy of {model} on sums"
    assert page.made == f"{shown:g} over all 50 rows"
    values = page.every_value()
    assert values == [row.values["accuracy"] for row in result.rows]
    assert sum(values) / len(values) == pytest.approx(shown)
    page.choose("#rows-first")
    first = page.one(".sample").text
    for part in ("row 0", "0+1=", "the answer is 1 and no other", result.rows[0].completions[0]):
        assert part in first


def test_a_ratio_is_made_of_its_parts(page: Rows, results: list[Result]) -> None:
    page.click(page.number("perplexity", "small"))
    assert page.made == f"{results[0].metric('perplexity').value:.4g} over all 50 rows"
    row = results[0].rows[0].values
    of_row = f"perplexity {math.exp(row['nll'] / row['tokens']):.4g}"
    assert page.heads()[0].split("\n")[:2] == ["row 0", of_row]
    page.one("#rows-search").send_keys("the answer is 4")
    some = [row for row in results[0].rows if "the answer is 4" in row.reference]
    part = sum(r.values["nll"] for r in some) / sum(r.values["tokens"] for r in some)
    assert page.made.endswith(f"; {math.exp(part):.4g} over the {len(some)} below")


def test_a_corpus_metric_says_that_rows_do_not_add_up(page: Rows) -> None:
    page.click(page.number("bleu", "small"))
    assert page.made == "No sum of the values of rows makes this number."
    assert page.place == "1\u201320 of 50"


def test_rows_are_searched_sorted_and_paged(page: Rows, results: list[Result]) -> None:
    page.click(page.number("perplexity", "large"))
    assert page.place == "1\u201320 of 50"
    assert not page.one("#rows-back").is_enabled()
    Select(page.one("#rows-order")).select_by_value("low")
    values = page.every_value()
    assert values == sorted(values)
    assert page.place == "41\u201350 of 50"
    assert not page.one("#rows-on").is_enabled()
    Select(page.one("#rows-order")).select_by_value("high")
    assert page.place == "1\u201320 of 50"
    assert page.every_value() == sorted(values, reverse=True)
    search = page.one("#rows-search")
    search.send_keys("17+1=")
    assert page.place == "1\u20131 of 1"
    search.clear()
    search.send_keys("NO OTHER")  # in references and right completions, in any case
    assert page.place == "1\u201320 of 50"
    search.clear()
    search.send_keys("nowhere")
    assert page.place == "no row matches"
    assert page.all(".sample") == []


def test_only_wrong_rows(page: Rows, results: list[Result]) -> None:
    page.click(page.number("accuracy", "large"))
    page.choose("#rows-wrong")
    wrong = sum(row.values["accuracy"] == 0 for row in results[1].rows)
    assert page.every_value() == [0.0] * wrong
    page.click(page.number("perplexity", "large"))
    assert not page.one("#rows-wrong-label").is_displayed()
    assert page.place == "1\u201320 of 50"


def test_differences_and_the_rows_that_changed(page: Rows, results: list[Result]) -> None:
    comparison = compare(*results)
    found = comparison.difference("accuracy")
    lines = cells(page, ".differences")
    assert lines[0] == ["large \u2212 small"]
    assert lines[1][0] == "accuracy"
    assert lines[1][1] == f"+{found.value:.4g}"
    assert lines[1][6] == f"{found.better} / {found.worse} / {found.equal}"
    assert lines[1][7] == f"{found.p:.2g}"
    assert lines[1][8] == f"{len(comparison.changed('accuracy'))} changed"
    assert "better" in page.one(".differences .verdict").get_attribute("class")
    page.choose(".differences .open")
    assert page.place.endswith(f" of {found.better + found.worse}")
    assert page.one("#rows-title").text == "accuracy of large on sums"
    card = page.one(".sample")
    change = comparison.changed("accuracy")
    texts = {(c.first.completions[0], c.second.completions[0]) for c in change}
    shown = [text.get_attribute("textContent") for text in card.find_elements(By.TAG_NAME, "pre")]
    assert (shown[3], shown[2]) in texts
    assert "Completion of small" in card.text
    assert card.find_element(By.CSS_SELECTOR, ".change").text in ("0 \u2192 1", "1 \u2192 0")
    Select(page.one("#rows-beside")).select_by_visible_text("no other model")
    assert not page.one("#rows-changed-label").is_displayed()
    assert page.place == "1\u201320 of 50"


def test_settings_and_details_stand_behind_the_numbers(page: Rows) -> None:
    page.run("document.querySelector('.task details').open = true")
    text = page.text
    for part in ("max_new_tokens\n256", "exp(sum of nll / sum of tokens)", "signature", "nrefs:1|"):
        assert part in text
    assert re.search(r"files\n.*samples_sums_", text)


def test_the_keyboard_is_enough(page: Rows) -> None:
    button = page.number("accuracy", "small")
    page.run("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert page.one("#rows").is_displayed()
    focused = "return document.activeElement.id || document.activeElement.className"
    assert page.run(focused) == "rows-title"
    assert button.get_attribute("aria-expanded") == "true"
    page.browser.switch_to.active_element.send_keys(Keys.TAB)
    assert page.run(focused) == "rows-search"
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.one("#rows").is_displayed()
    assert page.run("return document.activeElement === arguments[0]", button)
    assert button.get_attribute("aria-expanded") == "false"


def test_the_page_follows_the_colour_scheme_and_the_width(page: Rows) -> None:
    colours = (
        "return [document.body, document.querySelector('.dot')].map((e) => "
        "getComputedStyle(e)[e.tagName === 'BODY' ? 'backgroundColor' : 'fill'])"
    )

    def emulate(scheme: str) -> list[str]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        return list(page.run(colours))

    light, dark = emulate("light"), emulate("dark")
    assert all(one != other for one, other in zip(light, dark, strict=True))
    emulate("light")
    page.click(page.number("accuracy", "small"))
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.wait(lambda: page.run("return document.documentElement.scrollWidth") == 390)
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_long_names_of_metrics_hide_no_column(browser: webdriver.Chrome, tmp_path: Path) -> None:
    values = [1.0, 0.0, 1.0, 1.0]
    rows = tuple(Row(str(at), at, values={"m": value}) for at, value in enumerate(values))
    metric = replace(mean_metric("m", values), name="a_long_name_of_a_metric/and_its_part" * 2)
    results = [Result(model, "t", (metric,), rows) for model in "ab"]
    page = Rows(browser, write_page(results, tmp_path / "page.html"))
    for table in ("numbers", "differences"):
        panel = f"document.querySelector('.{table}').parentElement"
        assert page.run(f"return {panel}.scrollWidth <= {panel}.clientWidth"), table


def test_the_tables_need_no_script(browser: webdriver.Chrome, path: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(path.as_uri())
        found = browser.find_elements(By.CSS_SELECTOR, ".numbers tbody tr, .differences tbody tr")
        assert len(found) == 10
        assert found[0].text.startswith("accuracy")
        assert "need JavaScript" in browser.find_element(By.TAG_NAME, "noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_nothing_that_is_shown_can_act(browser: webdriver.Chrome, tmp_path: Path) -> None:
    texts = (ATTACK, "<!--<script>", "\u2028 ]]> \\u003c", "<!-- -->", "half \ud83d of a pair")
    rows = tuple(
        Row(f"{i}", i, text, text, (text, text), {ATTACK: float(i % 2)})
        for i, text in enumerate(texts)
    )
    metric = mean_metric(ATTACK, [row.values[ATTACK] for row in rows], details={ATTACK: ATTACK})
    one = Result(ATTACK, ATTACK, (metric,), rows, {ATTACK: ATTACK}, notes=(ATTACK,))
    other = replace(one, model=f"{ATTACK} again")
    page = Rows(browser, write_page([one, other], tmp_path / "page.html"))
    page.choose(".numbers .open")
    page.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    shown = page.run(
        "return [...document.querySelectorAll('.sample pre')].map("
        "(e) => e.textContent.toWellFormed())"
    )
    assert set(texts[:4]) < set(shown)
    assert page.one("#rows-title").text == f"{ATTACK} of {ATTACK} on {ATTACK}"
    Select(page.one("#rows-beside")).select_by_index(1)
    assert page.run("return window.ran") is None
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert browser.get_log("browser") == []
    assert page.requests() == {(tmp_path / "page.html").as_uri()}


def test_secrets_are_redacted(tmp_path: Path) -> None:
    token = "hf_" + "a1B2c3D4" * 4
    metric = Metric("score", 1.0, 1, details={"api_key": "xyzzy-1", "judge": f"key {token}"})
    settings = {"hub_token": "xyzzy-2", "endpoint": "https://user:xyzzy-3@host/v1"}
    result = Result("m", "t", (metric,), (), settings, notes=(f"asked with {token}",))
    text = write_page([result], tmp_path / "page.html").read_text()
    assert "[redacted]" in text
    for secret in (token, "xyzzy-1", "xyzzy-2", "xyzzy-3"):
        assert secret not in text


def test_long_texts_are_folded(browser: webdriver.Chrome, tmp_path: Path) -> None:
    long, longer = "word " * 400, "x" * 30_000
    row = Row("k", 0, long, "r", (longer,), {"score": 1.0})
    metric = Metric("score", 1.0, 1, combine=Combine("mean", "score"))
    result = Result("m", "t", (metric,), (row,))
    page = Rows(browser, write_page([result], tmp_path / "page.html"))
    page.choose(".numbers .open")
    assert [len(text.text) for text in page.all(".sample pre")] == [1]
    assert "(2,000 characters)" in page.one(".sample summary").text
    page.all(".sample summary")[1].click()
    page.wait(lambda: len(page.all(".sample pre")) == 2)
    shown = page.all(".sample pre")[1].get_attribute("textContent")
    assert shown == "x" * 20_000 + "… (10,000 more characters in the file of samples)"


def test_ten_thousand_rows_stay_usable(browser: webdriver.Chrome, tmp_path: Path) -> None:
    rows = sums(10_000)
    results = [
        result_of(measured(rows, right, seed), model=f"m{seed}", task="sums", rows=rows)
        for seed, right in ((1, 0.4), (2, 0.6))
    ]
    path = write_page(results, tmp_path / "page.html")
    begin = time.perf_counter()
    page = Rows(browser, path)
    page.choose(".numbers .open")
    assert page.made == f"{results[0].metric('accuracy').value:.4g} over all 10,000 rows"
    page.choose("#rows-last")
    assert page.place == "9,981\u201310,000 of 10,000"
    page.run("document.getElementById('rows-search').value = '9999+1='")
    page.run("document.getElementById('rows-search').dispatchEvent(new Event('input'))")
    assert page.place == "1\u20131 of 1"
    page.choose(".differences .open")
    assert len(page.all(".sample")) == 20
    assert page.run("return document.querySelectorAll('*').length") < 1500
    assert time.perf_counter() - begin < 20  # a fraction of a second on an idle machine
    assert browser.get_log("browser") == []


def test_a_comparison_has_a_page(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Of two runs of one model, which must not be taken for one."""
    for run, right in (("before", 0.3), ("after", 0.9)):
        written(tmp_path / run, "m", measured(ROWS, right), ROWS, seed=int(right * 10))
    runs = [tmp_path / "before", tmp_path / "after"]
    comparisons = compare_runs(runs)
    found = [result for run in runs for result in read_results(run)]
    page = Rows(browser, write_page(found, tmp_path / "page.html", comparisons=comparisons))
    assert page.one("h1").text == "Comparison"
    names = [f"m ({run})" for run in runs]
    assert [chip.text for chip in page.all(".chip")] == names
    assert cells(page, ".differences")[0] == [f"{names[1]} \u2212 {names[0]}"]
    assert "seed: 3 in" in page.one(".task .warning").text


def test_rows_in_another_order_stand_beside_their_partners(
    browser: webdriver.Chrome, results: list[Result], tmp_path: Path
) -> None:
    turned = replace(results[1], rows=tuple(reversed(results[1].rows)))
    page = Rows(browser, write_page([results[0], turned], tmp_path / "page.html"))
    page.choose(".differences .open")
    for card in page.all(".sample"):
        prompt, _, large, small = (
            text.get_attribute("textContent") for text in card.find_elements(By.TAG_NAME, "pre")
        )
        at = int(prompt.split("+")[0])
        assert small == results[0].rows[at].completions[0]
        assert large == results[1].rows[at].completions[0]


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="there are no results to make a page of"):
        write_page([], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_two_results_of_one_name_are_not_shown_as_one(tmp_path: Path) -> None:
    one, other = (
        result_of(measured(ROWS, seed=seed), model="m", task="t", rows=ROWS) for seed in (1, 2)
    )
    comparison = compare(one, other)
    for results, comparisons in ([[one, other], None], [[], [comparison]]):
        with pytest.raises(EvaluationError, match="two results are called m"):
            write_page(results, tmp_path / "page.html", comparisons=comparisons)
    write_page([one, replace(other, model="n"), one], tmp_path / "page.html")


def test_models_that_cannot_be_compared_are_shown_side_by_side(tmp_path: Path) -> None:
    rows = [{**row, "prompt": f"{row['prompt']}?"} for row in ROWS]
    one = result_of(measured(ROWS), model="a", task="t", rows=ROWS)
    other = result_of(measured(rows), model="b", task="t", rows=rows)
    text = write_page([one, other], tmp_path / "page.html").read_text()
    assert "not compared: t: none of the 50 rows" in text
    assert text.count('class="open"') == 4
