"""Words are the same whatever their case, accents and the punctuation around them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core.words import STOP_WORDS, fold, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("?!… 🙂", []),
        ("What's José's?", ["what", "s", "jose", "s"]),
        ("GRÖSSE, Größe", ["grosse", "grosse"]),
        ("Ёлка ещё зелёная", ["елка", "еще", "зеленая"]),
        ("2026-01-02 at 5pm", ["2026", "01", "02", "at", "5pm"]),
        ("Ｆｕｌｌ ｗｉｄｔｈ", ["full", "width"]),
        ("你好，世界", ["你好", "世界"]),
        ("e\u0301te\u0301", ["ete"]),
    ],
)
def test_words_are_folded_in_their_order(text: str, words: list[str]):
    assert split_words(text) == words


@given(st.text())
def test_words_have_neither_accents_nor_spaces(text: str):
    for word in split_words(text):
        assert word
        assert not any(character.isspace() or unicodedata.combining(character) for character in word)


@given(st.text(alphabet=st.characters(max_codepoint=0x4FF)))
def test_case_and_the_way_accents_are_written_make_no_difference(text: str):
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
    assert split_words(f" {text} ") == split_words(text)


def test_stop_words_are_those_of_five_languages_as_questions_hold_them():
    for question in ("What did you", "Was hast du", "¿Qué está", "Où était-il", "Что ещё мой"):
        assert set(split_words(question)) <= STOP_WORDS, question
    assert all(split_words(word) == [word] for word in STOP_WORDS)


def test_what_says_something_in_english_is_no_stop_word():
    assert STOP_WORDS.isdisjoint("son war die man hat pour ton sin fur den bin era mes par".split())  # noqa: SIM905


def test_letters_of_other_alphabets_of_signs_are_folded_too():
    assert fold("𝓐nn") == "ann"
