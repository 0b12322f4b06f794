"""Every setting of Cortex: its name, type, range and default, and how it is read.

`config.toml` < environment (`CORTEX_REDIS__URL`) < arguments. Secrets come from the environment only.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from cortex_core.errors import ConfigError

ENV_PREFIX = "CORTEX_"
CONFIG_FILE_VARIABLE = "CORTEX_CONFIG"
SECRETS = ("embedding.api_key", "llm.api_key")

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Dollars = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class RetrievalWeights:
    """The four weights of the retrieval score (TDD 3.3).

    Raises:
        ConfigError: They are negative or don't sum to 1 (within 0.01).
    """

    similarity: float = 0.40
    recency: float = 0.25
    emotion: float = 0.20
    reinforcement: float = 0.15

    def __post_init__(self) -> None:
        weights = (self.similarity, self.recency, self.emotion, self.reinforcement)
        if min(weights) < 0 or abs(sum(weights) - 1.0) >= 0.01:  # noqa: PLR2004  the TDD's tolerance
            raise ConfigError(f"The retrieval weights are shares that sum to 1; these sum to {sum(weights):g}.")


class Section(BaseModel):
    """Base of the sections: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_url(url: str, *beginnings: str) -> str:
    try:
        is_url = url.startswith(beginnings) and (urlsplit(url).port or True)  # reading a port that is none raises
    except ValueError:
        is_url = False
    if url and not is_url:
        *others, last = beginnings
        raise ValueError(f"a URL that starts with {', '.join(others)} or {last} (empty: the embedded server)")
    return url


class EmbeddedConfig(Section):
    """The servers that Cortex starts itself where no URL is given."""

    data_dir: Path = Path(".cortex")


class RedisConfig(Section):
    """The hot layer: working memory, sessions, cached identity and the write journal."""

    url: str = ""
    timeout_seconds: Seconds = 0.1
    max_connections: Count = 32
    working_limit: Annotated[int, Field(ge=1, le=1000)] = 200
    recent_limit: Count = 50
    session_ttl_hours: Count = 24

    @field_validator("url")
    @classmethod
    def _is_redis_url(cls, url: str) -> str:
        return _check_url(url, "redis://", "rediss://", "unix://")


class PostgresConfig(Section):
    """Long-term memory."""

    url: str = ""
    min_connections: Annotated[int, Field(ge=0)] = 2
    max_connections: Count = 10
    acquire_timeout_seconds: Seconds = 0.5
    statement_timeout_seconds: Seconds = 2.0

    @field_validator("url")
    @classmethod
    def _is_postgres_url(cls, url: str) -> str:
        return _check_url(url, "postgresql://", "postgres://")


class EmbeddingConfig(Section):
    """Which model turns text into vectors."""

    provider: Literal["local", "openai", "sentence-transformers"] = "local"
    model: str = ""
    dimensions: Annotated[int, Field(ge=0, le=4000)] = 0
    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    timeout_seconds: Seconds = 30.0
    deadline_seconds: Seconds = 0.3
    threads: Count = 2


class LLMConfig(Section):
    """The language model that words Clara's replies and analyses what is said; without one memory and rules do."""

    base_url: str = ""
    model: str = "gpt-4o-mini"
    api_key: SecretStr = SecretStr("")
    timeout_seconds: Seconds = 30.0
    max_reply_tokens: Count = 500
    max_concurrent: Count = 4
    daily_tokens: Annotated[int, Field(ge=0)] = 2_000_000
    daily_dollars: Dollars = 1.0
    direct_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    input_dollars_per_million: Dollars = 0.15
    output_dollars_per_million: Dollars = 0.6

    @property
    def is_configured(self) -> bool:
        """Whether there is a service to ask."""
        return bool(self.base_url or self.api_key.get_secret_value())


class RetrievalConfig(Section):
    """What recall brings back, and in which order."""

    similarity: Share = 0.40
    recency: Share = 0.25
    emotion: Share = 0.20
    reinforcement: Share = 0.15
    nothing_below: Share = 0.25
    weak_below: Share = 0.35
    rejection_file: str = ""
    max_retrieved: Count = 20
    deadline_seconds: Seconds = 1.0
    max_prompt_tokens: Annotated[int, Field(ge=100)] = 2000

    @property
    def weights(self) -> RetrievalWeights:
        """The four shares as the formula takes them."""
        return RetrievalWeights(self.similarity, self.recency, self.emotion, self.reinforcement)


class IngestionConfig(Section):
    """From a message to a stored memory."""

    base_ttl_seconds: Count = 1800
    max_content_chars: Annotated[int, Field(ge=100, le=100_000)] = 8000
    over_long: Literal["cut", "refuse"] = "cut"
    promote_emotion_above: Share = 0.6
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 32
    consumers: Annotated[int, Field(ge=0, le=16)] = 1
    claim_idle_seconds: Seconds = 5.0
    max_attempts: Count = 3
    max_backlog: Count = 50_000
    drain_seconds: Seconds = 10.0


class ForgettingConfig(Section):
    """What goes without anybody asking."""

    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30


class ConsolidationConfig(Section):
    """Upkeep behind the scenes (TDD 8.9)."""

    schedule: str = "0 */6 * * *"
    cleanup_schedule: str = "30 * * * *"
    pattern_min_memories: Count = 5
    pattern_confidence_threshold: Share = 0.8
    pattern_lookback_days: Count = 7
    compact_after_days: Count = 30
    compact_min_memories: Count = 10
    summarise_without_llm: bool = True
    similarity_threshold: Share = 0.8
    max_memories_per_run: Count = 500
    max_concurrent_users: Count = 5
    user_timeout_seconds: Seconds = 600.0


