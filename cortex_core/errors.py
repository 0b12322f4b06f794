"""Every error that Cortex raises on purpose, as one tree.

::

    CortexError
    ├── ConfigError               a setting is missing, unknown or out of range
    ├── InvalidInputError         the caller's data can't be stored or searched (also a ValueError)
    │   └── IdempotencyError      this source was stored before, with another content
    ├── NotFoundError             no such memory or project for this person (unknown and foreign alike)
    ├── AccessDeniedError         a member's role in the project doesn't allow it (also a PermissionError)
    ├── StoreError
    │   ├── StoreUnavailableError a server is away, slow or out of resources: the same call may work later
    │   │   ├── NotSpreadError    it is done for good, but what is cached of it is not told yet
    │   │   └── LeaseLostError    another process took the work over; nothing of it was written
    │   ├── StoreDataError        a server refused this data: the same call never works
    │   ├── SchemaError           the database's schema or embedding space isn't the one this version needs
    │   └── EmbeddedServerError   the embedded PostgreSQL or Valkey can't run here
    └── ProviderError
        ├── ProviderUnavailableError  an embedder or language model failed or was too slow
        │   └── BudgetExhaustedError  what a language model may cost on a day would be exceeded
        │       └── BudgetReservedError  … by requests that go on, which may cost less than is set aside for them
        ├── UnreadableAnswerError     a language model's answer doesn't have the shape that it was asked for
        └── MissingExtraError         a package of an optional extra isn't installed

Catch by category: the message is a sentence that says what to do and never holds what a user wrote.
Adapters translate their driver's errors in one place each: `stores/redis_connection.py`,
`stores/postgres/connection.py`, the providers.
"""

from datetime import timedelta


class CortexError(Exception):
    """Base of all errors that Cortex raises on purpose."""


class ConfigError(CortexError):
    """A setting is missing, unknown or out of range; the message names its dotted key."""


class InvalidInputError(CortexError, ValueError):
    """What the caller handed in can't be stored or searched."""


class IdempotencyError(InvalidInputError):
    """The same source was stored before with another content."""


class NotFoundError(CortexError, LookupError):
    """There is no such thing for this person."""


class AccessDeniedError(CortexError, PermissionError):
    """The role of whoever acts doesn't allow it.

    Being an OSError too, it has to be raised outside of a store's connection, which would take it for the network's.
    """


class StoreError(CortexError):
    """Redis or Postgres could not do what was asked."""


class StoreUnavailableError(StoreError):
    """A store is away, too slow or out of resources; nothing is wrong with the request."""


class NotSpreadError(StoreUnavailableError):
    """What was asked is committed, but Redis can't be reached, so that it may not be heeded everywhere yet."""


class LeaseLostError(StoreUnavailableError):
    """Another process took the work over, so that nothing of it was written here."""


class StoreDataError(StoreError):
    """A store refused the data; repeating the request can't help.

    Attributes:
        sqlstate: PostgreSQL's five-character code, if it was the one that refused.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class SchemaError(StoreError):
    """The database does not have the schema or the embedding space that this version needs."""


class EmbeddedServerError(StoreError):
    """An embedded server can't be started or stopped here."""


class ProviderError(CortexError):
    """An embedder or a language model could not do what was asked.

    Attributes:
        is_billed: Whether the server may charge for it all the same: it took the request, and nothing of use came back.
    """

    def __init__(self, message: str, *, is_billed: bool = False) -> None:
        super().__init__(message)
        self.is_billed = is_billed


class ProviderUnavailableError(ProviderError):
    """A provider failed or was too slow; the same call may work later.

    Attributes:
        retry_after: How long to wait at least before the same call may work; None where that can't be told, or where
            somebody has to mend something first.
    """

    def __init__(self, message: str, *, is_billed: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(message, is_billed=is_billed)
        self.retry_after = retry_after


class BudgetExhaustedError(ProviderUnavailableError):
    """A language model isn't asked, since that could cost more than a day's budget has left."""


class BudgetReservedError(BudgetExhaustedError):
    """What is left of the day's budget is set aside for requests that go on; it is known soon what they leave of it."""


class UnreadableAnswerError(ProviderError):
    """A language model's answer doesn't have the shape that it was asked for, also after it was told so.

    Attributes:
        raw_text: The answer as it came, which may repeat what people wrote: it belongs in no log.
    """

    def __init__(self, message: str, *, raw_text: str) -> None:
        super().__init__(message, is_billed=True)
        self.raw_text = raw_text


class MissingExtraError(ProviderError):
    """A package of an optional extra isn't installed; the message names the extra."""
