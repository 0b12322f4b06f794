-- Whether an owner of $1 memories or more still waits for an index.
SELECT EXISTS (SELECT FROM owners WHERE memory_count >= $1 AND NOT has_own_index)
