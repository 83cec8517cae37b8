"""Whether what a run reads has been made; if not, the command that makes it."""

from __future__ import annotations

from benchmark.errors import CohortError, SplitError
from benchmark.leakage.remedy import remedied
from benchmark.runs.job import Workspace
from benchmark.runs.workspace import DEFAULT_PROFILE
from benchmark.splitting import Split, read_split
from benchmark.store import Cohort

__all__ = ["ready_cohort", "ready_split"]


def ready_cohort(name: str, profile: str, workspace: Workspace) -> Cohort:
    """Opens a cohort of a profile.

    Raises:
        CohortError: It has not been prepared in this workspace, or is damaged.
    """
    card = workspace.data / name / "cohort.json"
    if not card.is_file():
        chain = "make repro" if profile == DEFAULT_PROFILE else f"make repro PROFILE={profile}"
        raise CohortError(
            f"cohort {name!r} of profile {profile!r} has not been prepared: expected {card}, which "
            f"is not there; run `{chain}` for the whole chain, or "
            f"`neurodx prepare {name} --profile {profile}` for this cohort"
        )
    return Cohort(card.parent)


def ready_split(name: str, protocol: str, profile: str, workspace: Workspace) -> Split:
    """Reads a split of a profile.

    Raises:
        SplitError: It has not been made in this workspace, or differs from its manifest.
    """
    path = workspace.splits / name / f"{protocol}.csv"
    if not path.is_file():
        raise SplitError(
            f"cohort {name!r} of profile {profile!r} has not been split by {protocol!r}: expected "
            f"{path}, which is not there; run `neurodx splits make --cohort {name} --protocol "
            f"{protocol} --profile {profile}`"
        )
    try:
        return read_split(path)
    except SplitError as error:
        raise remedied(error, path) from error
