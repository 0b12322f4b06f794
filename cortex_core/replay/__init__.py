"""Replaying conversation logs: their format, how they become memories, and converters into the format."""
