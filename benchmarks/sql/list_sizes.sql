-- What lies on disk: each table with what it keeps out of line, each of their indexes.
SELECT c.relname AS name, pg_table_size(c.oid) AS bytes
FROM pg_class AS c
WHERE c.oid IN ('memories'::regclass, 'memory_pieces'::regclass)
    OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN ('memories'::regclass, 'memory_pieces'::regclass))
ORDER BY c.relkind DESC, c.relname
