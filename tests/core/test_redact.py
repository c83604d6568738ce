"""No secret survives redaction, wherever it stands; and nothing else changes."""

from __future__ import annotations

import json
import string
import time
from copy import deepcopy
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligntune.redact import REDACTED, is_secret_name, redact, secret_paths

ALPHANUMERIC = string.ascii_letters + string.digits


@pytest.mark.parametrize(
    "name",
    [
        "token", "hub_token", "HF_TOKEN", "hubToken", "auth-token", "access_tokens", "hfToken",
        "push_to_hub_token", "secret", "client_secret", "password", "db.password", "passwd",
        "WANDB_API_KEY", "apikey", "apiKey", "X-Api-Key", "Authorization", "credential",
        "aws_credentials", "private_key", "aws_secret_access_key", "--hub-token",
        "model.model_init_kwargs.token",
    ],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokens_column", "max_new_tokens", "pad_token", "eos_token", "stop_token", "tokenizer",
        "num_tokens", "pad_token_id", "label_pad_token_id", "mean_token_accuracy", "padToken",
        "token_classification", "token_type_ids", "kl_per_token", "secretary", "key", "monkey",
        "importance_sampling_level", "name_or_path", "passing_rate",
    ],
)  # fmt: skip
def test_names_that_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)
    assert redact({name: "some value"}) == {name: "some value"}


def chars(alphabet: str, least: int, most: int = 40) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


known_tokens = st.one_of(
    chars(ALPHANUMERIC, 16).map("hf_{}".format),
    chars(ALPHANUMERIC, 16).map("sk-{}".format),
    chars(ALPHANUMERIC + "_-", 16).map("sk-proj-{}".format),
    chars(ALPHANUMERIC, 20).map("ghp_{}".format),
    chars(ALPHANUMERIC + "_", 20).map("github_pat_{}".format),
    chars(string.ascii_uppercase + string.digits, 16, 16).map("AKIA{}".format),
    chars(ALPHANUMERIC, 10).map("xoxb-{}".format),
    st.tuples(*[chars(ALPHANUMERIC + "_-", 8)] * 3).map(lambda p: "eyJ{}.{}.{}".format(*p)),
)
# Distinct from any word around it, so that its absence can be seen.
passwords = chars(ALPHANUMERIC + "!#%+*.", 4).map("Zq9{}9qZ".format)
secret_names = st.sampled_from(
    ["token", "hub_token", "password", "api_key", "WANDB_API_KEY", "secret"]
)
surroundings = st.sampled_from(["", " ", "see ", "/", "error: ", "x=", '"', "'", "(", "\n"])


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, object]:
    """A secret, and a value that holds it in one of the ways a secret gets into a run."""
    name = draw(secret_names)
    flag = "--" + name.lower().replace("_", "-")
    way = draw(st.integers(0, 11))
    secret = draw(known_tokens if way <= 2 else passwords)
    before, after = draw(surroundings), draw(surroundings.filter(lambda s: s != "x="))
    value: object = [
        secret,
        f"{before}{secret}{after}",
        {f"{before}{secret}": 1},
        {name: secret},
        {name: {"nested": [secret, {"deeper": secret}]}},
        ["aligntune", "train", flag, secret, "--max-steps", "5"],
        ["aligntune", f"{flag}={secret} and more"],
        f"aligntune train {flag} {secret} --max-steps 5",
        f"{before}{flag}={secret}",
        f"cannot reach https://user:{secret.replace('#', '')}@host.example/path".replace("#", ""),
        f"{{'{name}': '{secret}', 'pad_token': '<pad>'}}",
        {"path": f"model.model_init_kwargs.{name}", "value": secret, "origin": "grpo.yaml:3"},
    ][way]
    return secret.replace("#", "") if way == 9 else secret, value


leaves = st.none() | st.booleans() | st.integers() | st.text("abc /:=-_.", max_size=12)
names = st.sampled_from(
    ["model", "train", "pad_token", "max_new_tokens", "tokens_column", "a", "b"]
)


