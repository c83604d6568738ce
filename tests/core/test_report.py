"""The report in a real browser: it draws, asks the network for nothing, runs nothing foreign."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from browsing import Page
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from aligntune.errors import DataError
from aligntune.run import RunDirectory, write_report
from aligntune.run.record import environment

if TYPE_CHECKING:
    from pathlib import Path

    from selenium import webdriver

ATTACK = "<script>window.ran=1;alert(1)</script></script><img src=x onerror='window.ran=2'>"


def grpo_run(path: Path) -> RunDirectory:
    run = RunDirectory.create(path)
    run.start(name="addition", algorithm="grpo", backend="trl", why="auto: the only one installed")
    run.write_text(run.config, "algo: grpo\nmodel:\n  name_or_path: ./tiny\n")
    run.write_json(
        run.plan,
        {
            "values": [
                {
                    "path": "train.max_steps",
                    "value": 40,
                    "origin": "grpo.yaml:7",
                    "destination": "x",
                },
                {"path": "train.seed", "value": 42, "origin": "default", "destination": "y"},
            ],
            "batch": ["8 prompts with 8 completions each make one step."],
            "warnings": ["3 prompts were left out"],
            "unused": [],
        },
    )
    run.write_json(
        run.data,
        {
            "train": [
                {
                    "name": "sums.jsonl",
                    "read": 1200,
                    "kept": 1190,
                    "shape": "prompt",
                    "why": "prompt: the column prompt",
                    "left_out": {"the prompt is empty": 7, "no turn of the user": 3},
                    "cut": {"the system turn, which system_prompt replaces": 2},
                    "held_out": 200,
                    "drawn": None,
                }
            ],
            "too_long": 14,
            "eval": [{"name": "asked.csv", "read": 9, "kept": 9, "left_out": {}, "cut": {}}],
        },
    )
    run.write_json(run.environment, environment())
    run.write_json(
        run.plugins,
        [
            {
                "name": "trl",
                "distribution": "aligntune-trl",
                "version": "0.1.0",
                "status": "loaded",
                "reason": "",
                "provides": {"algorithm": ["grpo", "sft"]},
            }
        ],
    )
    for step in range(1, 41):
        run.append_jsonl(
            run.metrics,
            {
                "step": step,
                "epoch": step / 40,
                "time": step * 1.0,
                "loss": 2.0 / step,
                "reward": step / 40,
                "reward_std": 0.1,
                "kl": 0.01 * step,
                "entropy": 1.0,
                "grad_norm": 1.0,
                "learning_rate": 1e-4,
                "rewards/accuracy/mean": step / 40,
                "rewards/length/mean": 0.5,
                "completions/mean_length": 9.0,
                "completions/min_length": 5.0,
                "completions/max_length": 12.0,
                "num_tokens": step * 8,
                **({"eval_accuracy": step / 40 - 0.1} if step in (20, 40) else {}),
            },
        )
        run.append_jsonl(
            run.samples,
            {
                "step": step,
                "prompt": f"{step}+1=",
                "completion": f"<b>{step + 1}</b>",
                "reward": step / 40,
                "rewards": {"accuracy": 1.0, "structure": None},
                "reference": str(step + 1),
            },
        )
    measured = ((0, "before", 0.25), (20, "during", 0.4), (40, "during", 0.9), (40, "after", 0.75))
    for step, when, value in measured:
        run.append_jsonl(
            run.evaluation,
            {
                "step": step,
                "when": when,
                "dataset": "held-out",
                "name": "accuracy",
                "value": value,
                "n": 200,
                "stderr": 0.03,
                "low": value - 0.06,
                "high": value + 0.06,
                "unit": "",
            },
        )
    run.finish()
    return run


@pytest.fixture(scope="module")
def grpo_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(grpo_run(tmp_path_factory.mktemp("grpo") / "run"))


@pytest.fixture
def grpo(browser: webdriver.Chrome, grpo_report: Path) -> Page:
    return Page(browser, grpo_report)


def test_the_page_stands_alone(browser: webdriver.Chrome, tmp_path: Path) -> None:
    path = write_report(grpo_run(tmp_path / "run"))
    alone = tmp_path / "elsewhere" / "page.html"
    alone.parent.mkdir()
    path.rename(alone)
    page = Page(browser, alone)
    assert page.requests() == {alone.as_uri()}
    assert browser.get_log("browser") == []


def test_the_policy_forbids_every_request(browser: webdriver.Chrome, tmp_path: Path) -> None:
    page = Page(browser, write_report(grpo_run(tmp_path / "run")))
    outcome = browser.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('went out'))"
        ".catch((error) => done(error.name));"
    )
    assert outcome == "TypeError"
    page.run(
        "const s = document.createElement('script'); s.text = 'window.ran = 1';"
        "document.body.append(s);"
    )
    assert page.run("return window.ran") is None
    violations = [entry["message"] for entry in browser.get_log("browser")]
    assert len(violations) >= 2
    assert all("Content Security Policy" in message for message in violations)


def test_headline_numbers_come_first(grpo: Page) -> None:
    cards = {card.text.split("\n")[0]: card.text.split("\n")[1:] for card in grpo.all(".card")}
    assert cards["Loss"][0] == "2 → 0.05"
    assert cards["Reward"][0] == "0.0625 → 0.963"
    assert cards["Accuracy"][0] == "0.25 → 0.75"
    assert "n = 200" in cards["Accuracy"][1]
    assert "40 steps" in cards["Duration"][1]
    assert grpo.one("h1").text == "addition"
    assert [chip.text for chip in grpo.all(".chip")] == ["finished", "grpo", "trl"]


def test_curves_are_drawn(grpo: Page) -> None:
    titles = [caption.text for caption in grpo.all("#curves > .charts figcaption strong")]
    assert titles == [
        "Loss",
        "Reward",
        "Each reward",
        "KL divergence",
        "Entropy",
        "Completion length",
        "Gradient norm",
        "Learning rate",
    ]
    lines = grpo.run(
        "return [...document.querySelectorAll('#curves > .charts .plot, #evaluation .plot')].map("
        "(plot) => [...plot.querySelectorAll('.scatterlayer path.js-line')]"
        ".map((line) => line.getAttribute('d').length))"
    )
    assert [len(curves) for curves in lines] == [1, 3, 2, 1, 1, 3, 1, 1, 3]
    assert min(min(curves) for curves in lines) > 20
    assert grpo.run("return document.querySelectorAll('.plot .js-fill').length") >= 3


def test_an_evaluation_is_a_curve_in_the_band_of_its_intervals(grpo: Page) -> None:
    drawn = "document.querySelector('#evaluation .plot')"
    lines = grpo.run(f"return {drawn}.data.map(({{x, y}}) => [x, y])")
    assert lines == [
        [[0, 20, 40], pytest.approx([0.19, 0.34, 0.84])],
        [[0, 20, 40], pytest.approx([0.31, 0.46, 0.96])],
        [[0, 20, 40], [0.25, 0.4, 0.9]],
        [[40], [0.75]],  # the model that was kept is another than that of the last step
    ]
    assert grpo.run(f"return {drawn}.data[2].customdata[1]") == "during, n = 200, 0.34 to 0.46"
    assert grpo.run(f"return {drawn}.querySelectorAll('.js-fill').length") == 1
    assert grpo.run(f"return {drawn}.querySelectorAll('.point').length") == 4
    assert "band: 95 % interval" in grpo.one("#evaluation figcaption").text


def test_other_metrics_are_drawn_when_they_are_opened(grpo: Page) -> None:
    assert not grpo.all("#more .main-svg")
    grpo.run("document.getElementById('more').open = true")
    grpo.wait(lambda: grpo.all("#more .scatterlayer path.js-line"))
    assert grpo.one("#more figcaption strong").text == "num_tokens"
    assert grpo.one("#more .plot").size["width"] > 300


def test_evaluation_shows_before_after_and_the_change(grpo: Page) -> None:
    cells = [cell.text for cell in grpo.all("#evaluation tbody td")]
    assert cells[:3] == ["accuracy", "held-out", "200"]
    assert cells[3].startswith("0.25 0.19")
    assert cells[4].startswith("0.75 0.69")
    assert cells[5] == "+0.5"


def test_rows_are_counted_with_the_reasons(grpo: Page) -> None:
    rows = [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td")]
            for row in grpo.all("#data tbody tr")]  # fmt: skip
    assert rows[0] == [
        "sums.jsonl",
        "training",
        "prompt: the column prompt",
        "1,200",
        "1,190",
        "7: the prompt is empty\n3: no turn of the user",
        "2: the system turn, which system_prompt replaces",
        "200",
        "\u2013",
    ]
    assert rows[1] == [
        "asked.csv",
        "evaluation",
        "",
        "9",
        "9",
        "\u2013",
        "\u2013",
        "\u2013",
        "\u2013",
    ]
    assert "14 rows to train on are left out besides" in grpo.one("#data").text


def test_samples_can_be_searched_ordered_and_paged(grpo: Page) -> None:
    def steps() -> list[str]:
        return [card.text.split("\n")[0] for card in grpo.all(".sample .head span:first-child")]

    place = grpo.one("#sample-place")
    assert steps()[:2] == ["step 40", "step 39"]
    assert place.text == "1\u20138 of 40"
    grpo.run("document.getElementById('sample-on').click()")
    assert place.text == "9\u201316 of 40"
    assert steps()[0] == "step 32"
    search = grpo.one("#sample-search")
    search.send_keys("13+1")
    assert place.text == "1\u20131 of 1"
    assert steps() == ["step 13"]
    card = grpo.one(".sample").text
    for part in ("reward 0.325", "accuracy 1", "structure \u2013", "<b>14</b>"):
        assert part in card
    search.clear()
    search.send_keys("nowhere")
    assert place.text == "no sample matches"
    search.clear()
    Select(grpo.one("#sample-order")).select_by_value("low")
    assert steps()[0] == "step 1"
    Select(grpo.one("#sample-step")).select_by_value("7")
    assert steps() == ["step 7"]


def test_values_can_be_filtered(grpo: Page) -> None:
    def shown() -> list[str]:
        return [r.text.split()[0] for r in grpo.all("#values tbody tr") if r.is_displayed()]

    assert shown() == ["train.max_steps", "train.seed"]
    grpo.one("#value-set").click()
    assert shown() == ["train.max_steps"]
    grpo.one("#value-set").click()
    grpo.one("#value-search").send_keys("seed")
    assert shown() == ["train.seed"]


def test_it_says_where_nothing_could_be_learned(browser: webdriver.Chrome, tmp_path: Path) -> None:
    run = grpo_run(tmp_path / "run")
    mends = {"rewards.type": "reward other things", "train.temperature": "raise it"}
    seen = "all completions that are compared got the same reward, 1 on average"
    told = {"name": "equal-rewards", "seen": seen, "mends": mends}
    run.append_jsonl(run.warnings, {"step": 10, "since": 1, **told})
    run.append_jsonl(run.warnings, {"step": 12, "since": 12, "name": "kl-exploding", "seen": "far"})
    run.append_jsonl(run.warnings, {"name": ATTACK, "seen": ATTACK, "mends": ATTACK})
    page = Page(browser, write_report(run))
    rows = [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in page.all("#while-training tbody tr")
    ]
    said = "rewards.type: reward other things\ntrain.temperature: raise it"
    assert rows[0] == ["equal-rewards", "1 \u2013 10", seen, said]
    assert rows[1] == ["kl-exploding", "12", "far", ""]
    assert rows[2][::2] == [ATTACK, ATTACK]
    assert page.run("return window.ran") is None
    places = {name: page.one(f"#{name}").location["y"] for name in ("warnings", "curves")}
    assert places["warnings"] < places["curves"]
    assert "3 prompts were left out" in page.one("#warnings").text


def test_it_says_what_the_run_was_made_of(grpo: Page) -> None:
    for part in (
        "8 prompts with 8 completions each make one step.",
        "3 prompts were left out",
        "grpo.yaml:7",
        "aligntune-trl 0.1.0",
        "algorithm: grpo, sft",
        "aligntune-core",
        "CPython",
        "Backend: auto: the only one installed",
    ):
        assert part in grpo.text
    assert "name_or_path: ./tiny" in grpo.run("return document.body.textContent")


def test_the_page_follows_the_colour_scheme_and_the_width(grpo: Page) -> None:
    ink = "return getComputedStyle(document.querySelector('.xtick text')).fill"

    def emulate(scheme: str) -> str:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        grpo.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        return str(grpo.run("return getComputedStyle(document.body).backgroundColor"))

    light, text = emulate("light"), grpo.run(ink)
    assert emulate("dark") != light
    grpo.wait(lambda: grpo.run(ink) != text)
    emulate("light")
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    grpo.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    grpo.wait(lambda: grpo.run("return document.documentElement.scrollWidth") == 390)
    grpo.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_that_a_file_holds_can_run(browser: webdriver.Chrome, tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.start(name=ATTACK, algorithm=ATTACK, backend=ATTACK, why=ATTACK)
    run.write_text(run.config, ATTACK)
    value = {"path": ATTACK, "value": ATTACK, "origin": ATTACK, "destination": ATTACK}
    run.write_json(
        run.plan,
        {"values": [value], "batch": [ATTACK], "warnings": [ATTACK], "unused": [{"a": ATTACK}]},
    )
    run.write_json(run.environment, {"platform": ATTACK, "packages": {ATTACK: ATTACK}})
    plugin = dict.fromkeys(("name", "distribution", "version", "status", "reason"), ATTACK)
    run.write_json(run.plugins, [{**plugin, "provides": {ATTACK: [ATTACK]}}])
    for step in (1, 2):
        run.append_jsonl(run.metrics, {"step": step, "loss": 1.0, ATTACK: 2.0})
        run.append_jsonl(
            run.evaluation,
            {"step": step, "when": "during", "dataset": ATTACK, "name": ATTACK, "value": 1},
        )
    chat = [{"role": "user", "content": ATTACK}]
    for text in (ATTACK, "<!--<script>", "\u2028 ]]> \\u003c", "<!-- -->"):
        run.append_jsonl(
            run.samples,
            {
                "step": 1,
                "prompt": chat,
                "completion": text,
                "reward": 1,
                "rewards": {ATTACK: 1},
                "reference": ATTACK,
            },
        )
    said = {"name": ATTACK, "why": ATTACK, "left_out": {ATTACK: ATTACK}, "cut": {ATTACK: 1}}
    run.write_json(run.data, {"train": [said, ATTACK, None], "eval": {ATTACK: ATTACK}})
    run.fail(RuntimeError(ATTACK))
    page = Page(browser, write_report(run))
    page.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.wait(lambda: page.all("#more .main-svg"))
    assert page.run("return window.ran") is None
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert browser.get_log("browser") == []
    assert page.requests() == {run.report.as_uri()}
    shown = page.run(
        "return [...document.querySelectorAll('.sample pre')].map((e) => e.textContent)"
    )
    assert {ATTACK, "<!--<script>", "\u2028 ]]> \\u003c", "<!-- -->", f"[user] {ATTACK}"} == set(
        shown
    )
    assert page.one("h1").text == ATTACK


@pytest.mark.parametrize("mark", [True, False])
def test_an_empty_directory_has_a_report(
    browser: webdriver.Chrome, tmp_path: Path, mark: bool
) -> None:
    run = RunDirectory.create(tmp_path)
    if not mark:
        run.status.unlink()
    for path in (run.metrics, run.samples, run.evaluation):
        path.touch()
    page = Page(browser, write_report(run))
    assert "No metrics were logged." in page.text
    assert ("running" if mark else "no run.json") in page.text
    assert browser.get_log("browser") == []


def test_a_failed_run_says_so_and_shows_what_there_is(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    run = RunDirectory.create(tmp_path)
    run.start(name="broken", algorithm="sft", backend="trl", why="")
    for step, loss in ((1, 2.0), (2, 1.5), (3, math.nan)):
        run.append_jsonl(run.metrics, {"step": step, "loss": loss})
    with run.metrics.open("a") as file:
        file.write('{"step": 4, "lo')
    run.samples.write_text('{"step": 1}\noops\n{"step": 2}\n')
    run.plan.write_text("{")
    run.data.write_text("{")
    run.fail(DataError("row 17 has no column 'answer'"))
    page = Page(browser, write_report(run))
    for part in (
        "The run failed",
        "row 17 has no column 'answer'",
        "2 → 1.5",
        "metrics.jsonl:4: the last line is cut off",
        "samples.jsonl:2: not a JSON object",
        "plan.json:1: not valid JSON",
        "data.json:1: not valid JSON",
        "loss is not a finite number at one logged step, first at step 3",
    ):
        assert part in page.text
    assert page.all("#curves path.js-line")
    assert browser.get_log("browser") == []


def test_long_runs_are_thinned_and_say_so(browser: webdriver.Chrome, tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.metrics.write_text(
        "".join(f'{{"step": {s}, "loss": {1 / s}}}\n' for s in range(1, 5001)), encoding="utf-8"
    )
    row = {"prompt": "p" * 9000, "completion": "c", "reward": 1.0, "rewards": {}}
    run.samples.write_text(
        "".join(json.dumps({"step": s, **row}) + "\n" for s in range(4100)), encoding="utf-8"
    )
    page = Page(browser, write_report(run))
    assert "every 3rd of 5,000 logged steps" in page.text
    assert "1,367 of them are on this page" in page.text
    assert "1,000 more characters in samples.jsonl" in page.text
    points = page.run(
        "const x = document.querySelector('.plot').data[0].x; return [x[0], x.at(-1)]"
    )
    assert points == [1, 5000]
