"""What preparing a raw scan costs: reading beside decompressing, N4, affine and the rest.

Reading is compared with decompressing the same bytes alone, by the same library in one piece. The
steps are timed on one thread, beside deepbet's own time. Without a scan of your own, a head of the
IXI collection is taken from the folder of data beside the repository, or else the MNI template in
256 x 256 x 256 voxels with noise.

    python perf/prepare.py [SCAN.nii.gz ...]
"""

import argparse
import json
import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import time
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
import torch

from benchmark.imaging.reading import decompressed, read_scan
from benchmark.imaging.scan import ScanSource
from benchmark.imaging.steps import prepare_scan
from benchmark.imaging.template import template

ROOT = Path(__file__).resolve().parents[1]
HEADS = ROOT.parent / "shared" / "data" / "ixi" / "t1w_1mm_head"
RESULT = Path(__file__).parent / "results" / "prepare.json"
READ_LIMIT, SECONDS_LIMIT = 1.5, 35.0
REPEATS = 15


def template_head(folder: Path) -> Path:
    """The template with noise in a cube of 256 voxels."""
    whole = template()
    data = np.zeros((256, 256, 256))
    d, h, w = whole.data.shape
    data[20 : 20 + d, 10 : 10 + h, 30 : 30 + w] = whole.data
    data += np.random.default_rng(0).normal(0, 3, data.shape)
    affine = whole.affine.copy()
    affine[:3, 3] -= [20, 10, 30]
    image = nibabel.Nifti1Image(np.clip(data, 0, 255).astype(np.uint8), affine)
    image.set_sform(affine, 2)
    nibabel.save(image, folder / "template.nii.gz")
    return folder / "template.nii.gz"


def cpu_ms(work, *arguments) -> float:
    """The fastest of some repeats: neighbours only ever slow a call down."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work(*arguments)
        times.append(time.process_time() - start)
    return 1000 * min(times)


def reading(path: Path) -> dict[str, float]:
    packed = path.read_bytes()
    whole, alone = cpu_ms(read_scan, path), cpu_ms(decompressed, packed, path)
    nib = cpu_ms(lambda: np.asarray(nibabel.load(path).dataobj))
    itk = cpu_ms(lambda: SimpleITK.GetArrayViewFromImage(SimpleITK.ReadImage(str(path))))
    found = {"read_ms": whole, "decompress_ms": alone, "nibabel_ms": nib, "simpleitk_ms": itk}
    return {name: round(ms, 1) for name, ms in found.items()}


def steps(path: Path) -> dict[str, dict[str, float]]:
    """CPU and wall seconds by step, and of everything but the brain extraction."""
    start, processor = time.perf_counter(), time.process_time()
    prepared = prepare_scan(ScanSource("a", "b", path), 2.0)
    total = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - processor,
    }
    found = {s["step"]: s for s in prepared.record["steps"]}
    clocks = ("seconds", "cpu_seconds")
    table = {name: {c: round(step[c], 2) for c in clocks} for name, step in found.items()}
    table["beside_deepbet"] = {c: round(total[c] - found["brain"][c], 2) for c in clocks}
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", nargs="*", type=Path)
    paths = parser.parse_args().scans or sorted(HEADS.glob("*.nii.gz"))
    torch.set_num_threads(1)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        kind = "T1w heads" if paths else "MNI template with noise"
        paths = paths or [template_head(Path(folder))]
        steps(paths[0])  # loads the libraries, the network and the template
        reads = [reading(path) for path in paths]
        costs = [steps(path) for path in paths]
        shapes = {"x".join(map(str, nibabel.load(path).shape)) for path in paths}
    ratios = [r["read_ms"] / r["decompress_ms"] for r in reads]
    beside = [c["beside_deepbet"] for c in costs]
    result = {
        "read_ratio_vs_decompression": round(max(ratios), 2),
        "read_ratio_limit": READ_LIMIT,
        "seconds_per_scan": max(b["cpu_seconds"] for b in beside),
        "wall_seconds_per_scan": max(b["seconds"] for b in beside),
        "seconds_limit": SECONDS_LIMIT,
        "what": "the slowest of the scans; CPU seconds of all but deepbet, one thread",
        "deepbet_cpu_seconds": max(c["brain"]["cpu_seconds"] for c in costs),
        "reading": reads,
        "steps": costs,
        "scans": f"{len(paths)} {kind} of {', '.join(sorted(shapes))} voxels",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "load": round(os.getloadavg()[0], 1),
        "simpleitk": SimpleITK.Version().VersionString(),
        "torch": torch.__version__,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(json.dumps(result, indent=1, sort_keys=True))
    slow = result["seconds_per_scan"] > SECONDS_LIMIT
    return int(slow or result["read_ratio_vs_decompression"] > READ_LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
