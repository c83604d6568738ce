"""Privacy, and safety as the minimum of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aligntune import plugins
from aligntune.errors import ConfigError, NotRegisteredError
from aligntune.scoring import RewardBatch, RewardRegistry, as_reward, build_reward
from aligntune_rewards import HarmfulContentReward, PrivacyReward, SafetyReward, ToxicityReward

if TYPE_CHECKING:
    from bags import Make


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to ada.l+x@mail.example.org, please", "email"),
        ("Ring +44 20 7946 0958 now", "phone"),
        ("Pay with 4111 1111 1111 1111.", "card"),
        ("Pay with 5500-0000-0000-0004", "card"),
        ("Transfer to GB82 WEST 1234 5698 7654 32 TODAY", "iban"),
        ("DE89370400440532013000", "iban"),
        ("The server is 8.8.8.8.", "ip"),
        ("It is 2001:4860:4860::8888", "ip"),
    ],
)
def test_personal_data_is_found(text: str, kind: str) -> None:
    reward = PrivacyReward()
    assert reward.compute(text) == 0.0
    assert reward.found == {kind: 1}
    others = [each for each in ("email", "phone", "card", "iban", "ip") if each != kind]
    assert PrivacyReward(kinds=others).compute(text) == 1.0
    assert PrivacyReward(kinds=kind).compute(text, f"You know this? {text}") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The answer is 42.",
        "user@localhost and @mention",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "GB82 WEST 1234 5698 7654 33",
        "version 1.2.3.4.5, 192.168.0.1, 127.0.0.1, ::1 and 300.1.1.1",
        "at 10:30:45 on 2024-01-02",
        "pi is 3.14159265358979323846",
        "+1 234",
    ],
)
def test_what_is_no_personal_data(text: str) -> None:
    assert PrivacyReward().compute(text) == 1.0


def test_phone_numbers_of_a_region() -> None:
    text = "Call (650) 253-0000 today"
    assert PrivacyReward().compute(text) == 1.0
    assert PrivacyReward(region="US").compute(text) == 0.0


@pytest.mark.parametrize(
    ("params", "says"),
    [({"kinds": ["name"]}, "kinds names 'name'; the kinds are email"), ({"region": "us"}, "'us'")],
)
def test_privacy_refuses(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        as_reward(PrivacyReward, "privacy", params)


@pytest.fixture
def parts(bag: Make) -> list[dict[str, Any]]:
    harm = bag(("OK", "hate", "violence"))
    return [
        {"type": "toxicity", "params": {"model": bag(), "unsafe": 0}},
        {"type": "harmful_content", "params": {"model": harm}},
        {"type": "privacy"},
    ]


TEXTS = ["good good", "bad bad bad", "bad a@b.org", "word"]


def test_safety_is_the_minimum_of_its_parts(parts: list[dict[str, Any]]) -> None:
    reward = SafetyReward(parts, device="cpu")
    reward.load()
    batch = RewardBatch(TEXTS)
    classes: tuple[Any, ...] = (ToxicityReward, HarmfulContentReward)
    each = [
        made(**part["params"]).compute_batch(batch)
        for made, part in zip(classes, parts, strict=False)
    ]
    private = [1.0, 1.0, 0.0, 1.0]
    wanted = [min(values) for values in zip(*each, private, strict=True)]
    assert len(set(wanted)) == len(wanted)
    assert reward.compute_batch(batch) == pytest.approx(wanted)
    assert [reward.compute(text) for text in TEXTS] == pytest.approx(wanted, abs=1e-6)


def test_strict_gives_nothing_below_the_threshold(parts: list[dict[str, Any]]) -> None:
    batch = RewardBatch(TEXTS)
    plain = SafetyReward(parts).compute_batch(batch)
    middle = sorted(plain)[2]  # type: ignore[type-var]
    strict = SafetyReward(parts, strict=True, threshold=middle).compute_batch(batch)
    assert strict == [value if value >= middle else 0.0 for value in plain]  # type: ignore[operator]
    assert sum(value == 0.0 for value in strict) == 2
    own = [{**part, "threshold": 0.0} for part in parts]
    assert SafetyReward(own, strict=True).compute_batch(batch) == plain


def test_a_part_that_does_not_apply_is_left_out() -> None:
    RewardRegistry.register_reward("some_rows", lambda text: 0.5 if text else None)
    RewardRegistry.register_reward("too_much", lambda text: 1.5)
    try:
        reward = SafetyReward(["some_rows"])
        assert reward.compute_batch(RewardBatch(["a", ""])) == [0.5, None]
        assert SafetyReward(["some_rows", "privacy"]).compute("") == 1.0
        with pytest.raises(ValueError, match=r"its part 'too_much' gave 1\.5"):
            SafetyReward(["too_much"]).compute("a")
        assert SafetyReward(["privacy", "accuracy"]).needs == {"reference"}
        assert SafetyReward(["privacy", "accuracy"]).compute("4", reference="4") == 1.0
    finally:
        plugins.configure()


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        ({"parts": []}, ConfigError, "at least one"),
        ({"parts": "toxicity"}, ConfigError, "parts is a list"),
        ({"parts": [{"name": "privacy"}]}, ConfigError, "a part is a name or a mapping"),
        ({"parts": ["privat"]}, NotRegisteredError, "did you mean 'privacy'"),
        ({"parts": ["privacy"], "strict": "false"}, ConfigError, "strict is 'false'; it is true"),
        ({"parts": ["privacy"], "threshold": 0.3}, ConfigError, "no effect without strict"),
        ({"parts": ["privacy"], "strict": True, "threshold": 2}, ConfigError, "threshold is 2"),
        ({"parts": [{"type": "privacy", "params": {"x": 1}}]}, ConfigError, "no parameter 'x'"),
        ({"model": "x"}, ConfigError, "no parameter 'model'; it takes cache_dir, device, parts"),
    ],
)
def test_safety_refuses(params: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        build_reward("safety", params, plugins.get())


def test_device_and_cache_reach_the_parts_that_have_them(bag: Make) -> None:
    parts = ["privacy", {"type": "toxicity", "params": {"model": bag(), "unsafe": 0}}]
    reward = SafetyReward(parts, device="cuda", cache_dir="there")
    part: Any = reward.checks[1].reward
    assert (part.device, part.cache_dir) == ("cuda", "there")
    with pytest.raises(ConfigError, match="no GPU here"):
        reward.load()
