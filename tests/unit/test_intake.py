"""What may become a memory, and what is refused with a sentence that doesn't quote it."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_core import Audience, EmotionScorer, IngestionConfig, InvalidInputError, Memory, MemoryType, NewMemory
from cortex_core.ingestion.intake import Intake, memory_id_of

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
scorer = EmotionScorer()


def prepare(content: str = "text", *, user_id: str = "ann", config: IngestionConfig | None = None, **fields) -> Memory:
    return Intake(config or IngestionConfig(), scorer).prepare(user_id, NewMemory(content=content, **fields))


def test_defaults_are_the_most_private_ones():
    memory = prepare("I moved to Lisbon.", created_at=WHEN)

    assert (memory.user_id, memory.author_id, memory.audience) == ("ann", "ann", "owner")
    assert (memory.memory_type, memory.created_at, memory.version) == (MemoryType.EPISODIC, WHEN, 0)


def test_the_same_source_is_the_same_memory():
    assert prepare("one", source_id="m1").id == prepare("other", source_id="m1").id == memory_id_of("m1")
    assert prepare("one").id != prepare("one").id


def test_sources_that_are_stored_alike_are_the_same_memory():
    assert prepare(source_id="m1\0").id == prepare(source_id="m1").id


def test_an_edit_has_a_later_version_than_the_original():
    assert prepare(source_id="m1", edited_at=WHEN).version > prepare(source_id="m1").version == 0


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("  hello \n", "hello"),
        ("a\0b", "ab"),
        ("Robert'); DROP TABLE memories;--", "Robert'); DROP TABLE memories;--"),
        ("@everyone <@&1> {0} %s ${x}", "@everyone <@&1> {0} %s ${x}"),
        ("שלום \u202eevil", "שלום \u202eevil"),
        ("👨‍👩‍👧 你好 नमस्ते", "👨‍👩‍👧 你好 नमस्ते"),
        ("a\x07b", "a\x07b"),
    ],
)
def test_what_can_be_stored_is_stored_as_it_is(content: str, kept: str):
    assert prepare(content).content == kept


@pytest.mark.parametrize(
    "content", ["", "   ", "\0", "\0\0 \t\n", "\x01\x02", "\u200b\u200d\ufeff", "\u202e\u2066", "\u2028"]
)
def test_what_nobody_can_see_is_refused(content: str):
    with pytest.raises(InvalidInputError, match="nothing to remember"):
        prepare(content)


def test_over_long_text_is_cut_with_a_mark():
    memory = prepare("word " * 20_000)

    assert len(memory.content) == IngestionConfig().max_content_chars
    assert memory.content.endswith("[cut]")


def test_over_long_text_is_refused_when_the_settings_say_so():
    with pytest.raises(InvalidInputError, match=r"too long.* 8,000 characters"):
        prepare("x" * 8001, config=IngestionConfig(over_long="refuse"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
@settings(deadline=None)
def test_cleaning_keeps_all_but_nul_and_space_around(content: str):
    kept = content.replace("\0", "").strip()
    try:
        assert prepare(content).content == kept
    except InvalidInputError:
        assert not any(c.isprintable() and not c.isspace() for c in kept)


@pytest.mark.parametrize(
    "created_at",
    [datetime(2026, 1, 1), datetime.min, datetime.max],  # noqa: DTZ001, DTZ901  that's what is tested
)
def test_times_need_a_zone(created_at: datetime):
    with pytest.raises(InvalidInputError, match="time zone"):
        prepare(created_at=created_at)
    with pytest.raises(InvalidInputError, match="time zone"):
        prepare(created_at=WHEN, edited_at=created_at)


@pytest.mark.parametrize(
    "created_at",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_times_that_no_store_can_hold_are_refused(created_at: datetime):
    with pytest.raises(InvalidInputError, match="created_at"):
        prepare(created_at=created_at)


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": "\0"},
        {"\0": 1},
        {"a": 10**5000},
    ],
)
def test_metadata_that_no_store_can_hold_is_refused(metadata: dict):
    with pytest.raises(InvalidInputError, match="metadata"):
        prepare(metadata=metadata)


def test_metadata_comes_through_unchanged():
    metadata = {"a": [1, 2.5, None, True, {"b": "é\n\u2028"}], "": {}, "\\u0000": "a backslash and letters"}

    assert prepare(metadata=metadata).metadata == metadata


@pytest.mark.parametrize("field", ["source_id", "channel_id", "author_id", "author_name", "project_id", "source"])
def test_names_that_no_index_can_hold_are_refused(field: str):
    with pytest.raises(InvalidInputError, match=field):
        prepare(**{field: "x" * 100_000})


def test_there_is_a_bound_on_tags_and_metadata():
    with pytest.raises(InvalidInputError, match="tags"):
        prepare(tags=("x" * 100_000,))
    with pytest.raises(InvalidInputError, match="metadata"):
        prepare(metadata={"a": "x" * 1_000_000})


@pytest.mark.parametrize("field", ["source_id", "channel_id", "author_id", "author_name", "project_id", "source"])
def test_nul_never_reaches_a_store(field: str):
    assert "\0" not in prepare(**{field: "a\0b"}).model_dump_json().encode().decode()
    assert "\\u0000" not in json.dumps(prepare(**{field: "a\0b"}).model_dump(mode="json"))


def test_tags_without_nul():
    assert prepare(tags=("a\0b",)).tags == ("ab",)


@pytest.mark.parametrize("user_id", ["", "\0", "x" * 201])
def test_an_impossible_owner_is_refused(user_id: str):
    with pytest.raises(InvalidInputError, match="user id"):
        prepare(user_id=user_id)


def test_errors_do_not_quote_what_was_said():
    with pytest.raises(InvalidInputError) as caught:
        prepare("my secret", metadata={"secret": float("nan")})

    assert "secret" not in str(caught.value)


def test_emotion_is_scored_unless_it_is_given():
    assert prepare("I love this, it is wonderful!").emotional_score > 0.6
    assert prepare("The meeting is at three.").emotional_score == 0
    assert prepare("I love this", emotional_score=0.1).emotional_score == 0.1


def test_joy_and_grief_weigh_the_same_on_the_scale():
    for text in ("My father died, I am devastated.", "I am so happy, best day ever!", "x" * 100_000):
        assert 0 <= scorer.rate(text) <= 1
    assert scorer.rate("My father died, I am devastated.") > 0.6


def test_the_audience_is_written_down():
    assert prepare(audience=Audience.channel(1, 2)).audience == "channel:1:2"
