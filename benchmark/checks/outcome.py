"""What a check found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.errors import MethodError

if TYPE_CHECKING:
    from benchmark.checks.bench import Bench

__all__ = ["ContractError", "Outcome", "Rule"]


class ContractError(MethodError):
    """A method breaks one rule; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the contract.

    Attributes:
        name: Its name in test ids.
        title: What holds when it passes.
        check: Raises where the rule is broken; returns a remark, mostly empty.
        fits: Whether the method is fitted for it.
    """

    name: str
    title: str
    check: Callable[[Bench], str]
    fits: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rule came out.

    Attributes:
        rule: The rule's name.
        title: What the rule asks.
        seconds: Wall time in s.
        message: What is wrong and what to do; empty where the rule holds.
        remark: What a passing rule has to say, e.g. why it does not apply.
        trace: Traceback of an error that the method raised by accident.
    """

    rule: str
    title: str
    seconds: float
    message: str = ""
    remark: str = ""
    trace: str = ""

    @property
    def passed(self) -> bool:
        """Whether the rule holds."""
        return not self.message
