-- name: lock
SELECT pg_advisory_lock(hashtext('cortex migrations'))

-- name: create_table
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: list_applied
SELECT version, name, checksum FROM schema_migrations

-- name: record
INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)
