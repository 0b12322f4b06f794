"""Memory among people: projects that share it, and the channels that feed and read them."""
