"""Runs of Meta-ES: candidates, fitness, resuming, workers, and what is left when it ends."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aligntune import create_rl_trainer
from aligntune.config import load_config
from aligntune.errors import ConfigError, DataError, NotRegisteredError, RewardError, RunError
from aligntune.plan import make_plan
from aligntune.run import RunDirectory
from aligntune.scoring import Part, RewardBatch, as_reward
from aligntune.testing import addition_rows, make_model, write_jsonl
from aligntune_trl.meta_es.evolution import Best, Iteration, Outcome, Strategy
from aligntune_trl.meta_es.evolved import Evolved, strategy_of
from aligntune_trl.meta_es.fitness import fitness_of, fitness_part, score_each
from aligntune_trl.meta_es.record import EvolutionRecord
from aligntune_trl.meta_es.workers import Workers

MARKS = """
import os, pathlib
def digits(text, **columns):
    return sum(character in "0123456789" for character in text) / 4
def letters(text, **columns):
    return sum(character.isascii() and character.isalpha() for character in text) / 4
def fatal(text, **columns):
    flag = pathlib.Path(os.environ["ES_FLAG"])
    if not flag.exists():
        flag.touch()
        os._exit(3)
    return digits(text)
"""
REWARDS = [
    {"type": "custom", "params": {"reward_function": "es_marks:digits"}},
    {"type": "custom", "params": {"reward_function": "es_marks:letters"}, "weight": 0.5},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("meta_es")
    make_model(folder / "model", initializer_range=0.2)
    write_jsonl(folder / "rows.jsonl", addition_rows(24))
    write_jsonl(folder / "held.jsonl", addition_rows(6))
    (folder / "es_marks.py").write_text(MARKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield folder


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    es = {
        "meta_iterations": 2,
        "N": 2,
        "T": 2,
        "sigma": 0.5,
        "alpha": 0.5,
        "eval_max_tokens": 4,
        "eval_k": 2,
        **more.pop("meta_es", {}),
    }
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / "rows.jsonl"),
        "eval_datasets": [str(folder / "held.jsonl")],
        "algorithm": "meta_es",
        "backend": "trl",
        "batch_size": 4,
        "learning_rate": 1e-2,
        "lr_scheduler": "constant",
        "temperature": 1.0,
        "max_completion_length": 4,
        "peft_enabled": False,
        "precision": "fp32",
        "logging_steps": 1,
        "save_interval": 1,
        "loggers": "none",
        "disable_tqdm": True,
        "seed": 3,
        "rewards": REWARDS,
        "meta_es": es,
        **more,
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def fitness(run: RunDirectory) -> dict[tuple[int, int], float]:
    return {(r["iteration"], r["candidate"]): r["fitness"] for r in lines(run.candidates)}


def weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    return load_file(run.model / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(folder: Path) -> RunDirectory:
    """A run from beginning to end."""
    return create_rl_trainer(**settings(folder, output_dir=str(folder / "whole"))).train()


def test_a_run_leaves_its_candidates_its_iterations_and_the_best(whole: RunDirectory) -> None:
    found = fitness(whole)
    assert sorted(found) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    iterations = lines(whole.iterations)
    assert [line["sigma"] for line in iterations] == [0.5, 0.5 * 0.99]
    for line in iterations:
        here = [found[line["iteration"], number] for number in (1, 2)]
        assert line["fitness"] == pytest.approx(sum(here) / 2, abs=1e-12)
        assert (line["lowest"], line["highest"], line["failed"]) == (min(here), max(here), 0)
    best = json.loads((whole.evolution / "best.json").read_text())
    assert best["fitness"] == max(found.values()) == iterations[-1]["best"]
    assert found[best["iteration"], best["candidate"]] == best["fitness"]
    assert list(best["parameters"]) == ["digits", "letters"]
    assert not (whole.evolution / "candidates").exists(), "without debug_mode nothing stays"
    report = whole.report.read_text()
    assert "Evolved weights" in report
    assert "of the candidates of each iteration" in report
    assert len(lines(whole.metrics)) == 3, "the last run is as long as a candidate"


@pytest.mark.parametrize(("other", "warns"), [(0.5, True), (0.75, False)])
def test_an_iteration_that_tells_nothing_of_its_candidates_says_so(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, other: float, warns: bool
) -> None:
    config = create_rl_trainer(**settings(folder, output_dir=str(tmp_path / "run"))).config
    record = EvolutionRecord(RunDirectory.create(tmp_path / "run"), config, Evolved.of(config))
    vector = np.zeros(2)
    outcomes = [Outcome(0.5), Outcome(other)]
    record.new = 2
    record.iteration(Iteration(0, 0.5, vector, np.stack([vector] * 2), outcomes, Best(0.5)))
    assert ("every candidate has the fitness 0.5" in caplog.text) == warns


def test_the_first_weights_are_those_that_are_configured_but_for_the_noise(
    whole: RunDirectory, folder: Path
) -> None:
    first = lines(whole.iterations)[0]["parameters"]
    assert first == pytest.approx({"digits": 1.0, "letters": 0.5}, abs=0.05)
    assert first != {"digits": 1.0, "letters": 0.5}, "init_scale"
    more = {"meta_es": {"init_scale": 0.0}}
    trainer = create_rl_trainer(**settings(folder, output_dir=str(folder / "never"), **more))
    vector = trainer.evolved.first(trainer.config)
    assert list(trainer.evolved.described(vector).values()) == pytest.approx([1.0, 0.5], abs=1e-12)


def test_the_model_is_that_of_a_run_with_the_best_weights(
    whole: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    """A run of GRPO by hand, to the last bit; and its fitness is what was measured."""
    best = json.loads((whole.evolution / "best.json").read_text())
    given = settings(folder, algorithm="grpo", output_dir=str(tmp_path / "by_hand"), max_steps=2)
    del given["meta_es"]
    given["rewards"] = [
        {**reward, "weight": weight}
        for reward, weight in zip(REWARDS, best["parameters"].values(), strict=True)
    ]
    trainer = create_rl_trainer(**given)
    assert same(weights(trainer.train()), weights(whole))
    part = fitness_part(trainer.scorer, None, trainer.plan.plugins)
    asked = {"seed": 3, "k": 2, "temperature": 0.8, "most": 4, "limit": 5}
    assert fitness_of(trainer, part, **asked) == best["fitness"]


def cut(whole: RunDirectory, to: Path, *, candidates: int, half: bool = False) -> RunDirectory:
    """What a run that was killed after so many candidates left."""
    shutil.copytree(whole.path, to)
    run = RunDirectory(to)
    kept = whole.candidates.read_text().splitlines(keepends=True)
    run.candidates.write_text("".join(kept[:candidates]) + (kept[candidates][:20] if half else ""))
    for name in ("best.json", "best.safetensors", "iterations.jsonl"):
        (run.evolution / name).unlink()
    for path in (run.model, run.checkpoints):
        shutil.rmtree(path)
    run.metrics.unlink()
    return run


def resumed(folder: Path, run: RunDirectory, **more: Any) -> RunDirectory:
    resume = more.pop("resume", True)
    return create_rl_trainer(**settings(folder, output_dir=str(run.path), **more)).train(
        resume=resume
    )


@pytest.mark.parametrize(("candidates", "half"), [(1, True), (3, False)])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    whole: RunDirectory, folder: Path, tmp_path: Path, candidates: int, half: bool
) -> None:
    """In the middle of the first iteration, amid a line; and in the middle of the second."""
    run = cut(whole, tmp_path / "whole", candidates=candidates, half=half)
    before = run.candidates.read_text().splitlines()[:candidates]
    resumed(folder, run)
    assert fitness(run) == fitness(whole)
    assert run.candidates.read_text().splitlines()[:candidates] == before, "not run again"
    assert len(lines(run.candidates)) == 4
    assert lines(run.iterations) == lines(whole.iterations)
    for name in ("best", "last"):
        found = [load_file(r.evolution / "best.safetensors")[name] for r in (run, whole)]
        assert torch.equal(*found)
    assert same(weights(run), weights(whole))


def test_the_last_run_resumes_from_its_checkpoint(
    whole: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole.path, tmp_path / "whole")
    run = RunDirectory(tmp_path / "whole")
    shutil.rmtree(run.checkpoints / "checkpoint-2")
    shutil.rmtree(run.model)
    began = time.time()
    resumed(folder, run)
    assert same(weights(run), weights(whole))
    assert (run.checkpoints / "checkpoint-1").stat().st_mtime < began
    assert [line["step"] for line in lines(run.metrics)] == [1, 2, 2]


def test_a_run_that_is_resumed_when_it_has_ended_stays_as_it_is(
    folder: Path, tmp_path: Path, whole: RunDirectory
) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    (run.model / "model.safetensors").unlink()
    resumed(folder, run)
    assert same(weights(run), weights(whole))
    assert max(line["step"] for line in lines(run.metrics)) == 2


def test_more_iterations_go_on_from_a_finished_run_and_train_anew_where_they_find_better(
    whole: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    """`meta_es.resume` takes over the candidates of another run."""
    run = RunDirectory(tmp_path / "more")
    more = {"meta_iterations": 3, "resume": str(whole.path)}
    resumed(folder, run, meta_es=more, resume=False)
    found = fitness(run)
    assert {key: value for key, value in found.items() if key[0] < 3} == fitness(whole)
    assert len(found) == 6
    best = json.loads((run.evolution / "best.json").read_text())
    assert best["fitness"] == max(found.values())


def test_a_run_ends_where_nothing_becomes_much_better(
    whole: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    """The candidates of two iterations are taken over, of which the second rose by 0.5."""
    source = cut(whole, tmp_path / "risen", candidates=4)
    risen = [{**r, "fitness": 0.5 * r["iteration"]} for r in lines(whole.candidates)]
    source.candidates.write_text("".join(json.dumps(line) + "\n" for line in risen))
    es = {"meta_iterations": 9, "patience": 1, "min_delta": 0.6, "resume": str(source.path)}
    run = RunDirectory(tmp_path / "run")
    resumed(folder, run, meta_es=es, resume=False)
    assert len(lines(run.candidates)) == 4
    assert [line["best"] for line in lines(run.iterations)] == [0.5, 1.0]


def test_the_strategy_is_the_one_that_is_configured(folder: Path) -> None:
    es = {
        "sigma": 0.2,
        "sigma_decay": 0.5,
        "alpha": 0.3,
        "mirror_coefficient": 0.25,
        "fitness_shaping": "ranks",
    }
    given = settings(folder, meta_es=es, output_dir=str(folder / "never"))
    found = strategy_of(create_rl_trainer(**given).config)
    assert found == Strategy(3, 2, 0.2, 0.5, 0.3, 0.25, "ranks")


def test_a_run_resumes_only_what_it_is_a_part_of(
    whole: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"meta_es.sigma: 0.5 before, 0.25 now"):
        resumed(
            folder,
            RunDirectory(tmp_path / "other"),
            meta_es={"sigma": 0.25, "resume": str(whole.path)},
            resume=False,
        )
    nowhere = {"resume": str(tmp_path)}
    with pytest.raises(RunError, match="holds no Meta-ES run with candidates that ended"):
        resumed(folder, RunDirectory(tmp_path / "other"), meta_es=nowhere, resume=False)
    fewer = [str(write_jsonl(tmp_path / "held.jsonl", addition_rows(5)))]
    with pytest.raises(RunError, match=r"eval_datasets.0.name"):
        resumed(folder, whole, eval_datasets=fewer)


@pytest.mark.slow
def test_workers_find_what_one_process_finds(
    whole: RunDirectory, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate depends neither on its process nor on what ran there before."""
    workers: list[Any] = []
    start = Workers._start
    monkeypatch.setattr(Workers, "_start", lambda self: workers.append(start(self)) or workers[-1])
    given = settings(folder, output_dir=str(tmp_path / "run"), meta_es={"num_workers": 2})
    run = create_rl_trainer(**given).train()
    assert [worker.process.exitcode for worker in workers] == [0, 0], "they end by themselves"
    assert fitness(run) == fitness(whole)
    assert same(weights(run), weights(whole))


