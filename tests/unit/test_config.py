"""Settings: what wins over what, and what a person reads who got one wrong."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from cortex_core import ConfigError, MemoryConfig, load_config
from cortex_core.config import SECRETS, RetrievalWeights

SHIPPED = Path(__file__).parents[2] / "config.toml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that no config file of somebody's is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "config.toml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def message_of(path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    return str(raised.value)


def settings() -> set[str]:
    return {
        f"{section}.{key}"
        for section, field in MemoryConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    }


def without_place(config: MemoryConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"embedded": {"data_dir"}})


class TestShippedFile:
    def test_says_exactly_the_defaults(self):
        assert without_place(load_config(SHIPPED)) == without_place(MemoryConfig())

    def test_keeps_data_beside_itself(self):
        assert load_config(SHIPPED).embedded.data_dir == SHIPPED.parent / MemoryConfig().embedded.data_dir

    def test_names_every_setting_but_the_secrets(self):
        named = {
            f"{section}.{key}" for section, keys in tomllib.loads(SHIPPED.read_text("utf-8")).items() for key in keys
        }
        assert named == settings() - set(SECRETS)

    def test_has_a_comment_above_every_setting(self):
        lines = SHIPPED.read_text("utf-8").splitlines()
        uncommented = [line for above, line in pairwise(lines) if re.match(r"\w+ =", line) and above[:1] != "#"]
        assert uncommented == []


class TestPrecedence:
    def test_starts_with_the_defaults(self, folder):
        config = load_config()
        assert without_place(config) == without_place(MemoryConfig())
        assert config.embedded.data_dir == folder / ".cortex"

    def test_reads_the_file_of_the_working_folder(self, folder):
        write(folder, "[redis]\nworking_limit = 7")
        assert load_config().redis.working_limit == 7

    def test_the_environment_wins_over_the_file(self, folder, monkeypatch):
        write(folder, "[redis]\nworking_limit = 7\nrecent_limit = 8")
        monkeypatch.setenv("CORTEX_REDIS__WORKING_LIMIT", "9")
        redis = load_config().redis
        assert (redis.working_limit, redis.recent_limit) == (9, 8)

    def test_a_named_file_wins_over_the_variable_and_that_over_the_working_folder(self, folder, monkeypatch):
        write(folder, "[clara]\nname = 'Here'")
        monkeypatch.setenv("CORTEX_CONFIG", str(write(folder, "[clara]\nname = 'Variable'", "b.toml")))
        assert load_config().clara.name == "Variable"
        assert load_config(write(folder, "[clara]\nname = 'Named'", "c.toml")).clara.name == "Named"

    def test_relative_paths_count_from_the_file(self, folder):
        (folder / "etc").mkdir()
        file = write(folder / "etc", "[embedded]\ndata_dir = 'data'")
        assert load_config(file).embedded.data_dir == folder / "etc" / "data"

    def test_secrets_come_from_the_environment_and_stay_hidden(self, monkeypatch):
        monkeypatch.setenv("CORTEX_LLM__API_KEY", "sk-1234")
        config = load_config()
        assert config.llm.api_key.get_secret_value() == "sk-1234"
        assert config.llm.is_configured
        assert "sk-1234" not in repr(config)


class TestMistakes:
    def test_a_missing_file_is_named(self, folder):
        assert "nowhere.toml" in message_of(folder / "nowhere.toml")

    @pytest.mark.parametrize("text", [b"[redis", b"\xff\xfe"])
    def test_a_file_that_is_no_toml_is_named(self, folder, text):
        file = folder / "config.toml"
        file.write_bytes(text)
        assert str(file) in message_of()

    def test_an_unknown_key_names_its_place_and_the_known_ones(self, folder):
        file = write(folder, "[redis]\nulr = 'redis://localhost'")
        message = message_of()
        assert "redis.ulr" in message
        assert str(file) in message
        assert "url, working_limit" in message

    def test_an_unknown_section_names_its_place_and_the_known_ones(self, folder):
        file = write(folder, "[redsi]\nurl = ''")
        message = message_of()
        assert message.startswith("redsi in ")
        assert str(file) in message
        assert "postgres, redis, retrieval" in message

    @pytest.mark.parametrize(
        ("setting", "value", "allowed"),
        [
            ("redis.url", "'localhost:6379'", "starts with redis://, rediss:// or unix://"),
            ("postgres.url", "'mysql://x'", "starts with postgresql://"),
            ("redis.timeout_seconds", "0", "greater than 0"),
            ("redis.max_connections", "'many'", "a valid integer"),
            ("retrieval.similarity", "1.5", "less than or equal to 1"),
            ("embedding.provider", "'magic'", "'local', 'openai' or 'sentence-transformers'"),
            ("embedding.dimensions", "5000", "less than or equal to 4000"),
            ("ingestion.over_long", "'drop'", "'cut' or 'refuse'"),
            ("ingestion.max_content_chars", "10", "greater than or equal to 100"),
            ("clara.name", "''", "at least 1 character"),
        ],
    )
    def test_a_wrong_value_names_key_place_and_what_is_allowed(self, folder, monkeypatch, setting, value, allowed):
        section, key = setting.split(".")
        file = write(folder, f"[{section}]\n{key} = {value}")
        message = message_of()
        assert setting in message
        assert str(file) in message
        assert allowed in message

        file.unlink()
        variable = f"CORTEX_{section.upper()}__{key.upper()}"
        monkeypatch.setenv(variable, value.strip("'"))
        message = message_of()
        assert setting in message
        assert variable in message
        assert allowed in message

    def test_every_mistake_is_told_at_once(self, folder):
        write(folder, "[redis]\nworking_limit = 0\n[llm]\nmodle = 'x'")
        message = message_of()
        assert "redis.working_limit" in message
        assert "llm.modle" in message

    def test_a_variable_of_no_section_is_refused(self, monkeypatch):
        monkeypatch.setenv("CORTEX_REDSI__URL", "redis://localhost")
        message = message_of()
        assert "CORTEX_REDSI__URL" in message
        assert "CORTEX_SECTION__KEY" in message

    def test_a_variable_of_no_setting_is_refused(self, monkeypatch):
        monkeypatch.setenv("CORTEX_REDIS__ULR", "redis://localhost")
        message = message_of().lower()
        assert "redis.ulr" in message
        assert "working_limit" in message

    @pytest.mark.parametrize("secret", SECRETS)
    def test_a_secret_in_the_file_is_refused_and_not_repeated(self, folder, secret):
        section, key = secret.split(".")
        file = write(folder, f"[{section}]\n{key} = 'sk-1234'")
        message = message_of()
        assert secret in message
        assert str(file) in message
        assert f"CORTEX_{section.upper()}__{key.upper()}" in message
        assert "sk-1234" not in message

    def test_weights_that_do_not_sum_to_one_are_refused(self, folder):
        write(folder, "[retrieval]\nsimilarity = 0.9")
        message = message_of()
        assert message.startswith("retrieval in ")
        assert "sum to 1.5" in message
        with pytest.raises(ConfigError, match="sum to 1"):
            RetrievalWeights(similarity=0.9)


@pytest.mark.parametrize("key", ["REDIS", "POSTGRES"])
def test_a_port_that_is_none_is_a_sentence(monkeypatch, key):
    scheme = {"REDIS": "redis", "POSTGRES": "postgresql"}[key]
    monkeypatch.setenv(f"CORTEX_{key}__URL", f"{scheme}://localhost:abc/0")
    with pytest.raises(ConfigError, match=f"{key.lower()}.url in the environment variable CORTEX_{key}__URL"):
        load_config()


def test_what_is_loaded_without_anything_equals_the_defaults():
    loaded = load_config()
    assert loaded.model_copy(update={"embedded": MemoryConfig().embedded}) == MemoryConfig()
