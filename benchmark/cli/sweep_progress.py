"""Shows how a sweep goes, and at the end the best trials and what to do with the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmark.cli.progress import BarProgress
from benchmark.cohorts.catalogue import COHORTS, DEV_SUFFIX
from benchmark.config import CONFIGS
from benchmark.sweeps import Frozen, StudyPlan, StudyResult, Trial

__all__ = ["SweepProgress"]

_SHOWN = 5


class SweepProgress(BarProgress):
    """Progress over trials; in a log file, one line per finished trial instead."""

    def __init__(self, plan: StudyPlan, workers: int, console: Console | None = None) -> None:
        super().__init__(plan.row.name, plan.n_trials, console)
        self._plan, self._workers = plan, workers
        self._best: float | None = None

    def start(self, trials: Sequence[Trial]) -> None:
        """Takes the trials that are there already."""
        done = [trial for trial in trials if trial.finished]
        for trial in done:
            self._note(trial)
        self._bar.update(self._task, completed=min(len(done), self._plan.n_trials))
        plan = self._plan
        folds = ", ".join(map(str, plan.folds))
        self._print(
            f"{plan.name}: {len(done)} of {plan.n_trials} trials done; tuning "
            f"{'+'.join(plan.tasks)} on the validation people of {plan.cohort}, fold {folds}, "
            f"{self._workers} worker(s)"
        )

    def done(self, trial: Trial) -> None:
        """Notes one finished trial."""
        self._note(trial)
        self._bar.advance(self._task)
        if trial.error:
            first = trial.error.splitlines()[0]
            self._console.print(f"[red]trial {trial.slot} failed[/]", end=" ")
            self._print(first)
        elif not self._console.is_terminal:
            self._print(f"trial {trial.slot}: {trial.value:.4f}  {_params(trial.params)}")

    def tick(self) -> None:
        """Redraws the clock."""
        self._bar.refresh()

    def summary(self, result: StudyResult, frozen: Frozen) -> None:
        """Prints the best trials and how to use the winner."""
        self._console.print(self._table(result))
        facts = result.facts
        default = "failed" if result.default_value is None else f"{result.default_value:.4f}"
        if result.best.slot < 0:
            self._print("no trial beat the default settings, so these are the winner")
        self._print(
            f"best {facts['objective']} {result.best.value:.4f} (default settings: {default}); "
            f"{facts['trials']} trials, {facts['failed']} failed, {facts['wall_seconds']:.0f} s, "
            f"{facts['cpu_seconds']:.0f} CPU s, Optuna {facts['optuna']} {facts['sampler']}"
        )
        self._warn_of_tested(facts)
        if frozen.kept_because:
            path = _short(frozen.path)
            self._print(f"nothing written to {path}: {frozen.kept_because}; --force writes it")
            return
        profile = self._plan.profile.name
        home = CONFIGS / "tuned"
        copied = "" if frozen.path.resolve().parent == home else f"; copy it to {_short(home)}/"
        self._print(
            f"frozen as {_short(frozen.path)}{copied}\n"
            f"enter it: add `{frozen.row}` to methods in configs/profile/{profile}.yaml, run "
            "`neurodx pipeline`, then `make repro`\n"
            f"try it:   neurodx run method={frozen.row} profile={profile}"
        )

    def _warn_of_tested(self, facts: Mapping[str, Any]) -> None:
        if not facts["tested_elsewhere"]:
            return
        twin = self._plan.cohort + DEV_SUFFIX
        instead = f" `cohort={twin}` avoids it." if twin in COHORTS else ""
        self._print(
            f"note: {facts['tested_elsewhere']} of the people used here are test people of other "
            f"folds of {self._plan.cohort}, so these settings have indirectly seen them; the "
            f"frozen file says so.{instead}"
        )

    def _table(self, result: StudyResult) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("trial", "value", "AUROC", "s", "settings"):
            table.add_column(heading, overflow="fold")
        complete = [trial for trial in result.trials if trial.value is not None]
        for trial in sorted(complete, key=lambda t: (t.value, t.slot))[:_SHOWN]:
            auc = trial.record.get("roc_auc", {}).values()
            table.add_row(
                str(trial.slot),
                f"{trial.value:.4f}",
                " ".join(f"{value:.3f}" for value in auc) or "-",
                f"{trial.record['seconds']:.1f}",
                _params(trial.params),
            )
        return table

    def _note(self, trial: Trial) -> None:
        if trial.value is not None and (self._best is None or trial.value < self._best):
            self._best = trial.value
            self._bar.update(self._task, detail=f"best {self._best:.4f}")

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _params(params: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
