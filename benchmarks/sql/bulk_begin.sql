-- A session that loads tables in bulk: no trigger fires, no commit waits for the disk, indexes are built in memory.
SET session_replication_role = replica;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
