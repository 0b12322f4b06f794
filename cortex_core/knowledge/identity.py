"""Identity: what is durably true of a user, as a projection of the facts that Postgres keeps (TDD 4.5)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import uuid_utils.compat as uuid7
from pydantic import JsonValue

from cortex_core.attributes import declared_attributes, normal_form, standard_value, value_in_words
from cortex_core.audience import Audience
from cortex_core.cleaning import check_json
from cortex_core.errors import InvalidInputError, NotFoundError, StoreUnavailableError
from cortex_core.models import Fact, Memory, MemoryType, Model, utc_now
from cortex_core.scoring import calculate_importance
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.identity import Statement
from cortex_core.stores.redis import RedisStore

_AUDIENCES = "audiences"
_LOADED_AT = "updated_at"
_RESERVED = {_AUDIENCES, _LOADED_AT}
_MAX_ATTRIBUTE_LENGTH = 100
_MAX_KEY_CHARS = 200
_MAX_VALUES = 100
_IDENTITY_EMOTION = 0.7  # identity facts are important (TDD 4.5)
_DECLARED_MANY = {attribute.name for attribute in declared_attributes() if attribute.has_many}
_NO_ATTRIBUTE = (
    f"An attribute is a name of 1 to {_MAX_ATTRIBUTE_LENGTH} printable characters, and none of "
    f"{', '.join(sorted(_RESERVED))}."
)


@dataclass(frozen=True, slots=True)
class Identity:
    """An owner's attributes, each with its value and where that may come up; of one that holds many, lists of both.

    Attributes:
        audiences: In each text one or more, apart by spaces: it may come up wherever one of them may be heard.
    """

    values: Mapping[str, JsonValue]
    audiences: Mapping[str, str | list[str]]

    def heard_by(self, audience: Audience) -> dict[str, JsonValue]:
        """Return the attributes that may surface there, and of many values those that may."""
        heard: dict[str, JsonValue] = {}
        for name, value in self.values.items():
            audiences = self.audiences[name]
            if isinstance(audiences, str):
                if audience.may_hear_any(audiences.split()):
                    heard[name] = value
            elif isinstance(value, list):
                pairs = zip(value, audiences, strict=True)
                if several := [one for one, its_own in pairs if audience.may_hear_any(its_own.split())]:
                    heard[name] = several
        return heard


class ProfileEntry(Model):
    """What is known under one name, and the memories that it rests on, oldest first."""

    fact: Fact
    evidence: list[Memory]


class IdentityKeeper:
    """Reads identity from the cache in Redis or from Postgres, and changes it in both."""

    def __init__(self, redis: RedisStore, postgres: PostgresStore) -> None:
        self._redis = redis
        self._postgres = postgres

    async def get(self, user_id: str) -> Identity:
        """Return the owner's identity, from Postgres when it isn't cached.

        Raises:
            StoreUnavailableError: It isn't cached, and Postgres is away.
        """
        try:
            cached = await self._redis.get_identity(user_id)
        except StoreUnavailableError:
            return await self._project(user_id)
        return read_cached(cached) if cached else await self.load(user_id)

    async def load(self, user_id: str) -> Identity:
        """Return the owner's identity from Postgres, and cache it."""
        try:
            token = await self._redis.get_identity_token(user_id)
        except StoreUnavailableError:
            return await self._project(user_id)
        identity = await self._project(user_id)
        with suppress(StoreUnavailableError):  # then the next turn loads it again
            audiences: dict[str, JsonValue] = {
                name: held if isinstance(held, str) else list[JsonValue](held)
                for name, held in identity.audiences.items()
            }
            fields: dict[str, JsonValue] = {**identity.values, _AUDIENCES: audiences}
            await self._redis.cache_identity(user_id, fields, token=token)
        return identity

    async def as_of(self, user_id: str, at: datetime) -> Identity:
        """Return what was taken to be true of the owner at that time; where it may surface is decided by today."""
        return _project(await self._postgres.identity.list_as_of(check_user_id(user_id), at))

    async def refresh(self, user_id: str) -> None:
        """Replace what is cached, after a change in Postgres."""
        with suppress(StoreUnavailableError):  # a cache that Redis kept meanwhile lasts an hour at most
            await self._redis.clear_identity(user_id)
            await self.load(user_id)  # so that Clara knows it also while Postgres is away

    async def update(
        self,
        user_id: str,
        attribute: str,
        value: JsonValue,
        *,
        audience: Audience,
        source: str,
        confidence: float,
        replaces: JsonValue = None,
        is_beside: bool = False,
    ) -> Fact:
        """Let a value hold from now on; what held before stays in the history.

        Args:
            user_id: The owner.
            attribute: What it is a value of.
            value: A list gives all values of an attribute that is declared to hold many.
            audience: Where it may surface.
            source: How it is known.
            confidence: How sure one is.
            replaces: The one of many values that it takes the place of; all if that is None.
            is_beside: Whether it takes the place of none, where there can be many.

        Raises:
            InvalidInputError: The attribute isn't a name, or the value isn't JSON.
            StoreUnavailableError: Postgres is away; nothing was changed.
        """
        check_user_id(user_id)
        if not is_attribute(attribute):
            raise InvalidInputError(_NO_ATTRIBUTE)
        check_json("A value", value)
        values, has_many = _values_of(attribute, standard_value(attribute, value))
        instead_of = [] if is_beside else [key_of(replaces)] if replaces is not None else None
        statements = [
            Statement(
                uuid7.uuid7(), one, key, has_many, _evidence(user_id, attribute, one, audience, source, confidence)
            )
            for key, one in values.items()
        ]
        facts = await self._postgres.identity.set_values(
            user_id, attribute, statements, confidence=confidence, source=source, instead_of=instead_of
        )
        await self.refresh(user_id)
        return facts[-1]

    async def get_profile(self, user_id: str) -> list[ProfileEntry]:
        """Return the current facts, by the names of their attributes, each with what it rests on."""
        facts = await self._postgres.identity.list_current(check_user_id(user_id))
        evidence = await self._postgres.identity.list_evidence(user_id)
        return [ProfileEntry(fact=fact, evidence=evidence.get(fact.id, [])) for fact in facts]

    async def set_audience(self, user_id: str, attribute: str, audience: Audience, *, value: JsonValue = None) -> None:
        """Let an attribute, or the one of its values that is named, surface there from now on.

        Raises:
            NotFoundError: Nothing is known under that name.
            StoreUnavailableError: A store is away.
        """
        key = None if value is None else key_of(value)
        if not await self._postgres.identity.set_audience(check_user_id(user_id), attribute, audience, key=key):
            raise NotFoundError("Nothing is known of you under that name any more.")
        await self._redis.clear_identity(user_id)

    async def history(self, user_id: str, attribute: str | None = None) -> list[Fact]:
        """Return everything that ever held, oldest first."""
        return await self._postgres.identity.list_history(check_user_id(user_id), attribute)

    async def _project(self, user_id: str) -> Identity:
        facts = await self._postgres.identity.list_current(user_id)
        return _project(facts)


