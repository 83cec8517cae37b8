"""Prepares one scan into its own folder, which counts from the moment its record stands there."""

from __future__ import annotations

import json
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmark.errors import BenchmarkError
from benchmark.imaging.qc_measures import likeness, sparse_brain
from benchmark.imaging.qc_pictures import picture
from benchmark.imaging.scan import DONE, ScanSource
from benchmark.imaging.steps import Prepared, StepError, prepare_scan
from benchmark.store.atomic import replace_file, write_json
from benchmark.store.hashing import file_sha256

__all__ = ["PICTURE", "SPARSE", "VOLUME", "Failure", "Question", "kept_record", "prepare_into"]

VOLUME: Final = "volume.npy"
SPARSE: Final = "qc.npy"
PICTURE: Final = "qc.png"
_RECORD: Final = "record.json"
_DRAWN_ML: Final = (400.0, 2400.0)  # a mask outside may hold more than a brain: never drawn


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a scan was not prepared.

    Attributes:
        participant, session: Whose scan.
        file: Its path.
        step: Where it stopped.
        reason: One line.
        details: Traceback of an unexpected error, else "".
    """

    participant: str
    session: str
    file: str
    step: str
    reason: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One scan, where it goes, and the state of code and settings that it is prepared with."""

    source: ScanSource
    folder: Path
    spacing_mm: float
    recipe: str


def kept_record(question: Question) -> dict[str, Any] | None:
    """The record of a scan that is there already, made the same way from the same file.

    A file whose size and time are those of the record is not read; otherwise its hash decides.
    """
    try:
        record: dict[str, Any] = json.loads((question.folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = all((question.folder / name).is_file() for name in (VOLUME, SPARSE))
    if not whole or record["recipe"] != question.recipe or record["how"] != _how(question.source):
        return None
    paths = (question.source.path, question.source.mask)
    then = [stamp["sha256"] if stamp else None for stamp in record["files"]]
    if [_stamp(p, known) for p, known in zip(paths, then, strict=True)] == record["files"]:
        return record
    now = [file_sha256(p) if p is not None and p.is_file() else None for p in paths]
    return record if now == then else None


def prepare_into(question: Question) -> Failure | None:
    """Prepares one scan and writes its folder; returns why not where that fails.

    Volume, picture and the voxels of quality control are written first, the record last, each
    whole or not at all.
    """
    source = question.source
    try:
        # What stood here was made otherwise; an interruption must not leave half of each.
        (question.folder / _RECORD).unlink(missing_ok=True)
        _write(question, prepare_scan(source, question.spacing_mm))
    except StepError as error:
        return _failed(question, error.step, str(error))
    except BenchmarkError as error:
        return _failed(question, "set-up", str(error))
    except OSError:
        raise  # reading says ScanError; this is a full disk, no fault of the scan
    except Exception as error:  # noqa: BLE001 - one bad scan never stops the rest
        reason = f"{type(error).__name__}: {error}"
        return _failed(question, "unexpected", reason, traceback.format_exc())
    return None


def _failed(question: Question, step: str, reason: str, details: str = "") -> Failure:
    shutil.rmtree(question.folder, ignore_errors=True)
    source = question.source
    line = " ".join(reason.split())
    return Failure(source.participant, source.session, str(source.path), step, line, details)


def _write(question: Question, prepared: Prepared) -> None:
    folder = question.folder
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / VOLUME, prepared.volume)
    _save(folder / SPARSE, sparse_brain(prepared.qc_brain).astype(np.float16))
    low, high = _DRAWN_ML
    drawn = low <= prepared.record["brain_ml"] <= high
    (folder / PICTURE).unlink(missing_ok=True)
    if drawn:
        with replace_file(folder / PICTURE) as temporary:
            temporary.write_bytes(picture(prepared.qc_brain, prepared.qc_mask))
    smooth, sharp = likeness(prepared.qc_brain)
    source = question.source
    files = [_stamp(source.path, prepared.record["source"]["sha256"])]
    files.append(_stamp(source.mask, file_sha256(source.mask) if source.mask else None))
    record = {
        **prepared.record,
        "correlation": round(smooth, 4),
        "correlation_unsmoothed": round(sharp, 4),
        "regions": {
            k: round(x, 1) if np.isfinite(x) else None for k, x in prepared.regions.items()
        },
        "picture": drawn,
        "volume_sha256": file_sha256(folder / VOLUME),
        "files": files,
        "how": _how(source),
        "recipe": question.recipe,
    }
    write_json(folder / _RECORD, record)


def _how(source: ScanSource) -> dict[str, Any]:
    mask = source.mask.name if source.mask else None
    return {"done": sorted(DONE[source.done]), "axes": source.axes, "mask": mask}


def _stamp(path: Path | None, sha256: str | None = None) -> dict[str, Any] | None:
    if path is None or not path.is_file():
        return None
    facts = path.stat()
    return {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256": sha256}


def _save(path: Path, array: np.ndarray) -> None:
    with replace_file(path) as temporary, temporary.open("wb") as handle:
        np.save(handle, array, allow_pickle=False)
