"""From a message to a stored memory: intake, acknowledgement, the journal's writer, vectors, sessions."""
