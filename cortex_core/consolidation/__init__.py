"""Upkeep behind the scenes: what was said becomes knowledge, patterns and summaries."""
