-- Announce every inserted memory. PostgreSQL delivers a notification after the commit, so whoever hears it can read the
-- row. A trigger costs microseconds a row, where asking every millisecond would keep a core of the measured machine busy.
CREATE FUNCTION announce_memory() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('benchmark', new.id::text);
    RETURN new;
END
$$;

CREATE TRIGGER announce AFTER INSERT ON memories FOR EACH ROW EXECUTE FUNCTION announce_memory();
