"""What computing features of frozen encoders once saves: the first epoch against the second.

Text alone: Brain-Adapter on reports, whose sentence encoder is frozen. Both: reports, and volumes
through the frozen transformer with nothing trained or varied in front. The first epoch encodes
everybody and trains on the features; the second finds them. Both are compared with the same
features computed anew, which must give the same numbers.

    python perf/feature_cache.py [--people 272]
"""

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmark.encoders import FeatureStore
from benchmark.method import RunContext
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import get_task
from benchmark.training.config import AugmentConfig, TrainerConfig
from methods.brain_adapter.info import AdapterConfig, BrainAdapterConfig, TextConfig
from methods.brain_adapter.model import BrainAdapter

SHAPE = (32, 40, 32)
TASK = get_task("dx3")
LIMIT = 10.0
STILL = AugmentConfig(flip=0.0, shift_voxels=0.0)
RESULT = Path(__file__).parent / "results" / "feature_cache.json"
_WORDS = ["reports", "denies", "trouble", "with", "memory", "words", "money", "sleep", "mood"]


def people(folder: Path, n: int, seed: int, *, volumes: bool) -> Samples:
    """People with reports of about 75 tokens, each different, and volumes in a memory map."""
    g = np.random.default_rng(seed)
    texts = [" ".join(g.choice(_WORDS, 70)) + f" {seed} {i}." for i in range(n)]
    everybody = np.ones(n, dtype=bool)
    available = {"report": everybody}
    arrays = {}
    if volumes:
        path = folder / f"{seed}.npy"
        np.save(path, g.random((n, *SHAPE), dtype=np.float32).astype(np.float16))
        blocks = [np.load(path, mmap_mode="r")]
        arrays["t1w"] = LazyRows(blocks, np.zeros(n, dtype=int), np.arange(n))
        available["t1w"] = everybody
    return Samples(
        n,
        arrays=arrays,
        texts={"report": texts},
        available=available,
        cohort=np.zeros(n, dtype=int),
        spacing_mm=5.0,
        _labels={TASK.name: (np.arange(n) % 3.0, everybody)},
    )


def measured(folder: Path, n: int, *, volumes: bool) -> dict[str, float]:
    """CPU seconds of the first and of the second epoch."""
    train, val = (people(folder, k, seed, volumes=volumes) for seed, k in ((0, n), (1, n // 5)))
    config = BrainAdapterConfig(
        pretrained="",
        adapter=AdapterConfig(kind="none"),
        text=TextConfig(unit="report"),
        cache_image=True,
        trainer=TrainerConfig(epochs=2, batch_size=16, augment=STILL),
    )
    method, ends = BrainAdapter(config), []
    (folder / "run").mkdir(exist_ok=True)
    assert method._reports.width  # loads the encoder before the clock starts
    run = RunContext(
        seed=0,
        folder=folder / "run",
        features=folder / "features",
        log=lambda record: ends.append(time.process_time()),
    )
    start = time.process_time()
    method.fit(train, val, [TASK], run)
    for name, column in method.inputs(val).items():  # computed once is computed anew
        method._store, method._image = FeatureStore(), None
        if isinstance(column, np.ndarray) and not np.array_equal(method.inputs(val)[name], column):
            raise SystemExit(f"features of {name!r} differ when they are computed anew")
    first, second = ends[0] - start, ends[1] - ends[0]
    return {"first": round(first, 3), "second": round(second, 3), "ratio": round(first / second, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=272)
    n = parser.parse_args().people
    torch.set_num_threads(1)
    result: dict[str, object] = {}
    for name, volumes in (("text", False), ("text_and_volumes", True)):
        with tempfile.TemporaryDirectory() as folder:
            result[name] = measured(Path(folder), n, volumes=volumes)
    result |= {
        "ratio": result["text"]["ratio"],
        "limit": LIMIT,
        "people": f"{n} training, {n // 5} validation, reports of about 75 tokens, all different",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "torch": torch.__version__,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(json.dumps(result, indent=1, sort_keys=True))
    return int(result["ratio"] < LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
