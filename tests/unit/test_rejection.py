"""Which messages need no recall (TDD 9.2), in any language."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import Rejection, RejectionPipeline

pipeline = RejectionPipeline()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        *(
            (text, Rejection.GREETING)
            for text in ["hi", "Hello", "HEY!", "sup?", " hi  ", "hi :)", "hello ❤️", "good morning!"]
        ),
        *((text, Rejection.THANKS) for text in ["thanks", "Thank you!!", "thx", "ty"]),
        *((text, Rejection.ACKNOWLEDGEMENT) for text in ["ok", "okay", "k", "sure.", "OK 👍", "lol"]),
        *((text, Rejection.EMPTY) for text in ["", "   ", "...", "?!", "👍🎉", "\u200b", "\n\t", "🏳️‍🌈"]),
        *((text, Rejection.SHORT) for text in ["a", "ab", "好", "7"]),
    ],
)
def test_what_carries_nothing_is_rejected_with_a_reason(message: str, reason: Rejection):
    assert pipeline.why_reject(message) is reason
    assert pipeline.quick_reject(message)


@pytest.mark.parametrize(
    "message",
    [
        "cat",
        "hi, what is my cat called?",
        "ok but where do I live",
        "thanks for remembering my birthday",
        "high",
        "你好吗",
        "猫猫",
        "קטן מאוד",
        "чай",
        "ไทย",
        "नमस्ते",
        "2024",
        "C++ or Rust?",
    ],
)
def test_what_carries_something_is_not_rejected(message: str):
    assert pipeline.why_reject(message) is None


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(message: str):
    assert pipeline.quick_reject(message) is (pipeline.why_reject(message) is not None)


def test_a_wall_of_text_is_judged_without_backtracking():
    started = time.perf_counter()
    pipeline.quick_reject("good morning " * 8_000)
    assert time.perf_counter() - started < 5
