"""Writes a phantom cohort to a store, and its truth beside it; resumes where it was interrupted."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.phantom import tables
from benchmark.cohorts.phantom.config import PhantomConfig
from benchmark.cohorts.phantom.generator_files import generator_state
from benchmark.cohorts.phantom.genetics import PANEL
from benchmark.cohorts.phantom.participant import Participant, make_one, report_of
from benchmark.cohorts.phantom.people import sample_people
from benchmark.cohorts.phantom.sites import make_sites
from benchmark.cohorts.phantom.timeseries import FRAMES, ROIS
from benchmark.errors import BenchmarkError, CohortError
from benchmark.imaging.regions import measure_regions
from benchmark.processes import Answer, Pool
from benchmark.store.atomic import write_json
from benchmark.store.writer import CohortWriter

__all__ = ["prepare_cohort"]

_CHUNK: Final = 10
_TICK_SECONDS: Final = 1.0
_PRELOAD: Final = ("benchmark.cohorts.phantom.participant",)
_Made = list[Participant]


def _make_chunk(config: PhantomConfig, numbers: list[int]) -> _Made:
    return [make_one(config, number) for number in numbers]


def _chunks(config: PhantomConfig, done: set[str]) -> dict[str, list[int]]:
    """Participant numbers of the chunks that are still to be made, by chunk name."""
    starts = range(1, config.n + 1, _CHUNK)
    chunks = {f"{s:05d}": list(range(s, min(s + _CHUNK, config.n + 1))) for s in starts}
    return {name: numbers for name, numbers in chunks.items() if name not in done}


def _made(
    config: PhantomConfig, chunks: dict[str, list[int]], workers: int
) -> Iterator[tuple[str, _Made]]:
    """Makes chunks here, or in worker processes as they come."""
    if workers <= 1:
        for name, numbers in chunks.items():
            yield name, _make_chunk(config, numbers)
        return
    queue = deque(chunks)
    with Pool(min(workers, len(chunks)), _answer, _PRELOAD) as pool:
        while queue or pool.busy:
            while queue and pool.free:
                name = queue.popleft()
                pool.submit(name, (config, chunks[name]))
            for answer in pool.collect(_TICK_SECONDS):
                yield answer.key, _people_of(answer, config)


def _answer(question: tuple[PhantomConfig, list[int]]) -> _Made | CohortError:
    """Makes a chunk in a worker process, or says why not."""
    config, numbers = question
    try:
        return _make_chunk(config, numbers)
    except BenchmarkError as error:
        return CohortError(str(error))
    except Exception:  # noqa: BLE001 - a fault of the generator must reach the parent, which stops
        return CohortError(
            f"cohort {config.name!r}: participants {numbers[0]} to {numbers[-1]} could not be "
            f"made, a fault of the generator:\n{traceback.format_exc()}"
        )


def _people_of(answer: Answer, config: PhantomConfig) -> _Made:
    if answer.died:
        raise CohortError(
            f"cohort {config.name!r}: {answer.died}; what is made so far is kept. Run `neurodx "
            f"prepare {config.name}` again"
        )
    if isinstance(answer.value, CohortError):
        raise answer.value
    people: _Made = answer.value
    return people


class _Arrays:
    """The memory-mapped arrays of one cohort and of its truth."""

    def __init__(
        self, config: PhantomConfig, store: CohortWriter, truth: CohortWriter, latents: pd.DataFrame
    ) -> None:
        self.rows = tables.array_rows(latents)
        volumes, series = (int((self.rows[a] >= 0).sum()) for a in ("t1w", "fmri"))
        grid = (volumes, *config.shape)
        self.t1w = store.array("t1w", grid, "float16")
        self.segmentations = store.array("segmentations", grid, "uint8")
        self.fmri = store.array("fmri", (series, FRAMES, len(ROIS)), "float16")
        self.change = truth.array("change_maps", grid, "float16")

    def put(self, person: Participant) -> None:
        """Writes one person's arrays to their rows."""
        place = int(person.latents["number"]) - 1
        row = self.rows["t1w"][place]
        if person.volume is not None:
            self.t1w[row] = person.volume
            self.segmentations[row] = person.segmentation
            self.change[row] = person.change
        if person.fmri is not None:
            self.fmri[self.rows["fmri"][place]] = person.fmri

    def flush(self) -> None:
        """Writes everything through to disk."""
        for array in (self.t1w, self.segmentations, self.fmri, self.change):
            array.flush()


