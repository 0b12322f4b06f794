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
    │   │   └── NotSpreadError    it is done for good, but what is cached of it is not told yet
    │   ├── StoreDataError        a server refused this data: the same call never works
    │   ├── SchemaError           the database's schema or embedding space isn't the one this version needs
    │   └── EmbeddedServerError   the embedded PostgreSQL or Valkey can't run here
    └── ProviderError
        ├── ProviderUnavailableError  an embedder or language model failed or was too slow
        └── MissingExtraError         a package of an optional extra isn't installed

Catch by category: the message is a sentence that says what to do and never holds what a user wrote.
Adapters translate their driver's errors in one place each: `stores/redis_connection.py`,
`stores/postgres/connection.py`, the providers.
"""


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
    """An embedder or a language model could not do what was asked."""


class ProviderUnavailableError(ProviderError):
    """A provider failed or was too slow; the same call may work later."""


class MissingExtraError(ProviderError):
    """A package of an optional extra isn't installed; the message names the extra."""
