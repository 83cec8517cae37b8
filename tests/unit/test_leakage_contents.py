"""Leaks in what else a store holds: series, measurements and reports; clean stores pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from visit_tables import CARD, visit_table

from benchmark.errors import LeakageError
from benchmark.leakage import verify_external_images, verify_reports, verify_split
from benchmark.splitting import make_split
from benchmark.store import Cohort, CohortWriter

N = 60
A, B = 12, 16  # tested in different folds


def made(folder: Path, *, seed: int = 0, **parts: object) -> Cohort:
    """A cohort without volumes; ``series`` (N, T, R), ``regions`` (N, M) and ``texts`` (N,)."""
    visits = visit_table(N)
    index = visits.loc[visits["is_index"]]
    keys = index[["participant_id", "session_id"]].reset_index(drop=True)
    writer = CohortWriter(folder, {"seed": seed})
    if "series" in parts:
        visits["fmri_row"] = np.where(visits["is_index"], visits["is_index"].cumsum() - 1, -1)
        series = np.asarray(parts["series"])
        writer.array("fmri", series.shape, "float16")[:] = series
    if "regions" in parts:
        regions = np.asarray(parts["regions"])
        names = [f"region_{k}_mm3" for k in range(regions.shape[1])]
        table = pd.concat([keys, pd.DataFrame(regions, columns=names)], axis=1)
        writer.table("regions", table.assign(head_size_mm3=1.4e6))
    if "texts" in parts:
        writer.table("reports", keys.assign(**parts["texts"]))  # type: ignore[arg-type]
    writer.table("participants", visits)
    writer.finish({**CARD, "name": folder.name})
    return Cohort(folder)


def series(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, 8, 5))


def measured(n: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3000, 300, size=(N, n))


def refused(cohort: Cohort) -> str:
    with pytest.raises(LeakageError) as refusal:
        verify_split(make_split(cohort, "3fold", 0), cohort)
    return str(refusal.value)


def test_one_fmri_series_under_two_names(tmp_path: Path) -> None:
    values = series()
    values[B] = values[A]
    cohort = made(tmp_path / "toy", series=values)
    assert "1 pairs share an image across parts: sub-0012 = sub-0016 (equal)" in refused(cohort)


def test_one_persons_measurements_under_two_names(tmp_path: Path) -> None:
    values = measured()
    values[B] = values[A]
    values[[A, B], 0] = np.nan  # one was not measured: five are left, and head size
    assert "sub-0012 = sub-0016 (equal)" in refused(made(tmp_path / "toy", regions=values))


def test_an_external_person_with_the_series_or_measurements_of_a_training_person(
    tmp_path: Path,
) -> None:
    train = made(tmp_path / "train", series=series(), regions=measured())
    strangers = {"series": series(1), "regions": measured(seed=1)}
    verify_external_images(made(tmp_path / "clean", **strangers), train)
    for part, ours in (("series", series()), ("regions", measured())):
        theirs = strangers[part].copy()
        theirs[4] = ours[7]
        leak = made(tmp_path / f"leak-{part}", **{**strangers, part: theirs})
        with pytest.raises(LeakageError, match=rf"leak-{part}/sub-0004 = train/sub-0007 \(equal"):
            verify_external_images(leak, train)


def test_measurements_that_agree_by_chance_are_no_leak(tmp_path: Path) -> None:
    """Few numbers, rounded: many people have the same, and head size is one for all here."""
    values = measured(3).round(-3)
    assert len(np.unique(values, axis=0)) < N
    clean = made(tmp_path / "toy", regions=values, series=series())
    verify_split(make_split(clean, "3fold", 0), clean)


@pytest.mark.parametrize("words", ["Scored 27 in the MMSE.", "mini-mental state: 24 of 30"])
def test_a_report_that_states_the_score_which_its_track_closes(tmp_path: Path, words: str) -> None:
    texts = {"text": ["Forgets names."] * N, "text_mmse": ["MMSE 27."] * N}
    texts["text"][A] = words
    with pytest.raises(
        LeakageError, match=r"'toy': 1 reports state mmse: sub-0012\. .*report\+mmse"
    ):
        verify_reports(made(tmp_path / "toy", texts=texts))


def test_reports_that_state_what_they_may_are_clean(tmp_path: Path) -> None:
    texts = {
        "text": ["Mother had dementia. Forgets names.", None] * (N // 2),
        "text_mmse": ["MMSE 27.", None] * (N // 2),
    }
    verify_reports(made(tmp_path / "toy", texts=texts))
    verify_reports(made(tmp_path / "silent"))
