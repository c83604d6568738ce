"""Personal data that hides, and numbers that are none."""

from __future__ import annotations

import time

import pytest

from aligntune_rewards import PrivacyReward


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("+4 4 2 0 7 9 4 6 0 9 5 8", "phone"),
        ("+44\u200b20\u200b7946\u200b0958", "phone"),
        ("tel:+16502530000", "phone"),
        ("call +1 (650) 253-0000", "phone"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "card"),
        ("4111 1111\u200b 1111 1111", "card"),
        ("\uff14\uff11\uff11\uff11 1111 1111 1111", "card"),
        ("\u0664\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 1111 1111", "card"),
        ("4111.1111.1111.1111", "card"),
        ("4111/1111/1111/1111", "card"),
        ("4111\n1111\n1111\n1111", "card"),
        ("3782 822463 10005", "card"),
        ("6011 0009 9013 9424", "card"),
        ("30569309025904", "card"),
        ("4111 1111 1111 1111 123", "card"),
        ("4111111111111111 123", "card"),
        ("4111 1111 1111 1111 12/26", "card"),
        ("1 4111 1111 1111 1111", "card"),
        ("3782 822463 10005 09/27", "card"),
        ("gb82 west 1234 5698 7654 32", "iban"),
        ("DE89-3704-0044-0532-0130-00", "iban"),
        ("DE89 3704 0044 0532 0130 00 is it", "iban"),
        ("NO9386011117947", "iban"),
        ("ID42 DE89 3704 0044 0532 0130 00", "iban"),
        ("MT84MALT011000012345MTLCAST001S", "iban"),
        ("ada at mail dot org", "email"),
        ("ada [at] mail [dot] org", "email"),
        ("ada(at)mail.org", "email"),
        ("ADA@MAIL.ORG", "email"),
        ("\uff41da\uff20mail\uff0eorg", "email"),
        ("\u202egro.liam@ada\u202c", "email"),
        ("a\0d\0a\0@mail.org", "email"),
        ("8.8.8.8:53", "ip"),
        ("8[.]8[.]8[.]8", "ip"),
        ("http://8.8.8.8/x", "ip"),
        ("::ffff:8.8.8.8", "ip"),
    ],
)
def test_what_hides_is_found(text: str, kind: str) -> None:
    reward = PrivacyReward()
    assert reward.compute(f"Here: {text} .") == 0.0
    assert kind in reward.found
    # What the prompt holds in another form may be repeated.
    assert PrivacyReward(kinds=[kind]).compute(text, prompt=f"It is {text}") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "2020 2021 2022 2023 2024 2025",
        "order 1234567890123456",
        "1234 5678 9012 3452",  # a right check digit, and no issuer's number
        "pi is 3.1415926535897932",
        "2^64 = 18446744073709551616",
        "ISBN 978-3-16-148410-0",
        "1600000000000 ms",
        "IN20 something something something",
        "ZZ82 WEST 1234 5698 7654 32",
        "look at the dot on the wall",
        "He was at home. Dot was there.",
        "1. One. 2. Two. 3. Three. 4. Four.",
        "1.2.3.4.5 and 10.0.0.1 and 0.0.0.0 and fe80::1",
        "std::vector::size, a::b and 12:30:45",
        "+49 89 is the code",
    ],
)
def test_numbers_that_are_nobodys(text: str) -> None:
    assert PrivacyReward().compute(text) == 1.0


def test_what_messages_of_the_prompt_hold_may_be_repeated() -> None:
    parts = [{"type": "text", "text": "Or:\n4111 1111 1111 1111"}]
    talk = [
        {"role": "system", "content": "You know:\nada@example.org"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None},
    ]
    reward = PrivacyReward()
    assert reward.compute("It is ada@example.org, 4111-1111-1111-1111.", prompt=talk) == 1.0
    assert reward.compute("It is da@example.org.", prompt=talk) == 0.0


@pytest.mark.parametrize(
    "part",
    ["1", "1 ", "+1 ", "a@", "a.", "a at b dot ", ":", "ab12", "+", "(", "1.2.3.", "@", "1111 "],
)
def test_long_texts_are_quick(part: str) -> None:
    began = time.process_time()
    PrivacyReward().compute(part * (200_000 // len(part)))
    assert time.process_time() - began < 5
