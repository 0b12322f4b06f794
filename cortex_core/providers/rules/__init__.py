"""The rule-based analyst (blueprint, decision 4)."""

from cortex_core.providers.rules.analyst import RuleAnalyst

__all__ = ["RuleAnalyst"]
