"""Random batches from a cohort store against MONAI's and TorchIO's datasets, and a large store.

Volumes of 80 x 96 x 80 (2 mm), batches of 16 as float32, one process, one thread, all files in the
page cache. The store holds float16 in one array; the rivals start from one float32 NIfTI file
a person. MONAI's PersistentDataset has turned them into tensors on disk and its CacheDataset into
tensors in memory before the clock starts; TorchIO reads compressed files, as studies release them,
and uncompressed ones. All take turns, each for the same wall time a turn.

- ``volumes_per_second``: by CPU time; ``ratio_*``: ours over each rival's; ``wall_ratio_*``: by
  wall time.
- ``ratio_vs_conversion``: ours over one float16 batch in memory that is widened again and again
  into one float32 batch: nothing is looked up and nothing but the batch is read.
- ``store_five_kept``: ours where the caller keeps five batches, more than the reader sets aside, so
  that most batches get fresh memory. ``gather_float32_in_memory``: all volumes in memory as
  float32, twice the size of the store's file, gathered into one batch.
- ``open_seconds``: opening a store of 100,000 people: datasheet, visit table, array; best of five.
  ``open_anonymous_mib``, ``batches_anonymous_mib``: memory that this takes, and what 1,000 random
  batches add to it; pages of the array itself belong to the page cache.

    python perf/store.py [--turns 5]
"""

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import logging
import platform
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
import torchio as tio
from monai.data import CacheDataset, DataLoader, PersistentDataset
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, LoadImaged

from benchmark import vocabulary as v
from benchmark.samples import LazyRows
from benchmark.store import Cohort, CohortWriter
from benchmark.training.batches import BatchSource

SHAPE, N, BATCH, TURN_SECONDS = (80, 96, 80), 192, 16, 2.0
MANY, SMALL = 100_000, (16, 20, 16)
LIMITS = {
    "ratio_vs_monai_persistent": 5.5,
    "ratio_vs_monai_cache": 5.5,
    "ratio_vs_torchio": 50.0,
    "ratio_vs_conversion": 0.8,
}
RESULT = Path(__file__).parent / "results" / "store.json"
Batches = Iterator[torch.Tensor]


