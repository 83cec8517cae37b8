"""Finds the T1w scans of a folder, or of a table, and sees what was done to them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.imaging.scan import DONE, ScanSource

__all__ = ["AUTO", "find_scans", "seen_at"]

AUTO: Final = "auto"
_SESSION: Final = "ses-M000"
_ENDINGS: Final = (".nii.gz", ".nii", ".mgz", ".hdr")
_TABLES: Final = {".csv": ",", ".tsv": "\t"}
_PERSON: Final = re.compile(r"sub-[A-Za-z0-9]+")
_VISIT: Final = re.compile(r"sess?-([A-Za-z0-9]+)")  # OASIS-3 has been released with `sess-`
_ALWAYS_RAW: Final = re.compile(r"_T1w\.(nii\.gz|nii)$")
_NO_SCAN: Final = re.compile(r"(_mask|_dseg|_probseg|_label-\w+|_xfm)\.")
_ASIDE: Final = {"derivatives", "sourcedata"}  # of a BIDS folder; name them to search them
_IDA_IMAGE: Final = re.compile(r"I\d+")  # LONI's folder of one image, which bears its identifier
_COLUMNS: Final = (v.PARTICIPANT_ID, v.SESSION_ID, "path", "done", "mask", "axes")


def find_scans(root: Path, done: str = AUTO, pattern: str = "", axes: str = "") -> list[ScanSource]:
    """Lists the scans to prepare, in order of participant and session.

    A folder is searched for ``*_T1w.nii(.gz)`` (BIDS, Clinica, fMRIPrep), for ``mri/orig.mgz``
    (FreeSurfer), or else for every image; folders ``derivatives`` and ``sourcedata`` inside are
    left out. Where fMRIPrep has a scan in its own space and in MNI's, its own is taken.
    Participant and session come from ``sub-`` and ``ses-``, or from the file's name (FreeSurfer:
    the subject's folder; LONI: with the identifier ``I12345`` of the folder that holds an image,
    where the name lacks it). A table (``.csv``, ``.tsv``) has the columns participant_id and path,
    and may have session_id, done, mask and axes; paths are relative to it.

    Args:
        root: Folder or table.
        done: A key of :data:`~benchmark.imaging.scan.DONE` for all scans, or "auto".
        pattern: Glob of file names to take instead, e.g. "*_T1w_defaced.nii.gz".
        axes: Directions of voxel axes, for all scans whose header does not state them.

    Raises:
        ConfigError: There is no such folder or table, or it holds no scan.
        UnknownNameError: ``done`` is not known.
    """
    if done not in (AUTO, *DONE):
        raise UnknownNameError("preprocessing", done, (AUTO, *DONE))
    if root.suffix in _TABLES:
        return _from_table(root, done, axes)
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder or table (.csv, .tsv)")
    paths = _images(root, pattern)
    if not paths:
        what = f"file that matches {pattern!r}" if pattern else f"image ({', '.join(_ENDINGS)})"
        raise ConfigError(f"{root}: holds no {what}")
    sources = [_source(path, done, axes) for path in paths]
    native = {s.name for s in sources if s.done == "fmriprep"}
    kept = [s for s in sources if s.done != "fmriprep-mni" or s.name not in native]
    return sorted(kept, key=lambda s: (s.participant, s.session, str(s.path)))


def seen_at(path: Path) -> tuple[str, Path | None]:
    """What a file's name says was done to it, and the brain mask beside it.

    Returns:
        A key of :data:`~benchmark.imaging.scan.DONE`, and the mask or None.
    """
    mask: Path | None = None
    done = "raw"
    if "_desc-preproc_T1w." in path.name:
        done = "fmriprep-mni" if "_space-MNI152" in path.name else "fmriprep"
        mask = path.with_name(path.name.replace("_desc-preproc_T1w.", "_desc-brain_mask."))
    elif "_space-MNI152NLin2009cSym" in path.name:
        done = "t1-linear"
    elif path.name == "orig.mgz":
        done = "freesurfer-orig"
        mask = path.with_name("brainmask.mgz")
    return done, mask if mask is not None and mask.is_file() else None


def _images(root: Path, pattern: str) -> list[Path]:
    if pattern:
        return sorted(path for path in root.rglob(pattern) if path.is_file())
    files = sorted(path for path in root.rglob("*") if path.name.endswith(_ENDINGS))
    files = [path for path in files if path.is_file() and not _NO_SCAN.search(path.name)]
    files = [path for path in files if not _ASIDE & {*path.relative_to(root).parts}]
    for kind in (_bids(files), [p for p in files if p.name == "orig.mgz"]):
        if kind:
            return kind
    return files


def _bids(files: Iterable[Path]) -> list[Path]:
    return [path for path in files if _ALWAYS_RAW.search(path.name)]


def _source(path: Path, done: str, axes: str) -> ScanSource:
    seen, mask = seen_at(path)
    person, visit = _PERSON.search(path.name), _VISIT.search(path.name)
    if path.name == "orig.mgz":
        subject = path.parent.parent.name
        participant = subject
    elif person:
        participant = person.group()
    else:
        stem = next(path.name.removesuffix(e) for e in _ENDINGS if path.name.endswith(e))
        image = path.parent.name
        if _IDA_IMAGE.fullmatch(image) and image not in re.split(r"[^A-Za-z0-9]+", stem):
            stem = f"{stem}-{image}"
        participant = re.sub(r"[^A-Za-z0-9.+-]+", "-", stem).strip("-.+")
    session = f"ses-{visit[1]}" if visit else _SESSION
    stated = seen if done == AUTO else done
    return ScanSource(participant, session, path, stated, mask if stated != "raw" else None, axes)


def _from_table(path: Path, done: str, axes: str) -> list[ScanSource]:
    try:
        table = pd.read_csv(path, sep=_TABLES[path.suffix], dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a table ({error})") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for an index
        raise ConfigError(
            f"{path}: its rows have more cells than its header, expected as many; take away the "
            "separator at the end of the rows, or name the column"
        )
    missing = {v.PARTICIPANT_ID, "path"} - set(table)
    if missing:
        raise ConfigError(
            f"{path}: lacks the column(s) {', '.join(sorted(missing))}; it may have "
            f"{', '.join(_COLUMNS)}"
        )
    if table.empty:
        raise ConfigError(f"{path}: holds no scan")
    sources = []
    for row in table.to_dict("records"):
        scan = path.parent / row["path"]
        seen, beside = seen_at(scan)
        stated = row.get("done") or (seen if done == AUTO else done)
        mask = beside if stated != "raw" else None
        if row.get("mask"):
            mask = path.parent / row["mask"]
        session = row.get(v.SESSION_ID) or _SESSION
        sources.append(
            ScanSource(row[v.PARTICIPANT_ID], session, scan, stated, mask, row.get("axes") or axes)
        )
    return sources