def _reports(config: PhantomConfig, latents: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (person[v.PARTICIPANT_ID], "ses-M000", *report_of(config, person))
        for _, person in latents.loc[latents["has_report"]].iterrows()
    ]
    return pd.DataFrame(rows, columns=[v.PARTICIPANT_ID, v.SESSION_ID, "text", "text_mmse"])


def _regions(config: PhantomConfig, volumes: np.ndarray, latents: pd.DataFrame) -> pd.DataFrame:
    """Regional volumes measured from the stored volumes, one row per person with a volume."""
    measured = pd.DataFrame([measure_regions(x, config.spacing_mm) for x in volumes])
    ids = latents.loc[latents["has_t1w"], v.PARTICIPANT_ID].reset_index(drop=True)
    measured.insert(0, v.PARTICIPANT_ID, ids)
    measured.insert(1, v.SESSION_ID, "ses-M000")
    return measured


def prepare_cohort(
    config: PhantomConfig,
    folder: Path,
    truth_folder: Path,
    *,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Makes a phantom cohort.

    Args:
        config: The cohort.
        folder: Where the store will stand, e.g. ``data/phantom-memory``.
        truth_folder: Where latents, maps of change and generator parameters go.
        workers: Number of processes; 1 makes everything in this one.
        progress: Called with (participants done, all participants).

    Raises:
        CohortError: The template is missing, a deformation would fold, a worker died, or another
            process is preparing this cohort.
    """
    recipe = {**config.recipe(), **generator_state()}
    with CohortWriter(folder, recipe) as store, CohortWriter(truth_folder, recipe) as truth:
        _fill(config, store, truth, workers, progress)


def _fill(
    config: PhantomConfig,
    store: CohortWriter,
    truth: CohortWriter,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    latents = sample_people(config, range(1, config.n + 1))
    arrays = _Arrays(config, store, truth, latents)
    chunks = _chunks(config, store.done & truth.done)
    count = config.n - sum(map(len, chunks.values()))
    for name, people in _made(config, chunks, workers):
        for person in people:
            arrays.put(person)
        arrays.flush()
        truth.mark_done(name)
        store.mark_done(name)
        count += len(people)
        if progress is not None:
            progress(count, config.n)
    _write_truth(config, truth, latents)
    _write_store(config, store, arrays, latents)
    # Both at once, at the very end: an interruption before this costs no chunk.
    title = "Generator's truth; no method may see it"
    truth.finish({**tables.datasheet(config, {}), "title": title})
    names = {"snp_names": [s.name for s in PANEL], "roi_names": list(ROIS)}
    store.finish(tables.datasheet(config, names))


def _write_truth(config: PhantomConfig, truth: CohortWriter, latents: pd.DataFrame) -> None:
    rows = tables.array_rows(latents)["t1w"]
    truth.table("latents", latents.assign(change_map_row=rows))
    card = tables.truth_card(config, make_sites(config))
    write_json(truth.partial / "truth.json", card)


def _write_store(
    config: PhantomConfig, store: CohortWriter, arrays: _Arrays, latents: pd.DataFrame
) -> None:
    snps = tables.snp_array(latents)
    if len(snps):
        store.array("snps", snps.shape, "int8")[:] = snps
    regions = _regions(config, arrays.t1w, latents)
    store.table("regions", regions)
    head = regions.set_index(v.PARTICIPANT_ID)["head_size_mm3"]
    measured = latents[v.PARTICIPANT_ID].map(head).to_numpy(dtype=np.float64)
    store.table("participants", tables.visit_table(config, latents, make_sites(config), measured))
    if latents["has_report"].any():
        store.table("reports", _reports(config, latents))