@pytest.mark.slow
def test_a_process_that_dies_is_a_candidate_that_failed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ES_FLAG", str(tmp_path / "flag"))
    fatal = {"type": "custom", "params": {"reward_function": "es_marks:fatal"}}
    es = {"num_workers": 2, "N": 4, "meta_iterations": 1}
    given = settings(folder, rewards=[*REWARDS, fatal], meta_es=es)
    run = create_rl_trainer(**given, output_dir=str(tmp_path / "run")).train()
    found = lines(run.candidates)
    assert [r["error"] for r in found if r["fitness"] is None] == [
        "its process ended with exit code 3"
    ]
    assert len(found) == 4


def test_what_cannot_be_sent_to_workers_is_refused(folder: Path, tmp_path: Path) -> None:
    reward = {"type": "custom", "params": {"reward_function": lambda text, **columns: 0.0}}
    given = settings(folder, rewards=[*REWARDS, reward], meta_es={"num_workers": 2})
    with pytest.raises(ConfigError, match=r"rewards.2.params(?s:.*)or use 1 worker"):
        create_rl_trainer(**given, output_dir=str(tmp_path / "run")).train()


def test_a_candidate_that_fails_is_marked_and_its_pair_does_not_count(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def fragile(text: str, **columns: Any) -> float:
        calls.append(text)
        if len(calls) == 6:  # in the first candidate, which asks twice for 4 completions
            raise ValueError("no such file")
        return 0.0

    reward = {"type": "custom", "params": {"reward_function": fragile}}
    es = {"N": 4, "meta_iterations": 1, "debug_mode": True}
    given = settings(folder, rewards=[*REWARDS, reward], meta_es=es)
    run = create_rl_trainer(**given, output_dir=str(tmp_path / "run")).train()
    first, *others = lines(run.candidates)
    assert first["fitness"] is None
    assert "reward 'fragile' raised ValueError: no such file" in first["error"]
    assert all(other["fitness"] is not None and not other["error"] for other in others)
    assert lines(run.iterations)[0]["failed"] == 1
    assert "iteration 1, candidate 1 failed, and its pair does not count" in caplog.text

    # The step is that of the other pair alone.
    last = load_file(run.evolution / "best.safetensors")["last"].numpy()
    config = make_plan(_config(given, tmp_path)).config
    strategy, vector = strategy_of(config), Evolved.of(config).first(config)
    noise = strategy.noise(0, 3)[1]
    plus, minus = others[1]["fitness"], others[2]["fitness"]
    expected = vector + 0.5 * (plus - minus) / 2 * noise / 0.5 - 1e-4 * vector
    assert last == pytest.approx(expected, abs=1e-12)

    # debug_mode tells of every candidate, and keeps what it wrote.
    assert "iteration 1, candidate 2: fitness" in caplog.text
    kept = sorted(path.name for path in (run.evolution / "candidates").iterdir())
    assert kept == ["1-1", "1-2", "1-3", "1-4"]
    assert len(lines(run.evolution / "candidates" / "1-2" / "metrics.jsonl")) == 3


def _config(given: dict[str, Any], folder: Path) -> Any:
    from aligntune.config import load_config

    return load_config({**given, "output_dir": str(folder)}, kind="rl")


def test_where_all_candidates_fail_the_run_says_why_and_can_be_tried_again(
    folder: Path, tmp_path: Path
) -> None:
    broken = [True]

    def fragile(text: str, **columns: Any) -> float:
        if broken:
            raise ValueError("no such file")
        return 0.0

    reward = {"type": "custom", "params": {"reward_function": fragile}}
    es = {"meta_iterations": 1, "T": 1}
    given = settings(folder, rewards=[*REWARDS, reward], meta_es=es, output_dir=str(tmp_path / "r"))
    with pytest.raises(RunError, match=r"all candidates of iteration 1 failed(?s:.*)no such file"):
        create_rl_trainer(**given).train()
    assert json.loads((tmp_path / "r" / "run.json").read_text())["status"] == "failed"
    broken.clear()
    run = create_rl_trainer(**given).train(resume=True)
    assert len(lines(run.candidates)) == 4
    assert json.loads((run.evolution / "best.json").read_text())["fitness"] >= 0


@pytest.fixture(scope="module")
def trained(folder: Path) -> Any:
    """A run inside, set up and not trained."""
    given = settings(folder, algorithm="grpo", output_dir=str(folder / "inside"))
    del given["meta_es"]
    trainer = create_rl_trainer(**given)
    trainer.setup()
    return trainer


def test_fitness_is_the_mean_of_the_best_of_k_completions(trained: Any) -> None:
    seen: list[str] = []

    def worth(text: str) -> float:
        return float(sum(map(ord, text)) % 97)

    def mark(text: str, **columns: Any) -> float:
        seen.append(text)
        return worth(text)

    part = Part("mark", as_reward(mark, "mark"), weight=-100.0, clip=0.1)
    asked = {"seed": 0, "temperature": 1.0, "most": 5, "limit": 5}
    found = fitness_of(trained, part, k=3, **asked)
    assert len(seen) == 6 * 3
    groups = [[worth(text) for text in seen[at : at + 3]] for at in range(0, 18, 3)]
    assert found == pytest.approx(np.mean([max(group) for group in groups]), abs=1e-12)
    assert found > np.mean(groups), "the weight, and what is done to the values, do not count"
    drawn = list(seen)
    assert fitness_of(trained, part, k=3, **asked) == found
    assert seen[18:] == drawn, "the seed decides"
    fitness_of(trained, part, k=3, **asked | {"seed": 1})
    assert seen[36:] != drawn


def test_temperature_0_takes_the_likeliest_and_completions_end_where_they_must(
    trained: Any,
) -> None:
    seen: list[Any] = []

    def keep(text: str, completion_ids: Any, **columns: Any) -> float:
        seen.append(completion_ids)
        return 0.0

    part = Part("keep", as_reward(keep, "keep"))
    asked = {"k": 1, "limit": 5}
    for seed in (0, 1):
        fitness_of(trained, part, seed=seed, temperature=0.0, most=3, **asked)
    assert seen[:6] == seen[6:]
    assert max(map(len, seen)) == 3
    before = torch.get_rng_state()
    fitness_of(trained, part, seed=5, temperature=1.0, most=7, **asked)
    assert max(map(len, seen[12:])) == 7
    assert torch.equal(torch.get_rng_state(), before)


def test_fitness_names_a_reward_of_the_run_or_another(trained: Any) -> None:
    plugins = trained.plan.plugins
    assert fitness_part(trained.scorer, None, plugins).name == "digits"
    assert fitness_part(trained.scorer, "letters", plugins) is trained.scorer.parts[1]
    assert fitness_part(trained.scorer, "exact_match", plugins).name == "exact_match"


def test_a_fitness_that_is_no_reward_is_told_by_the_plan(folder: Path) -> None:
    for name in ("letters", "exact_match"):  # a function of the run, and a registered reward
        make_plan(load_config(settings(folder, meta_es={"fitness": name})))
    with pytest.raises(NotRegisteredError, match=r"meta_es.fitness.*'exact_mach'.*exact_match"):
        make_plan(load_config(settings(folder, meta_es={"fitness": "exact_mach"})))


def batches(*texts: str) -> Iterator[RewardBatch]:
    for text in texts:
        yield RewardBatch(texts=[text])


def test_a_completion_that_takes_too_long_to_score_earns_the_least() -> None:
    def slow(text: str) -> float:
        time.sleep(3 if text == "slow" else 0)
        return 1.0

    reward = as_reward(slow, "slow")
    with pytest.raises(RewardError, match=r"took longer than 0.5 s(?s:.*)meta_es.eval_timeout"):
        score_each(Part("slow", reward), batches("a", "slow", "b"), 0.5)
    reward.range = (-2.0, 1.0)
    began = time.perf_counter()
    found = score_each(Part("slow", reward), batches("a", "slow", "b", "slow"), 0.5)
    assert found == [1.0, -2.0, 1.0, -2.0]
    assert time.perf_counter() - began < 2.5
    assert score_each(Part("slow", reward), batches("slow"), 10) == [1.0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"meta_es": {"N": 3}}, "meta_es.N: input should be a multiple of 2, not 3"),
        ({"meta_es": {"sigma": 0}}, "meta_es.sigma"),
        ({"eval_datasets": []}, "a candidate's fitness is measured on evaluation data"),
        ({"rewards": REWARDS[:1], "meta_es": {"evolve": ["reward_weights"]}}, "nothing to weigh"),
        ({"meta_es": {"evolve": ["mirror_map"], "inner_algorithm": "grpo"}}, "no mirror map"),
        ({"meta_es": {"evolve": ["weights"]}}, "meta_es.evolve"),
        ({"meta_es": {"inner_algorithm": "dpo"}}, "no run inside can be 'dpo'"),
        ({"meta_es": {"inner_algorithm": "dr_grop"}}, "did you mean 'dr_grpo'?"),
        ({"meta_es": {"eval_k": 2, "eval_temperature": 0}}, "are all the same"),
        ({"meta_es": {"no_wandb": True}, "loggers": ["wandb"]}, "keep one of them"),
        ({"meta_es": {"wandb_project": "mine"}}, "only when `logging.loggers` has wandb"),
        ({"gamma": 0.9}, "it belongs to PPO"),
        ({"mirror_coef": 0.5}, "only when `meta_es.inner_algorithm` is neural_mirror_grpo"),
        ({"meta_es": {"inner_algorithm": "dr_grpo"}, "loss_type": "bnpo"}, "always dr_grpo"),
        ({"loss_type": "none_such"}, "no loss of this algorithm"),
        ({"num_generations": 3}, "groups of 3 do not divide"),
        ({"rewards": [], "default_reward": None}, "default_reward"),
        (
            {"meta_es": {"evolve": ["mirror_map"]}, "mirror_divergence": "squared_probability"},
            "has no mirror map to evolve",
        ),
        ({"meta_es": {"evolve": ["mirror_map"]}, "mirror_coef": 0.0}, "does not count"),
        ({"meta_es": {"evolve": ["mirror_map"]}, "mirror_init_scale": 0.2}, "meta_es.init_scale"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_loads(
    folder: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        create_rl_trainer(**settings(folder, **given, output_dir=str(folder / "refused")))
    assert says in str(caught.value)


def test_what_is_wrong_with_data_and_fitness_is_said_once(folder: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "bare.jsonl", [{"prompt": "1+1="}])
    bare = settings(
        folder,
        eval_datasets=[str(tmp_path / "bare.jsonl")],
        meta_es={"fitness": "exact_match"},
        output_dir=str(tmp_path / "run"),
    )
    with pytest.raises(DataError, match="'exact_match' needs a reference"):
        create_rl_trainer(**bare).train()
    long = settings(folder, output_dir=str(tmp_path / "long"), meta_es={"eval_max_tokens": 510})
    with pytest.raises(RunError, match=r"`meta_es.eval_max_tokens` is 510, and may be 50"):
        create_rl_trainer(**long).train()


def test_the_plan_shows_the_runs_inside(folder: Path) -> None:
    plan = create_rl_trainer(**settings(folder, output_dir=str(folder / "never"))).plan
    values = {value.path: value for value in plan.values}
    assert values["meta_es.evolve"].value == ["reward_weights"]
    assert values["meta_es.inner_algorithm"].value == "grpo"
    assert values["train.num_generations"].value == 4
    assert values["train.max_steps"].value == 2
    assert values["train.max_steps"].origin == "default, as long as a candidate"
    assert plan.batch[0] == (
        "evolves reward weights: at most 2 iterations of 2 candidates, each 2 steps of grpo"
    )
    inner = {"inner_algorithm": "gspo"}
    gspo = settings(folder, meta_es=inner, save_interval=4, output_dir=str(folder / "never"))
    assert create_rl_trainer(**gspo).plan.flat()["train.cliprange"] == 3e-4


def test_a_mirror_map_evolves(folder: Path, tmp_path: Path) -> None:
    from aligntune_trl.neural_mirror_grpo.mirror_map import MirrorMap

    es = {"meta_iterations": 1, "T": 1, "debug_mode": True, "init_scale": 0.3}
    given = settings(folder, rewards=REWARDS[:1], mirror_coef=1.0, meta_es=es)
    run = create_rl_trainer(**given, output_dir=str(tmp_path / "run"), max_steps=2).train()
    tried = [
        MirrorMap.load(run.evolution / "candidates" / name / "mirror_map.safetensors").vector()
        for name in ("1-1", "1-2")
    ]
    middle = (tried[0] + tried[1]) / 2
    assert middle.std() == pytest.approx(0.3, rel=0.15)
    assert (tried[0] - tried[1]).std() / 2 == pytest.approx(0.5, rel=0.15), "sigma"
    best = load_file(run.evolution / "best.safetensors")["best"]
    chosen = json.loads((run.evolution / "best.json").read_text())["candidate"]
    assert torch.equal(best, tried[chosen - 1])
    used = MirrorMap.load(run.evolution / "mirror_map.safetensors").vector()
    assert torch.equal(used, best)
    # That map is what the last run used, which was longer than a candidate.
    assert torch.equal(MirrorMap.load(run.path / "mirror_map.safetensors").vector(), best)
    steps = [line["step"] for line in lines(run.metrics) if "loss" in line]
    assert steps == [1, 2]

    # Another run may start from it.
    more = settings(folder, rewards=REWARDS[:1], meta_es={"init_scale": 0.0})
    path = str(run.evolution / "mirror_map.safetensors")
    trainer = create_rl_trainer(**more, mirror_map=path, output_dir=str(tmp_path / "more"))
    assert trainer.evolved.first(trainer.config).tolist() == best.tolist()


def test_a_last_run_that_measures_and_a_model_that_answers(folder: Path, tmp_path: Path) -> None:
    """The switches of the last run are no matter of the candidates."""
    given = settings(
        folder,
        meta_es={"meta_iterations": 1, "T": 1, "eval_k": 1},
        eval_strategy="steps",
        eval_interval=1,
        per_device_eval_batch_size=4,
        stop_after_steps=1,
        max_steps=3,
        output_dir=str(tmp_path / "run"),
    )
    trainer = create_rl_trainer(**given)
    run = trainer.train()
    logged = lines(run.metrics)
    assert any("eval_reward" in line for line in logged)
    assert max(line["step"] for line in logged) == 1
    assert len(trainer.predict(["1+1="], max_new_tokens=3)) == 1
    assert "eval_reward" in trainer.evaluate()
    assert (Path(trainer.save_model(tmp_path / "copy")) / "model.safetensors").is_file()


def test_a_preview_shows_the_rows(folder: Path, tmp_path: Path) -> None:
    trainer = create_rl_trainer(**settings(folder, output_dir=str(tmp_path / "run")))
    assert trainer.preview(rows=1).rows


def test_wandb_is_told_the_project(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    es = {"meta_iterations": 1, "T": 1, "eval_k": 1, "wandb_project": "of-mine"}
    given = settings(folder, meta_es=es, output_dir=str(tmp_path / "run"), loggers=["wandb"])
    create_rl_trainer(**given).train()
    import wandb

    assert wandb.run is not None
    assert wandb.run.project == "of-mine"
    wandb.finish()
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1, "candidates tell nobody"
