"""The real clients of the hub against one on this machine: read by name, train, push, load back.

They read where the hub is when they are imported, so each test is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from aligntune.testing import Hub, addition_rows, make_model, write_jsonl

TOKEN, OTHER = "hf_" + "a" * 34, "hf_" + "b" * 34

Run = Callable[..., Any]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    make_model(tmp_path / "models" / "ada" / "tiny")
    make_model(tmp_path / "models" / "bob" / "gated")
    rows = tmp_path / "datasets" / "ada" / "sums"
    card = """\
        ---
        configs:
        - config_name: small
          data_files:
          - {split: train, path: small/train.jsonl}
          - {split: test, path: small/test.jsonl}
        - config_name: large
          data_files: large.jsonl
        ---
        """
    write_jsonl(rows / "small" / "train.jsonl", addition_rows(8))
    write_jsonl(rows / "small" / "test.jsonl", addition_rows(3, seed=1))
    write_jsonl(rows / "large.jsonl", addition_rows(20))
    write_jsonl(rows.with_name("sums@v1") / "train.jsonl", addition_rows(5))
    (rows / "README.md").write_text(dedent(card))
    tokens, gated = {TOKEN: "ada", OTHER: "bob"}, {"bob/gated": {"bob"}}
    with Hub(tmp_path, tokens, gated, moved={"sums": "ada/sums"}) as hub:
        yield hub


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Run:
    """`run(*code)`: what code that is run against the hub assigns to `found`, as JSON."""

    def script(*code: str) -> Any:
        folder = tmp_path / "here"
        folder.mkdir(exist_ok=True)
        end = "import json\nprint('\\n' + json.dumps(found))\n"
        whole = "".join(dedent(part) for part in (*code, end))
        done = subprocess.run(
            [sys.executable, "-c", whole],
            env={**os.environ, **hub.environment(tmp_path / "cache")},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return script


TRAINER = f"""
    from aligntune import create_sft_trainer
    from aligntune.errors import AlignTuneError

    def trainer(**more):
        settings = {{"model_name": "ada/tiny", "dataset_name": "ada/sums", "subset": "small"}}
        settings |= {{"backend": "trl", "precision": "fp32", "max_steps": 1, "loggers": "none"}}
        return create_sft_trainer(**(settings | more))

    def said(call, *arguments, **more):
        try:
            call(*arguments, **more)
        except AlignTuneError as error:
            return str(error)

    TOKEN = {TOKEN!r}
"""


def test_rows_come_by_name_subset_split_revision_and_as_a_stream(run: Run) -> None:
    found = run("""
        from aligntune import DatasetConfig
        from aligntune.data.load import load_rows

        def count(name="ada/sums", **more):
            return sum(1 for _ in load_rows(DatasetConfig(name=name, **more)))

        found = [
            count(subset="small"),
            count(subset="small", split="test"),
            count(subset="large"),
            count(revision="v1"),
            count(subset="small", streaming=True),
            count("sums", subset="small"),
        ]
    """)
    assert found == [8, 3, 20, 5, 8, 8]


def test_what_is_not_there_is_said_with_what_is(run: Run) -> None:
    found = run(
        TRAINER,
        """
        found = [
            said(trainer(**wrong).train, overwrite=True)
            for wrong in (
                {"dataset_name": "ada/none"},
                {"subset": "smal"},
                {"split": "trian"},
                {"datasets.0.revision": "v2"},
                {"model_name": "ada/none"},
                {"model_name": "bob/gated"},
            )
        ]
        """,
    )
    for said, parts in zip(
        found,
        [
            ("ada/none", "no data set of this name"),
            ("subset 'smal'", "small, large"),
            ("'trian'", "train, test"),
            ("v2",),
            ("ada/none",),
            ("bob/gated",),
        ],
        strict=True,
    ):
        assert said is not None, parts
        assert all(part in said for part in parts), said


def test_a_trained_model_is_pushed_and_loads_by_its_name(run: Run, tmp_path: Path) -> None:
    found = run(
        TRAINER,
        """
        one = trainer(learning_rate=0.1, max_steps=2)
        one.train()
        address = one.push_to_hub("ada/trained", token=TOKEN, private=True)
        from huggingface_hub import HfApi
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained("ada/trained", token=TOKEN)
        tokenizer = AutoTokenizer.from_pretrained("ada/trained", token=TOKEN)
        start = AutoModelForCausalLM.from_pretrained("ada/tiny")
        pushed, before = model.state_dict(), start.state_dict()
        trained = one.trainer.model.state_dict()
        found = {
            "address": address,
            "same": all(bool((pushed[name] == trained[name].cpu()).all()) for name in pushed),
            "moved": any(bool((pushed[name] != before[name]).any()) for name in pushed),
            "text": tokenizer.decode(tokenizer("1+1=")["input_ids"]),
            "private": HfApi(token=TOKEN).model_info("ada/trained").private,
        }
        """,
    )
    assert "/ada/trained" in found.pop("address")
    assert found == {"same": True, "moved": True, "text": "1+1=", "private": True}
    assert (tmp_path / "models" / "ada" / "trained" / "model.safetensors").is_file()


def test_a_pissa_adapter_goes_to_the_hub_as_one_of_the_model_it_began_with(run: Run) -> None:
    found = run(
        TRAINER,
        """
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        one = trainer(
            learning_rate=0.1,
            max_steps=2,
            peft_enabled=True,
            lora_rank=4,
            init_lora_weights="pissa",
            target_modules="all-linear",
        )
        one.train()
        one.push_to_hub("ada/adapter", token=TOKEN)
        rows = torch.arange(20, 40)[None]
        live = one.trainer.model.eval()(rows).logits
        base = AutoModelForCausalLM.from_pretrained("ada/tiny")
        moved = (base(rows).logits - live).abs().max().item()
        pushed = PeftModel.from_pretrained(base, "ada/adapter", token=TOKEN)
        found = [moved, (pushed(rows).logits - live).abs().max().item()]
        """,
    )
    assert found[0] > 1e-2
    assert found[1] < 1e-5


def test_a_token_that_may_not_is_refused_and_not_repeated(run: Run) -> None:
    unknown = "hf_" + "c" * 34
    found = run(
        TRAINER,
        f"""
        one = trainer()
        tokens = [{unknown!r}, {OTHER!r}]
        found = [said(one.push_to_hub, "ada/trained", token=token) for token in tokens]
        """,
    )
    for said, token in zip(found, (unknown, OTHER), strict=True):
        assert "pushing to 'ada/trained' failed" in said
        assert token not in said
