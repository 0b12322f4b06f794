"""What people wish for all that they say: asked before anything of theirs is stored, scored, embedded or recalled."""

from collections.abc import Mapping
from contextlib import suppress

from pydantic import ValidationError

from cortex_core.errors import InvalidInputError, NotSpreadError, StoreUnavailableError
from cortex_core.models import Preferences
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import RedisStore

_NOT_HEEDED_YET = (
    "That is written down, but Redis can't be reached, so that not all of Cortex goes by it yet; do the same again to "
    "make sure."
)


class PreferenceKeeper:
    """Reads wishes from the cache in Redis or from Postgres, and changes them in both.

    Should both fail to tell, none are assumed: the writer asks again in the transaction in which it stores, and nothing
    is left in the hot layer of those who opt out.
    """

    def __init__(self, redis: RedisStore, postgres: PostgresStore) -> None:
        self._redis = redis
        self._postgres = postgres

    async def get(self, user_id: str) -> Preferences:
        """Return somebody's wishes."""
        with suppress(StoreUnavailableError):
            if (cached := await self._redis.get_preferences(user_id)) is not None:
                return cached
        return await self.load(user_id)

    async def load(self, user_id: str) -> Preferences:
        """Return somebody's wishes from Postgres, and cache them."""
        try:
            preferences = await self._postgres.preferences.get(check_user_id(user_id))
        except StoreUnavailableError:
            return Preferences()
        with suppress(StoreUnavailableError):  # then the next turn loads them again
            await self._redis.cache_preferences(user_id, preferences)
        return preferences

    async def change(self, user_id: str, changes: Mapping[str, object]) -> Preferences:
        """Change some of somebody's wishes and return all of them.

        Raises:
            InvalidInputError: There is no such wish, or it can't have that value.
            StoreUnavailableError: Postgres is away; nothing was changed.
            NotSpreadError: Redis is away; repeat it later, since it may not hold everywhere yet.
        """
        before = await self._postgres.preferences.get(check_user_id(user_id))
        try:
            preferences = Preferences.model_validate({**before.model_dump(), **changes})
        except ValidationError:
            wishes = ", ".join(Preferences.model_fields)
            raise InvalidInputError(f"Wishes are {wishes}, and one of these can't have that value.") from None
        await self._postgres.preferences.put(user_id, preferences)
        try:
            if preferences.opted_out:
                await self._redis.forget_everything(user_id)
            await self._redis.set_preferences(user_id, preferences)
        except StoreUnavailableError:
            raise NotSpreadError(_NOT_HEEDED_YET) from None
        return preferences
