"""Whose budget pays for what is asked about a memory."""

from cortex_core.audience import Audience
from cortex_core.models import Memory


def account_of(memory: Memory) -> str:
    """Return the id of the server in which something was said, empty for direct messages."""
    return Audience.parse(memory.said_in or memory.audience).account
