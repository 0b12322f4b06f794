-- 0002 late_interaction
-- Date: 2026-11-23
-- Reason: recall compares questions and memories piece by piece, and has to stay fast for owners of many memories.
--
-- Every memory gets its vector anew, together with its pieces: background work does it after the next start.

UPDATE memories SET embedding = NULL, embedding_model_id = NULL WHERE embedding IS NOT NULL;

-- The sign bits of each memory's word pieces. Apart, so that reading memories never touches them, and in the row itself
-- up to a page, since reading these reads nothing else.
CREATE TABLE memory_pieces (
    user_id text  NOT NULL,
    id      uuid  NOT NULL,
    signs   bytea NOT NULL,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, id) REFERENCES memories (user_id, id) ON DELETE CASCADE
) WITH (toast_tuple_target = 8160);

ALTER TABLE memory_pieces ALTER COLUMN signs SET STORAGE EXTERNAL;  -- compressing them gains nothing

-- The sign bits of the whole vector: the nearest of many memories are found among them without reading one.
ALTER TABLE memories ADD COLUMN signs bit varying GENERATED ALWAYS AS (binary_quantize(embedding)) STORED;

CREATE INDEX memories_by_signs ON memories (user_id)
    INCLUDE (signs, embedding_model_id, status, audience, project_id, memory_type, created_at, id);

-- An owner's words, hashed together with the owner: one lookup finds the owner's memories alone.
CREATE FUNCTION hash_words(owner text, words text[]) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT array_agg(hashtext(owner || ' ' || word)) FROM unnest(words) AS word);

CREATE INDEX memories_by_word ON memories USING gin (hash_words(user_id, tsvector_to_array(terms)));

-- How many memories an owner has decides how they are searched; what large owners need for it is made in the background.
ALTER TABLE owners
    ADD COLUMN memory_count   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN has_own_index  boolean NOT NULL DEFAULT false,  -- of vectors, for this owner alone
    ADD COLUMN words_counted  bigint  NOT NULL DEFAULT 0;      -- how many memories there were when that was last done

-- The words that a hundred memories or more of a large owner hold, so that recall begins with the rare ones.
CREATE TABLE common_words (
    user_id  text    NOT NULL,
    word     text    NOT NULL,
    memories integer NOT NULL,
    PRIMARY KEY (user_id, word)
);

INSERT INTO owners (user_id, memory_count) SELECT user_id, count(*) FROM memories GROUP BY user_id
ON CONFLICT (user_id) DO UPDATE SET memory_count = excluded.memory_count;

CREATE FUNCTION count_new_memories() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO owners AS o (user_id, memory_count) SELECT user_id, count(*) FROM changed GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET memory_count = o.memory_count + excluded.memory_count;
    RETURN NULL;
END
$$;

CREATE FUNCTION count_gone_memories() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE owners AS o SET memory_count = o.memory_count - gone.number
    FROM (SELECT user_id, count(*) AS number FROM changed GROUP BY user_id) AS gone
    WHERE o.user_id = gone.user_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_new AFTER INSERT ON memories
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_new_memories();

CREATE TRIGGER count_gone AFTER DELETE ON memories
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_gone_memories();

-- Deleting a memory looks for what refers to it; without an index through all of the owner's memories, each time.
CREATE INDEX memories_by_supersedes ON memories (user_id, supersedes) WHERE supersedes IS NOT NULL;
CREATE INDEX contradictions_by_second ON contradictions (user_id, memory_b);
