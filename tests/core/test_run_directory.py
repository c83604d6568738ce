"""The run directory: who may use it, what a killed process leaves, and how a run goes on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from aligntune.errors import DataError, RunError
from aligntune.run import RunDirectory
from aligntune.run.files import as_number, plain
from aligntune.run.record import environment, plugin_records


def checkpoint(run: RunDirectory, step: int, state: str | None = '{"global_step": 1}') -> Path:
    folder = run.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    if state is not None:
        (folder / "trainer_state.json").write_text(state)
    return folder


def finished(path: Path) -> RunDirectory:
    run = RunDirectory.create(path)
    run.start(name="first", algorithm="sft", backend="trl", why="asked for")
    run.append_jsonl(run.metrics, {"step": 1, "loss": 2.0})
    checkpoint(run, 1)
    run.model.mkdir()
    (run.model / "model.safetensors").write_bytes(b"weights")
    run.finish()
    return run


def test_a_new_directory_is_made_and_marked(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "deep" / "run")
    said = run.read_status()
    assert said["status"] == "running"
    assert said["pid"] == os.getpid()
    assert sorted(path.name for path in run.path.iterdir()) == ["run.json"]


def test_a_directory_with_a_run_is_refused_with_the_three_ways_out(tmp_path: Path) -> None:
    finished(tmp_path)
    with pytest.raises(RunError) as caught:
        RunDirectory.create(tmp_path)
    for part in (
        "--resume",
        "resume=True",
        "--overwrite",
        "overwrite=True",
        "output_dir=",
        "--output-dir",
    ):
        assert part in str(caught.value)
    assert "sft finished" in str(caught.value)


def test_a_run_under_way_is_refused(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path)
    with pytest.raises(RunError, match="already holds a run"):
        RunDirectory.create(tmp_path)


def test_a_run_that_failed_before_it_made_anything_is_replaced(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.fail(DataError("no column 'prompt'"))
    assert RunDirectory.create(tmp_path).read_status()["status"] == "running"
    run.append_jsonl(run.metrics, {"step": 1})
    run.fail(DataError("later"))
    with pytest.raises(RunError, match="failed"):
        RunDirectory.create(tmp_path)


def test_overwrite_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    run = finished(tmp_path)
    foreign = [
        tmp_path / "notes.txt",
        run.checkpoints / "mine.txt",
        tmp_path / "data" / "rows.jsonl",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (run.checkpoints / "checkpoint-9").symlink_to(outside)
    RunDirectory.create(tmp_path, overwrite=True)
    assert all(path.read_text() == "mine" for path in foreign)
    assert (outside / "kept").exists()
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["checkpoints/mine.txt", "data/rows.jsonl", "notes.txt", "run.json"]


def test_foreign_files_stay_in_a_directory_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    RunDirectory.create(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_file_is_never_written_over(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "config.yaml").write_text("model: mine")
    with pytest.raises(RunError, match=r"config\.yaml"):
        RunDirectory.create(tmp_path, overwrite=overwrite)
    assert (tmp_path / "config.yaml").read_text() == "model: mine"


def test_a_file_in_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match="cannot make the run directory"):
        RunDirectory.create(tmp_path / "run")


def test_open_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        RunDirectory.open(tmp_path)
    with pytest.raises(RunError, match="does not exist"):
        RunDirectory.open(tmp_path / "none")
    assert RunDirectory.open(finished(tmp_path).path).read_status()["status"] == "finished"


def test_resume_needs_a_complete_checkpoint(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    with pytest.raises(RunError, match="nothing to resume"):
        RunDirectory.create(tmp_path, resume=True)
    checkpoint(run, 10, state=None)
    checkpoint(run, 20, state='{"global_st')
    (run.checkpoints / "checkpoint-x").mkdir()
    assert run.last_checkpoint() is None
    checkpoint(run, 9)
    newest = checkpoint(run, 11)
    assert RunDirectory.create(tmp_path, resume=True).last_checkpoint() == newest


def test_candidates_of_meta_es_are_gone_on_with_and_overwritten(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.append_jsonl(run.candidates, {"iteration": 1, "candidate": 1, "fitness": 0.5})
    assert RunDirectory.create(tmp_path, resume=True).candidates.exists()
    RunDirectory.create(tmp_path, overwrite=True)
    assert not run.evolution.exists()


def test_overwrite_and_resume_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="exclude each other"):
        RunDirectory.create(tmp_path, overwrite=True, resume=True)


def test_resume_keeps_what_was_said_before_and_drops_later_lines(tmp_path: Path) -> None:
    run = finished(tmp_path)
    for step in (2, 3):
        run.append_jsonl(run.metrics, {"step": step})
        run.append_jsonl(run.samples, {"step": step})
    run.append_jsonl(run.evaluation, {"step": 0, "when": "before"})
    run.append_jsonl(run.evaluation, {"step": 2, "when": "during"})
    run.append_jsonl(run.evaluation, {"step": 2, "when": "after"})
    run = RunDirectory.create(tmp_path, resume=True)
    run.truncate_after(2)
    assert [r["step"] for r in run.read_jsonl(run.metrics)] == [1, 2]
    assert [r["step"] for r in run.read_jsonl(run.samples)] == [2]
    assert [r["when"] for r in run.read_jsonl(run.evaluation)] == ["before", "during"]
    run.start(name="second", algorithm="sft", backend="trl", why="resumed")
    run.finish()
    said = run.read_status()
    assert said["status"] == "finished"
    assert [part["name"] for part in said["earlier"]] == ["first"]


def test_status_follows_the_run(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.start(name="r", algorithm="grpo", backend="trl", why="only one installed", seed=3)
    said = run.read_status()
    assert (said["status"], said["algorithm"], said["seed"]) == ("running", "grpo", 3)
    run.finish()
    said = run.read_status()
    assert said["status"] == "finished"
    assert said["seconds"] >= 0
    assert said["started"] <= said["finished"]
    assert said["error"] is None


def test_a_failure_is_recorded_without_secrets(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.start(algorithm="sft")
    with pytest.raises(ValueError, match="hunter2") as caught:
        int("https://user:hunter2@host")
    run.fail(caught.value)
    said = run.read_status()
    assert said["status"] == "failed"
    assert said["error"].startswith("ValueError: invalid literal")
    assert "https://[redacted]@host" in said["error"]
    assert "test_run_directory" in said["traceback"]
    assert "hunter2" not in run.status.read_text()
    run.fail(DataError("no column 'prompt'"))
    assert run.read_status()["error"] == "no column 'prompt'"
    run.fail(KeyboardInterrupt())
    assert run.read_status()["status"] == "interrupted"
    assert run.read_status()["error"] == "KeyboardInterrupt"


def test_json_is_written_at_once_and_redacted(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.write_json(run.plan, {"values": [{"path": "model.token", "value": "abc"}], "n": math.nan})
    assert json.loads(run.plan.read_text()) == {
        "values": [{"path": "model.token", "value": "[redacted]"}],
        "n": "NaN",
    }
    assert not list(tmp_path.glob(".*"))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.write_text(run.config, "old")
    with pytest.raises(UnicodeEncodeError):
        run.write_text(run.config, "new \ud800")
    assert run.config.read_text() == "old"
    assert not list(tmp_path.glob(".*"))


def test_lines_are_valid_json_whatever_is_in_them(tmp_path: Path) -> None:
    class Colour(Enum):
        RED = "red"

    run = RunDirectory.create(tmp_path)
    record = {
        "nan": math.nan, "up": math.inf, "down": -math.inf, "text": "a\nb\u2028 \ud800",
        "path": Path("x"), "colour": Colour.RED, "inner": {"nan": [math.nan]}, "object": object,
    }  # fmt: skip
    run.append_jsonl(run.metrics, record)
    lines = run.metrics.read_text().splitlines()
    assert len(run.metrics.read_bytes().splitlines()) == 1

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read = json.loads(run.metrics.read_bytes(), parse_constant=refuse)
    assert lines
    assert [as_number(read[key]) for key in ("up", "down")] == [math.inf, -math.inf]
    assert math.isnan(as_number(read["nan"]) or 0)
    assert read["colour"] == "red"
    assert read["inner"] == {"nan": ["NaN"]}


def test_numbers_of_other_libraries_become_numbers() -> None:
    class Scalar:
        def __float__(self) -> float:
            return 0.5

    class Vector:
        def __float__(self) -> float:
            raise TypeError("more than one value")

        def __repr__(self) -> str:
            return "Vector()"

    assert plain({"a": Scalar(), "b": Vector(), "c": {2, 1}}) == {
        "a": 0.5,
        "b": "Vector()",
        "c": [1, 2],
    }


def test_a_line_has_left_the_process_when_append_returns(tmp_path: Path) -> None:
    code = (
        "import os, sys; from aligntune.run import RunDirectory\n"
        "run = RunDirectory.create(sys.argv[1])\n"
        "for step in range(3): run.append_jsonl(run.metrics, {'step': step})\n"
        "os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    assert done.returncode == 9
    run = RunDirectory.open(tmp_path / "run")
    assert [r["step"] for r in run.read_jsonl(run.metrics)] == [0, 1, 2]
    assert run.read_status()["status"] == "running"


def test_a_line_that_was_cut_off_is_left_out_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDirectory.create(tmp_path)
    run.metrics.write_text('{"step": 1}\n{"step": 2, "lo')
    assert run.read_jsonl(run.metrics) == [{"step": 1}]
    assert "metrics.jsonl:2" in caplog.text
    run.append_jsonl(run.metrics, {"step": 2})
    assert run.read_jsonl(run.metrics) == [{"step": 1}, {"step": 2}]


def test_a_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.metrics.write_text('{"step": 1}')
    run.append_jsonl(run.metrics, {"step": 2})
    assert run.read_jsonl(run.metrics) == [{"step": 1}, {"step": 2}]


def test_any_other_broken_line_is_an_error_with_its_number(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    for broken in ('{"step": 1}\n{"st\n{"step": 3}\n', '{"step": 1}\n[2]\n'):
        run.metrics.write_text(broken)
        with pytest.raises(RunError, match=r"metrics\.jsonl:2"):
            run.read_jsonl(run.metrics)
    assert run.read_jsonl(run.samples) == []


def test_a_broken_status_names_the_line(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    run.status.write_text("{\n oops")
    with pytest.raises(RunError, match=r"run\.json:2"):
        run.read_status()
    with pytest.raises(RunError, match="already holds a run"):
        RunDirectory.create(tmp_path)
    RunDirectory.create(tmp_path, overwrite=True)


def test_environment_says_what_runs_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["aligntune", "train", "--hub-token", "hunter two", "--x=1"])
    monkeypatch.setenv("HF_TOKEN", "hunter3")
    monkeypatch.setenv("HF_HOME", "/data/hf")
    found = environment()
    text = json.dumps(found)
    assert "hunter" not in text
    assert found["command"] == "aligntune train --hub-token '[redacted]' --x=1"
    assert found["variables"]["HF_HOME"] == "/data/hf"
    assert found["packages"]["aligntune-core"]
    assert found["cpu"]["usable"] >= 1
    assert found["python"]["version"].startswith("3.")


def test_commit_is_none_outside_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment()["git"] is None


def test_plugins_are_recorded_with_where_they_were_installed_from(
    make_dist: Any, discover: Any
) -> None:
    site = make_dist("of-an-index", "")
    for name, said in {
        "of-a-file": {"url": "file:///wheels/of_a_file-1.0-py3-none-any.whl", "archive_info": {}},
        "of-git": {"url": "https://a.example/b", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
    }.items():
        make_dist(name, "")
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        (info / "direct_url.json").write_text(json.dumps(said))
    plugins = discover("of-an-index", "of-a-file", "of-git")
    records = plugin_records(plugins)
    sources = {record["name"]: record.pop("source") for record in records}
    assert records == [record.as_dict() for record in plugins.records]
    assert sources["of-an-index"] is None
    assert sources["of-a-file"] == "file:///wheels/of_a_file-1.0-py3-none-any.whl"
    assert sources["of-git"] == "git+https://a.example/b@c0ffee"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\n"
        "from aligntune.run import RunDirectory, write_report\n"
        "import aligntune.run.record, aligntune.redact\n"
        "aligntune.run.record.environment()\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'plotly', 'jinja2', 'numpy'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
