"""Identity: what is durably true of a user, as a projection of the facts that Postgres keeps (TDD 4.5)."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import uuid_utils.compat as uuid7
from pydantic import JsonValue

from cortex_core.audience import Audience
from cortex_core.cleaning import check_json
from cortex_core.errors import InvalidInputError, NotFoundError, StoreUnavailableError
from cortex_core.models import Fact, Memory, MemoryType, Model, utc_now
from cortex_core.scoring import calculate_importance
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import RedisStore

_AUDIENCES = "audiences"
_LOADED_AT = "updated_at"
_RESERVED = {_AUDIENCES, _LOADED_AT}
_MAX_ATTRIBUTE_LENGTH = 100
_IDENTITY_EMOTION = 0.7  # identity facts are important (TDD 4.5)


@dataclass(frozen=True, slots=True)
class Identity:
    """An owner's attributes, each with its value and audience."""

    values: dict[str, JsonValue]
    audiences: dict[str, str]

    def heard_by(self, audience: Audience) -> dict[str, JsonValue]:
        """Return the attributes that may surface there."""
        return {name: value for name, value in self.values.items() if audience.may_hear(self.audiences[name])}


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
            fields: dict[str, JsonValue] = {**identity.values, _AUDIENCES: dict(identity.audiences)}
            await self._redis.cache_identity(user_id, fields, token=token)
        return identity

    async def update(
        self, user_id: str, attribute: str, value: JsonValue, *, audience: Audience, source: str, confidence: float
    ) -> Fact:
        """Let a value hold from now on; the one before it stays in the history.

        Raises:
            InvalidInputError: The attribute isn't a name, or the value isn't JSON.
            StoreUnavailableError: Postgres is away; nothing was changed.
        """
        check_user_id(user_id)
        _check_attribute(attribute)
        check_json("A value", value)
        now = utc_now()
        evidence = Memory(
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
        evidence = evidence.model_copy(update={"importance": calculate_importance(evidence, now)})
        fact = await self._postgres.identity.supersede(
            user_id, uuid7.uuid7(), attribute, value, confidence=confidence, valid_from=now, evidence=evidence
        )
        with suppress(StoreUnavailableError):  # a cache that Redis kept meanwhile lasts an hour at most
            await self._redis.clear_identity(user_id)
            await self.load(user_id)  # so that Clara knows it also while Postgres is away
        return fact

    async def get_profile(self, user_id: str) -> list[ProfileEntry]:
        """Return each attribute's current fact, by name, with what it rests on."""
        facts = await self._postgres.identity.list_current(check_user_id(user_id))
        evidence = await self._postgres.identity.list_evidence(user_id)
        return [ProfileEntry(fact=fact, evidence=evidence.get(fact.id, [])) for fact in facts]

    async def set_audience(self, user_id: str, attribute: str, audience: Audience) -> None:
        """Let an attribute surface there from now on.

        Raises:
            NotFoundError: Nothing is known under that name.
            StoreUnavailableError: A store is away.
        """
        if not await self._postgres.identity.set_audience(check_user_id(user_id), attribute, audience):
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
    return f"{attribute}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def read_cached(fields: dict[str, JsonValue]) -> Identity:
    """Read what Redis caches; what was put there without an audience is the owner's alone."""
    audiences = fields.get(_AUDIENCES)
    known = audiences if isinstance(audiences, dict) else {}
    values = {name: value for name, value in fields.items() if name not in _RESERVED}
    return Identity(values, {name: str(known.get(name, Audience.owner())) for name in values})


def _project(facts: Sequence[Fact]) -> Identity:
    return Identity({f.attribute: f.value for f in facts}, {f.attribute: f.audience for f in facts})


def _check_attribute(attribute: str) -> None:
    if not 1 <= len(attribute) <= _MAX_ATTRIBUTE_LENGTH or not attribute.isprintable() or attribute in _RESERVED:
        raise InvalidInputError(
            f"An attribute is a name of 1 to {_MAX_ATTRIBUTE_LENGTH} printable characters, and none of "
            f"{', '.join(sorted(_RESERVED))}."
        )
