"""Long-term memory in PostgreSQL with pgvector, one module per group of tables."""

from cortex_core.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
