"""What is installed, missing, shadowed or left over."""

from benchmark.doctor.environment import environment
from benchmark.doctor.finding import FAIL, NOTE, OK, Finding
from benchmark.doctor.packages import packages
from benchmark.doctor.project import project

__all__ = ["FAIL", "NOTE", "OK", "Finding", "environment", "examine", "packages", "project"]


def examine() -> list[Finding]:
    """Everything that ``neurodx doctor`` shows, in order."""
    return [*environment(), *packages(), *project()]
