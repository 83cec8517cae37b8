"""Time to find every brain that stands under two names among 10,000 volumes.

The volumes are as stored at 5 mm (float16, a memory map): a common picture, 30 smooth modes by
which people differ, and noise of each scan. 20 people stand there a second time byte for byte, and
20 with new noise. All 40 pairs must be found, and no other.

    python perf/near_duplicates.py [--people 10000]
"""

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmark.leakage.images import find_twins

SHAPE = (32, 40, 32)
N_MODES, N_TWICE = 30, 20
LIMIT_SECONDS = 60.0
RESULT = Path(__file__).parent / "results" / "near_duplicates.json"


def write_volumes(path: Path, n: int) -> np.ndarray:
    """A memory map (N, D, H, W); the last 40 repeat the first 40, half of them with new noise."""
    g = np.random.default_rng(0)
    picture = 1 + 0.3 * gaussian_filter(g.normal(size=SHAPE), 2) * 10
    modes = np.stack([gaussian_filter(g.normal(size=SHAPE), 2.5) for _ in range(N_MODES)])
    modes *= 0.1 / modes.std(axis=(1, 2, 3), keepdims=True)
    stored = np.lib.format.open_memmap(path, "w+", dtype="float16", shape=(n, *SHAPE))
    for i in range(n - 2 * N_TWICE):
        own = picture + np.tensordot(g.normal(size=N_MODES), modes, axes=1)
        stored[i] = own + 0.05 * g.normal(size=SHAPE)
        if i < N_TWICE:
            stored[n - 2 * N_TWICE + i] = stored[i]
        elif i < 2 * N_TWICE:
            stored[n - 2 * N_TWICE + i] = own + 0.05 * g.normal(size=SHAPE)
    stored.flush()
    return np.load(path, mmap_mode="r")


def main() -> None:
    """Measures, checks what was found, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=10_000)
    n = parser.parse_args().people
    with tempfile.TemporaryDirectory() as folder:
        volumes = write_volumes(Path(folder) / "t1w.npy", n)
        names = [f"sub-{i:05d}" for i in range(n)]
        wall, cpu = time.perf_counter(), time.process_time()
        found = find_twins(volumes, range(n), names)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    planted = {(names[i], names[n - 2 * N_TWICE + i]) for i in range(2 * N_TWICE)}
    pairs = {(twin.first, twin.second) for twin in found}
    if pairs != planted:
        raise SystemExit(f"missed {sorted(planted - pairs)}; wrong {sorted(pairs - planted)[:5]}")
    result = {
        "volumes": n,
        "shape": list(SHAPE),
        "planted_and_found": len(planted),
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "limit_seconds": LIMIT_SECONDS,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
