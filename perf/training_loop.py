"""CPU cost of the training loop against a bare PyTorch loop: same network, same steps.

The bare loop holds all volumes in memory as float32 tensors, shuffles, steps AdamW and validates;
nothing else. Ours reads float16 volumes from a memory map, and does all that it always does: masks,
class weights, schedule, clipping off, dry run, log, checkpoint each epoch. Both run without
augmentation, so that they compute the same network on the same inputs; its own cost is measured
apart. The two alternate in one process, and the ratio is of the sums of CPU seconds.

    python perf/training_loop.py [--rounds 3]
"""

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from baselines.resnet3d.info import ResNet3DConfig
from baselines.resnet3d.model import Network, ResNet3D
from benchmark.method import RunContext
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import get_task
from benchmark.training.config import AugmentConfig, TrainerConfig
from benchmark.training.devices import channels_last
from benchmark.training.losses import TaskScales
from benchmark.training.trainer import Trainer

SHAPE = (32, 40, 32)
N_TRAIN, N_VALIDATION, BATCH, EPOCHS = 272, 56, 16, 8  # a fold of phantom-memory, fewer epochs
LIMIT = 1.03
TASK = get_task("dx3")
STILL = AugmentConfig(flip=0.0, shift_voxels=0.0)
RESULT = Path(__file__).parent / "results" / "training_loop.json"


def people(folder: Path, n: int, seed: int) -> Samples:
    """People whose volumes lie in a float16 memory map."""
    g = np.random.default_rng(seed)
    path = folder / f"{seed}.npy"
    np.save(path, g.random((n, *SHAPE), dtype=np.float32).astype(np.float16))
    rows = LazyRows([np.load(path, mmap_mode="r")], np.zeros(n, dtype=int), np.arange(n))
    labels = {TASK.name: (np.arange(n) % 3.0, np.ones(n, dtype=bool))}
    return Samples(n, arrays={"t1w": rows}, cohort=np.zeros(n, dtype=int), _labels=labels)


def network() -> torch.nn.Module:
    """The default ResNet, channels last, from fixed weights."""
    torch.manual_seed(0)
    return channels_last(Network(ResNet3DConfig(), [TASK], spacing_mm=5.0))


def bare(train: Samples, val: Samples) -> None:
    """What one writes by hand."""
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    (x, y), (xv, yv) = (_tensors(part) for part in (train, val))
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            cross_entropy(model({"t1w": x[rows]})[TASK.name], y[rows]).backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            for rows in torch.arange(len(xv)).split(BATCH):
                cross_entropy(model({"t1w": xv[rows]})[TASK.name], yv[rows])


def _tensors(samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
    volumes = torch.from_numpy(samples.volumes()).unsqueeze(1)
    return volumes, torch.from_numpy(samples.labels(TASK.name)[0]).long()


def ours(train: Samples, val: Samples, augment: AugmentConfig = STILL) -> None:
    """The shared loop, dry run and checkpoints included."""
    trainer = TrainerConfig(
        epochs=EPOCHS, batch_size=BATCH, predict_batch_size=BATCH, lr=3e-3, clip=0, augment=augment
    )
    method = ResNet3D(ResNet3DConfig(trainer=trainer))
    labels = {TASK.name: train.labels(TASK.name)[0]}
    method._scales = TaskScales.learn([TASK], labels, balance=True)
    sources = [method.source(part, [TASK]) for part in (train, val)]
    with tempfile.TemporaryDirectory() as folder:
        run = RunContext(seed=0, folder=Path(folder))
        Trainer(network(), method, sources[0], sources[1], trainer, run).fit()


def cpu_seconds(job: Callable[[], None]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    job()
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        train, val = (people(Path(folder), n, s) for s, n in enumerate((N_TRAIN, N_VALIDATION)))
        jobs: dict[str, Callable[[], None]] = {
            "bare": lambda: bare(train, val),
            "ours": lambda: ours(train, val),
            "ours_augmented": lambda: ours(train, val, AugmentConfig()),
        }
        bare(train, val)  # warm up
        seconds: dict[str, list[float]] = {name: [] for name in jobs}
        for number in range(rounds):
            names = list(jobs) if number % 2 == 0 else list(jobs)[::-1]
            for name in names:
                seconds[name].append(cpu_seconds(jobs[name]))
    total = {name: sum(values) for name, values in seconds.items()}
    result = {
        "ratio_cpu": round(total["ours"] / total["bare"], 4),
        "ratio_cpu_by_round": [
            round(a / b, 4) for a, b in zip(seconds["ours"], seconds["bare"], strict=True)
        ],
        "ratio_cpu_with_default_augmentation": round(total["ours_augmented"] / total["bare"], 4),
        "cpu_seconds": {k: round(statistics.median(v), 3) for k, v in seconds.items()},
        "limit": LIMIT,
        "volumes": f"{N_TRAIN} train, {N_VALIDATION} validation, {'x'.join(map(str, SHAPE))}",
        "epochs": EPOCHS,
        "rounds": rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "torch": torch.__version__,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(json.dumps(result, indent=1, sort_keys=True))
    return int(result["ratio_cpu"] > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
