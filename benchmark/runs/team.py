"""The processes that ``torchrun`` started to train one model together.

The first process leads: it alone locks the run, writes its record and the plan. The others take
part in the fit and leave nothing behind.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from benchmark.errors import ConfigError, RunFailed

__all__ = ["ALONE", "Team", "refuse_idle_processes", "trains_together"]

_PATIENCE: Final = timedelta(days=1)  # the others wait while the first one predicts


@dataclass(frozen=True, slots=True)
class Team:
    """This process among the others.

    Attributes:
        rank: Its number; 0 leads.
        size: How many there are; 1 outside of ``torchrun``.
        local_rank: Its number on this machine, which is that of its cuda device.
        group: Where agreements are broadcast; None before :meth:`opened`.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    group: Any = None

    @classmethod
    def here(cls) -> Self:
        """Reads what ``torchrun`` put into the environment."""
        size = int(os.environ.get("WORLD_SIZE") or 1)
        if size == 1:
            return cls()
        rank, local = (int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK"))
        return cls(rank, size, local)

    @property
    def leads(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process: each has a cuda device of its own."""
        return f"cuda:{self.local_rank}" if self.size > 1 and name == "cuda" else name

    def opened(self, device: str) -> Team:
        """Meets the others; the fits then find the processes connected."""
        import torch
        import torch.distributed as dist

        from benchmark.training.devices import connect

        torch.set_num_threads(1)  # as the workers of one machine do
        connect(torch.device(device))
        group = dist.new_group(backend="gloo", timeout=_PATIENCE)
        return Team(self.rank, self.size, self.local_rank, group)

    def agree(self, value: bool, patience: timedelta = _PATIENCE) -> bool:
        """What the leading process says; all processes call this the same number of times.

        Raises:
            RunFailed: It said nothing for ``patience``.
        """
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        said = torch.tensor(int(value))
        try:
            work = dist.broadcast(said, src=0, group=self.group, async_op=True)
            work.wait(patience)
        except RuntimeError as error:
            raise RunFailed(
                f"process {self.rank} of {self.size} waited for process 0 in vain "
                f"({str(error).splitlines()[0]}); run the same command again: what is done is kept"
            ) from error
        return bool(said)

    def close(self) -> None:
        """Parts from the others."""
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


ALONE: Final = Team()


def trains_together(config: Any) -> bool:
    """Whether settings hold ``distributed: true``, at any depth."""
    if not hasattr(config, "items"):
        return False
    return any(
        value is True if key == "distributed" else trains_together(value)
        for key, value in config.items()
    )


def refuse_idle_processes(team: Team, row: str, config: Any) -> None:
    """Refuses to start a row in several processes that would each train all of it.

    Raises:
        ConfigError: Its settings do not share the training.
    """
    if team.size > 1 and not trains_together(config):
        raise ConfigError(
            f"torchrun started {team.size} processes, but {row!r} trains in one: no setting "
            "`distributed` of it is true. Add `config.trainer.distributed=true`, or start "
            "`neurodx run` without torchrun"
        )
