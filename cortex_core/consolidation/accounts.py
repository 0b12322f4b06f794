"""Whose budget pays for what is asked about a memory."""

from cortex_core.audience import Audience
from cortex_core.models import Memory


def account_of(memory: Memory) -> str:
    """Return the account of the place where something was said."""
    return Audience.parse(memory.said_in or memory.audience).account_of(memory.user_id)
