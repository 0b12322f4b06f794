-- An account that sees one owner's rows: those of the owner that its transaction names.
CREATE ROLE cortex_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO cortex_reader;
ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory_pieces ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON memories USING (user_id = current_setting('cortex.owner', true));
CREATE POLICY own ON memory_pieces USING (user_id = current_setting('cortex.owner', true));