def state_attribute(attribute: str, value: JsonValue) -> str:
    """Return the words of the memory that is kept as evidence of an attribute."""
    return f"{attribute}: {value_in_words(value)}"


def state_fact(subject: str, attribute: str, value: JsonValue) -> str:
    """Return the words under which a fact is forgotten, so that it isn't learned again (`gone_facts` in SQL)."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{subject}, {attribute}: {text}" if subject else f"{attribute}: {text}"


def key_of(value: JsonValue) -> str:
    """Return what spellings of a value have in common, short enough for an index."""
    key = normal_form(value)
    return key if len(key) <= _MAX_KEY_CHARS else hashlib.sha256(key.encode()).hexdigest()


def is_attribute(name: str) -> bool:
    """Whether an attribute can be called that."""
    return 1 <= len(name) <= _MAX_ATTRIBUTE_LENGTH and name.isprintable() and name not in _RESERVED


def read_cached(fields: dict[str, JsonValue]) -> Identity:
    """Read what Redis caches; what was put there without an audience is the owner's alone."""
    audiences = fields.get(_AUDIENCES)
    known = audiences if isinstance(audiences, dict) else {}
    values = {name: value for name, value in fields.items() if name not in _RESERVED}
    return Identity(values, {name: _read_audience(known.get(name), value) for name, value in values.items()})


def _read_audience(cached: JsonValue, value: JsonValue) -> str | list[str]:
    if isinstance(cached, list) and isinstance(value, list) and len(cached) == len(value):
        return [str(audience) for audience in cached]
    return cached if isinstance(cached, str) else str(Audience.owner())


def _project(facts: Sequence[Fact]) -> Identity:
    """Return the values by attribute: of one that holds many a list, whose parts each have their audience."""
    values: dict[str, JsonValue] = {}
    audiences: dict[str, str | list[str]] = {}
    for attribute, group in groupby(facts, key=lambda fact: fact.attribute):
        held = list(group)
        if held[-1].has_many or len(held) > 1:
            values[attribute] = [fact.value for fact in held]
            audiences[attribute] = [" ".join(fact.audiences) for fact in held]
        else:
            values[attribute], audiences[attribute] = held[-1].value, " ".join(held[-1].audiences)
    return Identity(values, audiences)


def _values_of(attribute: str, value: JsonValue) -> tuple[dict[str, JsonValue], bool]:
    """Return the values that somebody sets, by their keys, and whether others may hold beside them.

    What isn't declared is the caller's own and comes back as it was given, and so does an empty list: there is none.
    """
    if attribute not in _DECLARED_MANY or value == []:
        return {key_of(value): value}, False
    values = {key_of(one): one for one in (value if isinstance(value, list) else [value])}
    if len(values) > _MAX_VALUES:
        raise InvalidInputError(f"An attribute has at most {_MAX_VALUES} values.")
    return values, True


def _evidence(
    user_id: str, attribute: str, value: JsonValue, audience: Audience, source: str, confidence: float
) -> Memory:
    """Return the memory that states what somebody sets."""
    now = utc_now()
    memory = Memory(
        user_id=user_id,
        content=state_attribute(attribute, value),
        memory_type=MemoryType.IDENTITY,
        author_id=user_id,
        audience=str(audience),
        said_in=str(audience),
        emotional_score=_IDENTITY_EMOTION,
        confidence=confidence,
        created_at=now,
        source=source,
    )
    return memory.model_copy(update={"importance": calculate_importance(memory, now)})
