"""A list of scans becomes a folder of volumes in the store's space, with index and quality control.

    volumes = prepare_volumes(sources, Path("volumes"), spacing_mm=2.0, workers=2)
    volumes.index        # participant_id, session_id, row
    volumes.copy_into(store.array("t1w", volumes.shape, "float16"))

Layout of the folder:

    scans/<participant>_<session>/  volume.npy (float16), record.json, qc.png, qc.npy
    index.parquet                   one row per volume, with its file
    qc.parquet                      sizes, correlations, distances, what to look at
    regions.parquet                 as a store's: regional volumes in the person's own size
    failures.parquet                scans without a volume, the step, the reason
    preparation.json  qc.html
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError, ConfigError, UnknownNameError
from benchmark.imaging.grid import store_shape
from benchmark.imaging.one_scan import Failure, Question, kept_record, prepare_into
from benchmark.imaging.scan import DONE, ScanSource
from benchmark.processes import Pool
from benchmark.store.folders import lock_folder
from benchmark.store.hashing import canonical_sha256, file_sha256, tree_sha256

__all__ = ["Event", "PreparedVolumes", "prepare_volumes", "recipe_of"]

_TICK_SECONDS: Final = 1.0
_PRELOAD: Final = ("benchmark.imaging.one_scan",)
_PACKAGES: Final = ("SimpleITK", "isal", "PIL")
_VERSIONS: Final = ("numpy", "scipy", "nibabel", "nilearn", "SimpleITK", "deepbet", "isal", "torch")
# What lists, shows or runs scans and decides no voxel.
_NEUTRAL: Final = ("finding.py", "qc_page.py", "qc_tables.py", "volumes.py")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*")
_MOST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Event:
    """One scan is through.

    Attributes:
        done, total: Scans through, and all.
        name: Participant and session.
        failure: Why it has no volume, or None.
        kept: Whether it was there already.
    """

    done: int
    total: int
    name: str
    failure: Failure | None
    kept: bool


@dataclass(frozen=True, slots=True)
class PreparedVolumes:
    """A folder that :func:`prepare_volumes` wrote.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @property
    def index(self) -> pd.DataFrame:
        """participant_id, session_id, row (0 to N - 1), volume (file), sha256, source."""
        return self._table("index")

    @property
    def qc(self) -> pd.DataFrame:
        """Quality control, one row per volume."""
        return self._table("qc")

    @property
    def regions(self) -> pd.DataFrame:
        """participant_id, session_id, ``<region>_mm3``, ``head_size_mm3``."""
        return self._table("regions")

    @property
    def failures(self) -> pd.DataFrame:
        """participant_id, session_id, file, step, reason."""
        return self._table("failures")

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D, H, W) of all volumes together."""
        index = self.index
        return (len(index), *self.volume(0).shape) if len(index) else (0, 0, 0, 0)

    def volume(self, row: int) -> np.ndarray:
        """One volume, memory-mapped float16 (D, H, W)."""
        path = self.folder / self.index["volume"].iloc[row]
        volume: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return volume

    def rows_of(self, visits: pd.DataFrame) -> np.ndarray:
        """A visit table's ``t1w_row``.

        Args:
            visits: With participant_id and session_id.

        Returns:
            int64 (N,): each visit's volume, -1 where it has none.
        """
        keys = [v.PARTICIPANT_ID, v.SESSION_ID]
        rows = visits[keys].merge(self.index[[*keys, "row"]], on=keys, how="left")["row"]
        found: np.ndarray = rows.fillna(-1).to_numpy(dtype=np.int64)
        return found

    @property
    def spacing_mm(self) -> float:
        """Edge length of a voxel."""
        card = json.loads((self.folder / "preparation.json").read_text(encoding="utf-8"))
        return float(card["spacing_mm"])

    def copy_into(self, array: np.ndarray, rows: Sequence[int] | None = None) -> None:
        """Copies volumes into an array, one at a time, and checks their hashes.

        Args:
            array: (N, D, H, W).
            rows: Which volumes, in this order; all by default.

        Raises:
            CohortError: A volume is not the one that was prepared.
        """
        files = self.index[["volume", "sha256"]].iloc[slice(None) if rows is None else [*rows]]
        for row, (name, sha256) in enumerate(files.to_numpy()):
            path = self.folder / name
            if not path.is_file() or file_sha256(path) != sha256:
                raise CohortError(f"{path}: missing or damaged; prepare the volumes again")
            array[row] = np.load(path, allow_pickle=False)

    def _table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")


def recipe_of(spacing_mm: float) -> dict[str, Any]:
    """Everything that decides the voxels besides the scans: grid, code, library versions."""
    here = Path(__file__).parent
    code = [path for path in here.glob("*.py") if path.name not in _NEUTRAL]
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    shape = [*store_shape(spacing_mm)]
    return {
        "spacing_mm": spacing_mm,
        "shape": shape,
        "code": tree_sha256(code),
        "versions": versions,
    }


def prepare_volumes(
    sources: Sequence[ScanSource],
    folder: Path,
    spacing_mm: float,
    workers: int = 1,
    progress: Callable[[Event], None] | None = None,
    force: bool = False,
) -> PreparedVolumes:
    """Prepares scans; a scan that fails is listed with its reason and never stops the rest.

    Volumes that are there already, made by the same code and settings from the same file, are
    kept, so that an interrupted call goes on where it was. Every scan that failed is tried again.

    Args:
        sources: The scans, in the order of the index.
        folder: Made where it is missing.
        spacing_mm: Voxel size of the store.
        workers: Processes, one thread and about 1.5 GB of memory each; 0 for one per core.
        progress: Called for each scan as it is through.
        force: Prepare anew what is there.

    Raises:
        CohortError: Two scans have one name, a name cannot be a folder's, or another process is
            preparing the same folder.
        ConfigError: The spacing is out of range, a package is missing, or the folder holds
            something else.
    """
    from benchmark.imaging.qc_page import write_page
    from benchmark.imaging.qc_tables import write_tables

    recipe = recipe_of(spacing_mm)
    _check(sources, folder)
    lock = lock_folder(folder)
    if lock is None:
        raise CohortError(f"{folder}: locked; another process is preparing it. Wait until it ends")
    try:
        scans = folder / "scans"
        scans.mkdir(exist_ok=True)
        key = canonical_sha256(recipe)
        questions = [Question(s, scans / s.name, spacing_mm, key) for s in sources]
        failures = _prepared(questions, workers, progress, force)
        write_tables(folder, questions, failures, recipe)
        write_page(folder)
    finally:
        os.close(lock)
    return PreparedVolumes(folder)


def _prepared(
    questions: Sequence[Question],
    workers: int,
    progress: Callable[[Event], None] | None,
    force: bool,
) -> list[Failure]:
    waiting = [q for q in questions if force or kept_record(q) is None]
    missing = {q.source.name for q in waiting}
    total, done, failures = len(questions), 0, {}

    def through(name: str, failure: Failure | None, kept: bool) -> None:
        nonlocal done
        done += 1
        if failure is not None:
            failures[name] = failure
        if progress is not None:
            progress(Event(done, total, name, failure, kept))

    for question in questions:
        if question.source.name not in missing:
            through(question.source.name, None, True)
    for question, failure in _answers(waiting, workers):
        through(question.source.name, failure, False)
    return [failures[q.source.name] for q in questions if q.source.name in failures]


def _answers(
    questions: Sequence[Question], workers: int
) -> Iterator[tuple[Question, Failure | None]]:
    """Answers as they come; a process that dies costs its own scan."""
    if not questions:
        return
    queue = deque(questions)
    by_name = {q.source.name: q for q in questions}
    with Pool(min(workers or os.cpu_count() or 1, len(queue)), _answer, _PRELOAD) as pool:
        while queue or pool.busy:
            while queue and pool.free:
                question = queue.popleft()
                pool.submit(question.source.name, question)
            for answer in pool.collect(_TICK_SECONDS):
                question = by_name[answer.key]
                if isinstance(answer.value, OSError):
                    raise answer.value
                yield question, _died(question, answer.died) if answer.died else answer.value


def _answer(question: Question) -> Failure | OSError | None:
    try:
        return prepare_into(question)
    except OSError as error:  # the parent stops: the disk is full or gone
        return error


def _died(question: Question, how: str) -> Failure:
    source = question.source
    return Failure(source.participant, source.session, str(source.path), "process", how)


def _check(sources: Sequence[ScanSource], folder: Path) -> None:
    for source in sources:
        if source.done not in DONE:
            raise UnknownNameError("preprocessing", source.done, DONE)
    names = Counter(s.name for s in sources)
    wrong = [f"{n!r} {k} times" for n, k in names.items() if k > 1]
    wrong += [f"{n!r} cannot name a folder" for n in names if not _NAME.fullmatch(n)]
    if wrong:
        more = f" and {len(wrong) - _MOST_SHOWN} more" if len(wrong) > _MOST_SHOWN else ""
        raise CohortError(
            f"scans are told apart by participant and session: {'; '.join(wrong[:_MOST_SHOWN])}"
            f"{more}. Give each scan its own in a table, or take fewer files by a pattern"
        )
    needed = [*_PACKAGES, *(["deepbet"] if any(s.mask is None for s in sources) else [])]
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"preparing scans needs {', '.join(absent)}; install the group: pip install -c "
            "requirements.lock -e '.[imaging]'"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "scans").is_dir():
        raise ConfigError(f"{folder}: holds something else; give an empty or a new folder")
