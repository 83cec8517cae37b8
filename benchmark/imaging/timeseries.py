"""ROI time series of preprocessed BOLD in MNI space, as fMRIPrep writes it.

A region's series is the mean over its voxels, after the confounds were regressed out of it: 24
motion parameters, the mean signals of white matter and CSF, and the cosines of fMRIPrep's high-pass
filter (128 s). Volumes before the steady state are taken out; none is censored for motion, nothing
is smoothed, and there is no low-pass filter. This is the strategy ``simple`` of
:func:`nilearn.interfaces.fmriprep.load_confounds` with fMRIPrep's own high-pass.

The label image is the user's. It is brought to the grid of each BOLD image by the nearest
neighbour, so it must lie in the same space. A region without a voxel there, or whose signal does
not vary, is ``n/a``.

References:
    Esteban et al. 2019, fMRIPrep, 10.1038/s41592-018-0235-4.
    Friston et al. 1996, 24 motion parameters, 10.1002/mrm.1910350312.
    Wang et al. 2024, load_confounds and its strategies, 10.1371/journal.pcbi.1011942.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.errors import CohortError, ConfigError
from benchmark.store.atomic import write_json, write_text
from benchmark.store.hashing import file_sha256

__all__ = ["CONFOUNDS", "SETTINGS", "Extracted", "extract_series", "find_bold", "read_labels"]

CONFOUNDS: Final[dict[str, Any]] = {
    "strategy": ("motion", "wm_csf", "high_pass"),
    "motion": "full",
    "wm_csf": "basic",
}
SETTINGS: Final = "timeseries.json"
_BOLD: Final = "_desc-preproc_bold.nii.gz"
_PATTERN: Final = f"sub-*_space-MNI*{_BOLD}"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of one image.

    Attributes:
        bold: The image.
        table: Its table; None where it failed.
        reason: Why it failed.
        kept: Whether the table was there already.
    """

    bold: Path
    table: Path | None
    reason: str = ""
    kept: bool = False


def find_bold(root: Path, pattern: str = "") -> list[Path]:
    """BOLD images in MNI space below a folder, sorted.

    Args:
        root: fMRIPrep's output.
        pattern: A glob; by default all images in an MNI space.

    Raises:
        CohortError: There is none, or two have one name.
    """
    found = sorted(root.rglob(pattern or _PATTERN))
    if not found:
        raise CohortError(
            f"{root}: no file {pattern or _PATTERN}; expected fMRIPrep's output with "
            "`--output-spaces MNI152NLin2009cAsym`, or say `--pattern`"
        )
    other = [path.name for path in found if not path.name.endswith(_BOLD)]
    if other:
        raise CohortError(f"{root}: {other[0]}: expected a name that ends in {_BOLD}")
    return found


def read_labels(image: Path, names: Path | None = None) -> dict[int, str]:
    """The regions of a label image.

    Args:
        image: NIfTI of whole numbers, 0 for no region.
        names: A table (.tsv, .csv) with ``index`` and ``name``, as BIDS atlases have it.

    Returns:
        Name by label, in the order of the labels; ``label_7`` where no table names them.

    Raises:
        CohortError: The image or the table is missing or wrong.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        values = np.unique(np.asarray(nib.load(image).dataobj))
    except (OSError, ImageFileError) as error:
        raise CohortError(f"{image}: cannot be read as a label image: {error}") from error
    if (values != np.round(values)).any() or not (values > 0).any():
        raise CohortError(f"{image}: expected whole numbers, 0 outside of all regions")
    labels = [int(value) for value in values if value > 0]
    if names is None:
        return {label: f"label_{label}" for label in labels}
    if not names.is_file():
        raise CohortError(f"{names}: no such file; expected a table with `index` and `name`")
    table = pd.read_csv(names, sep="\t" if names.suffix == ".tsv" else ",")
    if not {"index", "name"} <= {*table}:
        raise CohortError(
            f"{names}: has columns {', '.join(map(str, table))}; expected `index` and `name`"
        )
    known = dict(zip(table["index"].astype(int), table["name"].astype(str), strict=True))
    absent = [str(label) for label in labels if label not in known]
    if absent:
        raise CohortError(f"{names}: names no label {', '.join(absent)}, which {image} has")
    return {label: known[label] for label in labels}


def extract_series(
    images: Sequence[Path],
    out: Path,
    labels: Path,
    names: Path | None = None,
    *,
    force: bool = False,
) -> Iterator[Extracted]:
    """Writes a table of each image, frames as rows and regions as columns.

    Tables that are there are kept. ``timeseries.json`` beside them says how they were made.

    Args:
        images: BOLD images, each with fMRIPrep's ``_desc-confounds_timeseries.tsv`` beside it.
        out: Folder of the tables.
        labels: The label image.
        names: See :func:`read_labels`.
        force: Make anew what is there.

    Yields:
        What became of each image, in their order; one that fails stops no other.

    Raises:
        CohortError: The labels are wrong.
        ConfigError: The folder holds tables that were made in another way.
    """
    regions = read_labels(labels, names)
    _settings(out, labels, regions, force=force)
    for bold in images:
        table = out / bold.name.replace(_BOLD, "_timeseries.tsv")
        if table.is_file() and not force:
            yield Extracted(bold, table, kept=True)
            continue
        try:
            series = _series(bold, labels, regions)
        except (ValueError, OSError, EOFError) as error:
            yield Extracted(bold, None, " ".join(str(error).split()))
            continue
        frame = pd.DataFrame(series, columns=list(regions.values()))
        write_text(table, frame.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g"))
        yield Extracted(bold, table)


def _settings(out: Path, labels: Path, regions: dict[int, str], *, force: bool) -> None:
    settings = {
        "labels": labels.name,
        "labels_sha256": file_sha256(labels),
        "regions": list(regions.values()),
        "confounds": {**CONFOUNDS, "strategy": list(CONFOUNDS["strategy"])},
        "region": "mean over its voxels, labels brought to the grid by the nearest neighbour",
        "nilearn": importlib.metadata.version("nilearn"),
    }
    path = out / SETTINGS
    if path.is_file() and not force and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise ConfigError(
            f"{out}: holds time series of another label image or version; choose another `--out`, "
            "or make all anew with `--force`"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def _series(bold: Path, labels: Path, regions: dict[int, str]) -> np.ndarray:
    """(T, R), NaN for a region without a signal."""
    import nibabel as nib
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.maskers import NiftiLabelsMasker

    image = nib.load(bold)
    if len(image.shape) != 4:
        raise ValueError(f"expected an image over time, got the shape {image.shape}")
    confounds, steady = load_confounds(str(bold), **CONFOUNDS)
    masker = NiftiLabelsMasker(
        labels_img=str(labels),
        standardize=None,
        resampling_target="data",
        keep_masked_labels=False,
        reports=False,
    )
    found = masker.fit_transform(image, confounds=confounds, sample_mask=steady)
    series = np.full((len(found), len(regions)), np.nan)
    columns = {label: column for column, label in enumerate(regions)}
    for column, label in masker.region_ids_.items():
        if column != "background":
            series[:, columns[int(label)]] = found[:, column]
    series[:, np.ptp(series, axis=0) == 0] = np.nan
    return series
