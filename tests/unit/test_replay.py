"""The log's format, the names of its messages, and the LoCoMo converter; `tests/integration/test_replay.py` replays."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cortex_core import InvalidInputError
from cortex_core.models import utc_now
from cortex_core.replay import locomo
from cortex_core.replay.log import SourceIds, parse_line

LINE = {
    "time": "2023-05-08T13:56:00+02:00",
    "author_id": "42",
    "author_name": "Robin",
    "channel": "general",
    "text": "Secret: I like tea.",
}


def line(**changes: Any) -> bytes:
    return json.dumps({**LINE, **changes}).encode()


def reason(raw: bytes) -> str:
    with pytest.raises(InvalidInputError) as raised:
        parse_line(raw)
    message = str(raised.value)
    assert "Secret" not in message
    assert message.endswith(".")
    return message


class TestFormat:
    def test_a_line_becomes_a_message(self):
        message = parse_line(line())
        assert message.time == datetime(2023, 5, 8, 11, 56, tzinfo=UTC)
        assert (message.author_id, message.author_name, message.channel) == ("42", "Robin", "general")
        assert message.text == LINE["text"]
        assert message.id is None

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (b"Secret", "not JSON"),
            (b'{"text": "Secret \xff"}', "not JSON"),
            (b'{"text": "Secret \\ud800"}', "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b'["Secret"]', "not a JSON object"),
            (b"{}", "no time; it has no author_id; it has no author_name; it has no channel; it has no text"),
            (line(txet="Secret"), "'txet' is not a key of this format; allowed are time, author_id"),
            (line(author_id=42), "author_id has to be text"),
            (line(author_id=""), "author_id is empty"),
            (line(author_id="4" * 201), "more than 200"),
            (line(id="a\0"), "id has a NUL"),
            (line(text=None), "text has to be text"),
            (line(time="Secret"), "ISO 8601 with a zone"),
            (line(time="2023-05-08"), "ISO 8601 with a zone"),
            (line(time="2023-05-08T13:56:00"), "ISO 8601 with a zone"),
            (line(time=1683554160), "ISO 8601 with a zone"),
            (line(time="0001-01-01T00:00:00+14:00"), "before 1970"),
            (line(time="9999-12-31T23:59:59Z"), "in the future"),
            (line(time=(utc_now() + timedelta(days=2)).isoformat()), "in the future"),
        ],
    )
    def test_a_bad_line_tells_what_is_wrong_and_quotes_nothing(self, raw, told):
        assert told in reason(raw)

    def test_an_unknown_key_is_shown_short_and_plain(self):
        shown = reason(line(**{"\x1b[31m" + "x" * 500: 1}))
        assert "\x1b" not in shown
        assert len(shown) < 200


class TestSourceIds:
    def test_a_message_keeps_its_own_id_which_no_other_may_have(self):
        ids = SourceIds()
        assert ids.name(parse_line(line(id="m1"))) == "m1"
        with pytest.raises(InvalidInputError, match="same id"):
            ids.name(parse_line(line(id="m1", text="another")))

    def test_a_derived_id_depends_on_the_message_alone(self):
        ids = SourceIds()
        ids.name(parse_line(line(text="something before it")))
        assert ids.name(parse_line(line())) == SourceIds().name(parse_line(line(author_name="Robin II")))

    def test_equal_messages_are_different_messages(self):
        ids = SourceIds()
        assert len({ids.name(parse_line(line())) for _ in range(3)}) == 3

    @pytest.mark.parametrize(
        "change", [{"text": "x"}, {"channel": "x"}, {"author_id": "x"}, {"time": "2023-05-08T00:00Z"}]
    )
    def test_different_messages_have_different_ids(self, change):
        assert SourceIds().name(parse_line(line(**change))) != SourceIds().name(parse_line(line()))


def sample() -> dict[str, Any]:
    return {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ana",
            "speaker_b": "Ben",
            "session_2_date_time": "12:05 am on 1 June, 2023",
            "session_2": [{"speaker": "Ana", "dia_id": "D2:1", "text": "", "blip_caption": "a cat"}],
            "session_10_date_time": "9:00 am on 2 July, 2023",
            "session_10": [{"speaker": "Ben", "dia_id": "D10:1", "text": ""}],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ana", "dia_id": "D1:1", "text": "Hello", "img_url": ["x"]},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "Look", "blip_caption": "a dog"},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "again"},
            ],
        },
        "qa": [
            {"question": "Who greets?", "answer": 1, "evidence": ["D1:1; D:02:01"], "category": 4},
            {"question": 2023, "evidence": ["D7:7"], "category": 2},
            {"question": "Nothing?", "category": 3},
            {"question": "A trap?", "evidence": ["D1:1"], "category": 5, "adversarial_answer": "no"},
        ],
        "event_summary": {},
    }


def convert(*samples: dict[str, Any], number: int = 1) -> locomo.Conversation:
    return locomo.convert(json.dumps(samples).encode(), conversation=number)


class TestLocomo:
    def test_turns_become_lines_in_order(self):
        messages = convert(sample()).messages
        assert [(m.id, m.author_id, m.author_name, m.text) for m in messages] == [
            ("conv-1:D1:1", "Ana", "Ana", "Hello"),
            ("conv-1:D1:2", "Ben", "Ben", "Look [image: a dog]"),
            ("conv-1:D2:1", "Ana", "Ana", "[image: a cat]"),
            ("conv-1:D10:1", "Ben", "Ben", "(empty)"),
        ]
        assert {m.channel for m in messages} == {"conv-1"}

    def test_turns_of_a_session_are_seconds_apart(self):
        times = [m.time for m in convert(sample()).messages]
        assert times[0] == datetime(2023, 5, 8, 13, 56, 0, tzinfo=UTC)
        assert times[1] == datetime(2023, 5, 8, 13, 56, 1, tzinfo=UTC)
        assert times[2] == datetime(2023, 6, 1, 0, 5, tzinfo=UTC)

    def test_lines_are_of_the_log_format(self):
        messages = convert(sample()).messages
        assert [parse_line(m.model_dump_json().encode()) for m in messages] == messages

    def test_questions_name_the_lines_that_answer_them(self):
        [question] = convert(sample()).questions
        assert question.question == "Who greets?"
        assert question.evidence == ("conv-1:D1:1", "conv-1:D2:1")
        assert question.category == "single-hop"

    def test_a_conversation_is_chosen_by_its_number(self):
        other = {**sample(), "sample_id": "conv-2"}
        assert convert(sample(), other, number=2).name == "conv-2"
        for number in (0, 3):
            with pytest.raises(InvalidInputError, match=f"no conversation {number}; the file has 2"):
                convert(sample(), other, number=number)

    @pytest.mark.parametrize("data", [b"Secret", b"{}", b'[{"sample_id": "Secret"}]', b"\xff"])
    def test_another_format_is_refused(self, data):
        with pytest.raises(InvalidInputError, match=r"not LoCoMo's JSON") as raised:
            locomo.convert(data)
        assert "Secret" not in str(raised.value)

    @pytest.mark.parametrize(
        ("key", "value", "told"),
        [
            ("session_1_date_time", "Secret", "session_1_date_time"),
            ("session_1", "Secret", "session_1"),
            ("session_1", [{"speaker": "Ana", "dia_id": "Secret"}], "session_1.*dia_id"),
            ("session_1", [{"speaker": "", "dia_id": "D1:1"}], "session_1.*speaker"),
        ],
    )
    def test_a_broken_session_is_named(self, key, value, told):
        broken = sample()
        broken["conversation"][key] = value
        with pytest.raises(InvalidInputError, match=told) as raised:
            convert(broken)
        assert "Secret" not in str(raised.value)
