"""SQL is read from files by name, and what several statements share stands there once."""

from pathlib import Path

import pytest

from cortex_core import sql


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Reads a file of this text in the place of the ones beside the module."""
    monkeypatch.setattr(sql, "files", lambda _: tmp_path)

    def write(text: str) -> dict[str, str]:
        (tmp_path / "group.sql").write_text(text, "utf-8")
        return sql._read.__wrapped__("group")[0]

    return write


def test_statements_have_names(write):
    assert write("-- name: one\nSELECT 1\n\n-- name: two\n-- why\nSELECT 2\n") == {
        "one": "SELECT 1",
        "two": "-- why\nSELECT 2",
    }


def test_what_stands_before_the_first_name_belongs_to_nobody(write):
    assert write("-- An explanation.\n\n-- name: one\nSELECT 1") == {"one": "SELECT 1"}


def test_a_fragment_is_put_in_wherever_a_statement_says_so(write):
    queries = write(
        "-- fragment: mine\nuser_id = $1\n\n"
        "-- fragment: active\n{{mine}} AND status = 'active'\n\n"
        "-- name: one\nSELECT 1 WHERE {{active}}\n\n"
        "-- name: two\nSELECT {{mine}}, {{mine}}\n"
    )

    assert queries == {
        "one": "SELECT 1 WHERE user_id = $1 AND status = 'active'",
        "two": "SELECT user_id = $1, user_id = $1",
    }


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT {{nothing}}",
        "-- name: one\nSELECT {{below}}\n\n-- fragment: below\n1",
        "-- fragment: itself\n{{itself}}",
        "-- name: statement\nSELECT 1\n\n-- name: one\nSELECT {{statement}}",
    ],
    ids=["unknown", "below", "itself", "a statement"],
)
def test_what_is_no_fragment_above_is_refused_by_name(write, text: str):
    with pytest.raises(ValueError, match=r"group\.sql puts in '(nothing|below|itself|statement)'"):
        write(text)


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1\n\n-- name: one\nSELECT 2",
        "-- fragment: one\n1\n\n-- fragment: one\n2",
        "-- fragment: one\n1\n\n-- name: one\nSELECT 1",
        "-- name: one\nSELECT 1\n\n-- fragment: one\n1",
    ],
)
def test_a_name_stands_for_one_thing(write, text: str):
    with pytest.raises(ValueError, match=r"group\.sql names one twice"):
        write(text)


def test_every_file_of_ours_can_be_read():
    groups = sorted(file.stem for file in Path(sql.__file__).parent.glob("*.sql"))

    assert "recall" in groups
    for group in groups:
        queries = sql.load_queries(group)
        assert queries or group == "scope"
        assert not any("{{" in query for query in queries.values())


@pytest.mark.parametrize("realm", ["own", "shared"])
def test_a_statement_is_limited_by_the_one_condition_there_is(realm):
    statement = sql.scoped("SELECT FROM memories AS m WHERE <scope> AND x", realm)

    assert "<scope>" not in statement
    assert "$1" in statement


def test_a_statement_that_could_not_be_limited_is_refused():
    with pytest.raises(ValueError, match="would not be limited"):
        sql.scoped("SELECT FROM memories", "own")
