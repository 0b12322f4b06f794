-- name: server
SELECT
    current_setting('server_version') AS version,
    (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
    (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available_pgvector,
    to_regclass('schema_migrations') IS NOT NULL AS has_schema

-- name: schema_version
SELECT coalesce(max(version), 0) FROM schema_migrations
