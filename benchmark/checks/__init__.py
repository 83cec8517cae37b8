"""The contract of methods as checks: used by ``neurodx check`` and by the contract tests."""

from benchmark.checks.bench import Bench
from benchmark.checks.outcome import ContractError, Outcome, Rule
from benchmark.checks.suite import RULES, rules_for, run_rule
from benchmark.checks.tiny_cohort import TINY, write_tiny_cohort
from benchmark.checks.tiny_fit import tiny_fit

__all__ = [
    "RULES",
    "TINY",
    "Bench",
    "ContractError",
    "Outcome",
    "Rule",
    "rules_for",
    "run_rule",
    "tiny_fit",
    "write_tiny_cohort",
]