class LearningConfig(Section):
    """What is learned of people from what they say."""

    enabled: bool = True
    min_confidence: Share = 0.6
    pause_seconds: Seconds = 60.0
    batch_count: Annotated[int, Field(ge=1, le=40)] = 10
    wait_hours: Annotated[float, Field(gt=0.0, le=10_000.0)] = 24.0
    max_attempts: Count = 3


class CorrectionsConfig(Section):
    """Asking people about what they seem to have contradicted (TDD 1.3)."""

    pause_hours: Annotated[float, Field(gt=0.0, le=10_000.0)] = 20.0
    quiet_from_hour: Annotated[int, Field(ge=0, le=23)] = 22
    quiet_until_hour: Annotated[int, Field(ge=0, le=23)] = 8
    expire_days: Count = 14


class ClaraConfig(Section):
    """The reference bot."""

    name: Annotated[str, Field(min_length=1)] = "Clara"


class MemoryConfig(Section):
    """All settings; every default starts without a key, a server or a file."""

    embedded: EmbeddedConfig = EmbeddedConfig()
    redis: RedisConfig = RedisConfig()
    postgres: PostgresConfig = PostgresConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    llm: LLMConfig = LLMConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    ingestion: IngestionConfig = IngestionConfig()
    forgetting: ForgettingConfig = ForgettingConfig()
    consolidation: ConsolidationConfig = ConsolidationConfig()
    learning: LearningConfig = LearningConfig()
    corrections: CorrectionsConfig = CorrectionsConfig()
    clara: ClaraConfig = ClaraConfig()

    @field_validator("retrieval")
    @classmethod
    def _weights_sum_to_one(cls, retrieval: RetrievalConfig) -> RetrievalConfig:
        try:
            retrieval.weights  # noqa: B018  constructing them is the check
        except ConfigError as error:
            raise ValueError(f"weights that sum to 1 ({error})") from None
        return retrieval


class _LoadedConfig(MemoryConfig, BaseSettings):
    """A `MemoryConfig` that also reads the environment."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over what was read from the file."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101
        return env_settings, init_settings

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        return cls(**values)


def load_config(path: Path | str | None = None) -> MemoryConfig:
    """Read the settings.

    Args:
        path: The TOML file; else the one that `CORTEX_CONFIG` names, else `config.toml` in the working folder if there
            is one. Relative paths in the settings count from the file's folder.

    Raises:
        ConfigError: The file can't be read, or a key, type or value is wrong; the message names the dotted key, where
            it stands and what is allowed.
    """
    file = _find_file(path)
    values = _read_file(file) if file else {}
    _refuse_unknown_variables()
    try:
        config = _LoadedConfig.read(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, file)) from None
    folder = file.parent if file else Path.cwd()
    data_dir = (folder / config.embedded.data_dir.expanduser()).absolute()
    sections = {name: getattr(config, name) for name in MemoryConfig.model_fields}
    sections["embedded"] = EmbeddedConfig(data_dir=data_dir)
    if learned := config.retrieval.rejection_file:
        found = str((folder / Path(learned).expanduser()).absolute())
        sections["retrieval"] = config.retrieval.model_copy(update={"rejection_file": found})
    return MemoryConfig(**sections)


def _find_file(path: Path | str | None) -> Path | None:
    named = path or os.environ.get(CONFIG_FILE_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigError(f"There is no config file {named}; leave it out to run with the defaults.")
        return Path(named).absolute()
    default = Path("config.toml").absolute()
    return default if default.is_file() else None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} can't be read as TOML: {error}") from None
    for secret in SECRETS:
        section, key = secret.split(".")
        if isinstance(values.get(section), dict) and key in values[section]:
            raise ConfigError(
                f"{secret} stands in {file}; take it out and set {_variable(secret)} in the environment instead."
            )
    return values


def _refuse_unknown_variables() -> None:
    known = {_variable(section) for section in MemoryConfig.model_fields}
    for variable in os.environ:
        name = variable.upper()
        if name.startswith(ENV_PREFIX) and name != CONFIG_FILE_VARIABLE and name.split("__")[0] not in known:
            sections = ", ".join(f"{section}" for section in MemoryConfig.model_fields)
            raise ConfigError(
                f"The environment variable {variable} names no setting; it reads {ENV_PREFIX}SECTION__KEY, "
                f"with one of the sections {sections}."
            )


def _explain(error: ValidationError, file: Path | None) -> str:
    sentences = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        variable = _variable(key)
        from_environment = any(name.upper() == variable for name in os.environ)
        place = f"the environment variable {variable}" if from_environment else str(file or "the settings")
        if problem["type"] == "extra_forbidden":
            sentences.append(f"{key} in {place} is not a setting; {_allowed_keys(problem['loc'])}")
        else:
            reason = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            sentences.append(f"{key} in {place} is wrong; allowed is {reason}.")
    return " ".join(sentences)


def _allowed_keys(location: tuple[int | str, ...]) -> str:
    section = MemoryConfig.model_fields.get(str(location[0])) if len(location) > 1 else None
    model = section.annotation if section else MemoryConfig
    assert isinstance(model, type)  # noqa: S101
    assert issubclass(model, BaseModel)  # noqa: S101
    return f"allowed here: {', '.join(sorted(model.model_fields))}."


def _variable(key: str) -> str:
    return ENV_PREFIX + key.upper().replace(".", "__")