def write_store(folder: Path, n: int, shape: tuple[int, ...], seed: int = 0) -> Cohort:
    """A store of ``n`` people with a volume each."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(64, *shape)).astype(np.float16)
    card = dict.fromkeys(("title", "source", "licence", "preparation"), "noise, for timing")
    with CohortWriter(folder, {"n": n, "shape": shape}) as writer:
        array = writer.array("t1w", (n, *shape), "float16")
        for start in range(0, n, len(noise)):
            share = noise[: min(len(noise), n - start)]
            array[start : start + len(share)] = share + np.float16(start % 7)
        array.flush()
        people = {
            v.PARTICIPANT_ID: [f"sub-{i:06d}" for i in range(n)],
            v.SESSION_ID: "ses-M000",
            v.VISIT_MONTHS: 0,
            v.IS_INDEX: True,
            v.SITE_ID: "site-a",
            v.PART: v.EVALUATE,
            v.AGE_YEARS: rng.uniform(50, 90, n).round(1),
            v.SEX: np.array(["F", "M"])[rng.integers(0, 2, n)],
            v.DIAGNOSIS: np.array([v.CN, v.MCI, v.AD])[rng.integers(0, 3, n)],
            "t1w_row": np.arange(n),
        }
        writer.table("participants", pd.DataFrame(people))
        writer.finish({**card, "name": folder.name, "synthetic": True, "spacing_mm": 2.0})
    return Cohort(folder)


def source_of(cohort: Cohort) -> BatchSource:
    """The store as a fit reads it."""
    rows = cohort.index_visits["t1w_row"].to_numpy()
    return BatchSource({"t1w": LazyRows([cohort.array("t1w")], np.zeros(len(rows), int), rows)})


def from_store(source: BatchSource) -> Batches:
    rng = np.random.default_rng(1)
    while True:
        for rows in np.array_split(rng.permutation(len(source)), len(source) // BATCH):
            yield source.read(rows).inputs["t1w"]


def several_kept(source: BatchSource) -> Batches:
    """The store where a caller keeps the five latest batches, so that memory is seldom free."""
    kept: deque[torch.Tensor] = deque(maxlen=5)
    for batch in from_store(source):
        kept.append(batch)
        yield batch


def gathered(cohort: Cohort) -> Batches:
    """Rows of a float32 tensor in memory, gathered into one batch."""
    volumes = torch.from_numpy(cohort.array("t1w").astype(np.float32))
    whole = torch.empty((BATCH, *SHAPE))
    while True:
        for rows in torch.randperm(len(volumes)).split(BATCH):
            yield torch.index_select(volumes, 0, rows, out=whole)


def from_monai(dataset: PersistentDataset | CacheDataset) -> Batches:
    while True:
        for batch in DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=0):
            yield batch["t1w"]


def from_torchio(paths: list[Path]) -> Batches:
    dataset = tio.SubjectsDataset([tio.Subject(t1w=tio.ScalarImage(path)) for path in paths])
    while True:
        for batch in tio.SubjectsLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=0):
            yield batch["t1w"][tio.DATA]


def converted(cohort: Cohort) -> Batches:
    half = torch.from_numpy(np.array(cohort.array("t1w")[:BATCH]))
    whole = torch.empty(half.shape, dtype=torch.float32)
    while True:
        yield whole.copy_(half)


def readers(folder: Path, cohort: Cohort) -> dict[str, Batches]:
    """The competitors by name, caches filled."""
    plain, packed = (
        [folder / f"{number:03d}{ending}" for number in range(N)] for ending in (".nii", ".nii.gz")
    )
    for volume, *paths in zip(cohort.array("t1w"), plain, packed, strict=True):
        for path in paths:
            nib.save(nib.Nifti1Image(volume.astype(np.float32), np.eye(4)), path)
    files = [{"t1w": str(path)} for path in plain]
    steps = Compose(
        [LoadImaged("t1w"), EnsureChannelFirstd("t1w"), EnsureTyped("t1w", dtype=torch.float32)]
    )
    persistent = PersistentDataset(files, steps, cache_dir=folder / "cache")
    for number in range(len(persistent)):
        persistent[number]
    cached = CacheDataset(files, steps, progress=False)
    return {
        "store": from_store(source_of(cohort)),
        "monai_persistent": from_monai(persistent),
        "monai_cache": from_monai(cached),
        "torchio": from_torchio(packed),
        "torchio_uncompressed": from_torchio(plain),
        "store_five_kept": several_kept(source_of(cohort)),
        "gather_float32_in_memory": gathered(cohort),
        "conversion": converted(cohort),
    }


def check_equal(batches: dict[str, Batches], cohort: Cohort) -> None:
    """Every reader gives the stored volumes."""
    known = {float(volume[:2].astype(np.float64).sum()) for volume in cohort.array("t1w")}
    for name, stream in batches.items():
        batch = next(stream).reshape(-1, *SHAPE)
        found = {float(x.numpy()[:2].astype(np.float64).sum()) for x in batch}
        if len(batch) != BATCH or not found <= known:
            raise SystemExit(f"{name} gives other volumes than the store holds")


def race(batches: dict[str, Batches], turns: int) -> dict[str, dict[str, float]]:
    """Volumes per second of each reader, by CPU and by wall time."""
    volumes, cpu, wall = (dict.fromkeys(batches, 0.0) for _ in range(3))
    for _ in range(turns):
        for name, stream in batches.items():
            begun, began = time.process_time(), time.perf_counter()
            while time.perf_counter() - began < TURN_SECONDS:
                volumes[name] += len(next(stream))
            cpu[name] += time.process_time() - begun
            wall[name] += time.perf_counter() - began
    return {
        "cpu": {name: volumes[name] / cpu[name] for name in batches},
        "wall": {name: volumes[name] / wall[name] for name in batches},
    }


def anonymous_mib() -> float:
    """Memory of this process that is no page of a file."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [x for x in status.splitlines() if x.startswith("RssAnon:")]
    return int(line.split()[1]) / 1024


def many(folder: Path) -> dict[str, float]:
    """Opening a large store, and reading from it."""
    write_store(folder / "many", MANY, SMALL)
    seconds = []
    before = anonymous_mib()
    for _ in range(5):
        began = time.perf_counter()
        source = source_of(Cohort(folder / "many"))
        seconds.append(time.perf_counter() - began)
    opened = anonymous_mib()
    stream = from_store(source)
    for _ in range(1000):
        next(stream)
    return {
        "open_rows": MANY,
        "open_seconds": round(min(seconds), 3),
        "open_anonymous_mib": round(opened - before, 1),
        "batches_anonymous_mib": round(anonymous_mib() - opened, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", module="torchio|monai")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = many(folder)
        cohort = write_store(folder / "race", N, SHAPE)
        batches = readers(folder, cohort)
        check_equal(batches, cohort)
        race(batches, 1)
        rates = race(batches, turns)
    ratios = {
        f"{kind}ratio_vs_{name}": round(rates[clock]["store"] / rate, 2)
        for kind, clock in (("", "cpu"), ("wall_", "wall"))
        for name, rate in rates[clock].items()
        if name != "store"
    }
    result = {
        "shape": SHAPE,
        "people": N,
        "batch": BATCH,
        "volumes_per_second": {name: round(rate) for name, rate in rates["cpu"].items()},
        **ratios,
        **large,
        "torch": torch.__version__,
        "torchio": tio.__version__,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "load_average": round(os.getloadavg()[1], 1),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    missed = [
        f"{name} {ratios[name]} < {limit}" for name, limit in LIMITS.items() if ratios[name] < limit
    ]
    if large["open_seconds"] >= 0.5:
        missed.append(f"open_seconds {large['open_seconds']} >= 0.5")
    print("missed: " + ", ".join(missed) if missed else "all limits are kept")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
