-- The indexes that no constraint rests on, so that they can go before a load and be made again after it; but for one that
-- holds none of what is loaded, by which background work looks for what to do meanwhile.
SELECT format('DROP INDEX %I', c.relname) AS removal, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relname <> 'memories_without_vector'
    AND i.indrelid IN ('memories'::regclass, 'memory_pieces'::regclass)
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
ORDER BY c.relname
