"""Class frequencies of the training people, shifted by what a volume holds and by the seed."""

import errno
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from threadpoolctl import threadpool_info

from benchmark.api import Method, Prediction, RunContext, Samples, Task


class Probe(Method):
    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        threads = max(pool["num_threads"] for pool in threadpool_info())
        run.log(
            {
                "pid": os.getpid(),
                "threads": threads,
                "cohorts": sorted(set(train.cohort))[-1:][0].item(),
            }
        )
        (run.folder / "begun").write_text("a checkpoint")
        if run.seed == self.config.bad_seed and Path(self.config.flag).exists():
            self._misbehave()
        noise = np.random.default_rng(run.seed).normal()
        self._shift = noise + self.config.shift
        self._frequencies = {}
        for task in tasks:
            y, mask = train.labels(task.name)
            known = y[mask]
            self._frequencies[task.name] = (
                np.bincount(known.astype(int), minlength=len(task.classes)) / len(known)
                if task.classes
                else np.array([known.mean()])
            )

    def predict(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, Prediction]:
        size = (len(samples), 1)
        seen = (
            samples.volumes().mean(axis=(1, 2, 3)) if "t1w" in samples.arrays else np.zeros(size[0])
        )
        answers = {}
        for task in tasks:
            base = self._frequencies[task.name]
            if not task.classes:
                answers[task.name] = Prediction(mean=base[0] + self._shift + seen)
                continue
            logits = np.log(base) + self._shift * seen.reshape(size) * np.arange(len(base))
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            answers[task.name] = Prediction(probabilities=odds / odds.sum(axis=1, keepdims=True))
        return answers

    def _misbehave(self) -> None:
        if self.config.how == "exit":
            os._exit(9)
        if self.config.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.config.how == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.pkl")
        if self.config.how == "block":
            with Path(self.config.flag).open("w") as pipe:
                pipe.write("blocked\n")
                pipe.flush()
                threading.Event().wait()
        raise FloatingPointError("the loss [diverged]")

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError
