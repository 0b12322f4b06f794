"""Erasing for good, in every tier, with a receipt."""