@given(
    planted(), st.recursive(leaves, lambda s: st.lists(s) | st.dictionaries(names, s), max_leaves=8)
)
def test_no_planted_secret_survives(plant: tuple[str, object], around: object) -> None:
    secret, value = plant
    tree = {"around": around, "list": [around, value], "map": {"inner": value}}
    untouched = deepcopy(tree)
    clean = redact(tree)
    assert secret not in json.dumps(clean, ensure_ascii=False)
    assert tree == untouched
    assert redact(clean) == clean
    assert secret_paths(tree)
    assert secret_paths(clean) == []


@given(st.recursive(leaves, lambda s: st.lists(s) | st.dictionaries(names, s), max_leaves=20))
def test_what_holds_no_secret_stays_as_it_is(tree: object) -> None:
    assert redact(tree) == tree
    assert secret_paths(tree) == []


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.def-123456", f"Authorization: {REDACTED}"),
        ("authorization: Basic dXNlcjpw", f"authorization: {REDACTED}"),
        ("curl -H 'Bearer abcdef123456'", f"curl -H 'Bearer {REDACTED}"),
        (
            "https://user:p@ss@host/x?token=abc&y=1",
            f"https://{REDACTED}@host/x?token={REDACTED}&y=1",
        ),
        ("cfg.yaml:3: hub_token: zzz", f"cfg.yaml:3: hub_token: {REDACTED}"),
        ("lr: 1\ntoken: zzz\nseed: 2", f"lr: 1\ntoken: {REDACTED}\nseed: 2"),
        ("Config(api_key='two words', n=2)", f"Config(api_key='{REDACTED}', n=2)"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
            f"{REDACTED}\nrest",
        ),
    ],
)
def test_secrets_in_text(text: str, clean: str) -> None:
    assert redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "the secret: always be kind",
        "bearer of news, Bearer instruments.",
        "hf_transfer and hf_home",
        "task-classification-of-something-very-long",
        "aligntune train --pad-token <pad> --max-new-tokens 5",
        "https://huggingface.co/Qwen/Qwen3-0.6B",
        "user@example.org",
        "a token is a piece of a word",
        "What is the password policy?",
        "2+2=4",
    ],
)
def test_text_that_holds_no_secret(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "part", ["a=", "a-", "aA", "eyJaaaaaa.", "a://", "--token ", '="', "  token: "]
)
def test_long_text_takes_time_in_proportion_to_its_length(part: str) -> None:
    text = part * (200_000 // len(part))
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < 5  # measured: 0.1 to 0.5; a square law would take minutes


def test_values_that_say_nothing_stay() -> None:
    tree = {"token": None, "password": "", "hub_token": True}
    assert redact(tree) == tree
    assert redact({"password": 12345}) == {"password": REDACTED}


def test_the_name_of_a_variable_is_no_secret() -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_2", "JUDGE_KEY10"):
        shown = {"api_key_env": name}
        assert redact(shown) == shown
    for value in ("sk-0123456789abcdef0123", "abc", "ABCDEFGH", "A1B2_C3D4", ["OPENAI_API_KEY"]):
        assert value not in redact({"api_key_env": value}).values()
    assert redact({"api_key": "OPENAI_API_KEY"}) == {"api_key": REDACTED}


def test_kinds_of_containers_and_leaves_are_kept() -> None:
    tree = {
        "tuple": ("a", {"token": "x"}),
        "set": {"a"},
        "bytes": b"ghp_" + b"a" * 20,
        "path": PurePosixPath("/data/hf_" + "a1" * 10),
        "other": Path("plain"),
        1: 2.5,
    }
    assert redact(tree) == {
        "tuple": ("a", {"token": REDACTED}),
        "set": {"a"},
        "bytes": REDACTED.encode(),
        "path": PurePosixPath(f"/data/{REDACTED}"),
        "other": Path("plain"),
        1: 2.5,
    }


def test_paths_of_secrets_are_dotted() -> None:
    tree = {
        "datasets": [{"name": "x"}, {"token": "t"}],
        "values": [{"path": "model.token", "value": "v"}],
        "command": ["--hub-token", "t"],
    }
    assert secret_paths(tree) == ["datasets.1.token", "values.0.value", "command.1"]
