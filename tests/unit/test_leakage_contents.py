"""Leaks in what else a store holds: series, measurements and reports; clean stores pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from visit_tables import CARD, visit_table

from benchmark.errors import LeakageError
from benchmark.leakage import verify_external_images, verify_reports, verify_split
from benchmark.leakage.contents import Content, contents_of, equal_contents
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
    named = "1 pairs share data across parts: sub-0012 = sub-0016 (equal fMRI series)"
    assert named in refused(cohort)


def test_one_persons_measurements_under_two_names(tmp_path: Path) -> None:
    values = measured()
    values[B] = values[A]
    values[[A, B], 0] = np.nan  # one was not measured: five are left, and head size
    said = refused(made(tmp_path / "toy", regions=values))
    assert "sub-0012 = sub-0016 (equal regional measurements)" in said


def test_of_many_with_one_series_each_who_leaks_is_named(tmp_path: Path) -> None:
    """Each is paired with the first alone; everybody else here is in one of the other folds."""
    values = series()
    cohort = made(tmp_path / "toy", series=values)
    tested = [sorted(make_split(cohort, "3fold", 0).fold(k).test) for k in range(3)]
    copies = [tested[0][0], *tested[0][1:3], *tested[1][:2]]
    values[[int(who[-4:]) for who in copies]] = values[0]
    first, *others = sorted({*copies, "sub-0000"})
    apart = [who for who in others if not any({who, first} <= set(ids) for ids in tested)]
    said = refused(made(tmp_path / "copies", series=values))
    assert apart
    assert f"{len(apart)} pairs share data" in said
    for who in apart:
        assert f"{first} = {who} (equal fMRI series)" in said


def test_missing_measurements_and_empty_series_are_nobodys(tmp_path: Path) -> None:
    """What was not measured is the same in everybody: zeros, one number, few numbers."""
    regions, empty = measured(8), series()
    regions[[A, B]] = np.nan
    regions[[A, B], :5] = 0.0
    regions[20:40] = 0.0
    empty[[A, B]] = 0.0
    empty[20:40] = 0.5
    clean = made(tmp_path / "toy", regions=regions, series=empty)
    verify_split(make_split(clean, "3fold", 0), clean)


def test_a_series_that_is_not_finite_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store refuses to be written with one, not to be read."""
    values = series()
    values[[A, B], 0, 0] = np.nan
    clean = made(tmp_path / "toy", series=series())
    monkeypatch.setattr(clean, "array", lambda name: values)
    assert len(contents_of(clean)) == N - 2


def test_measurements_of_other_regions_are_others(tmp_path: Path) -> None:
    """The same numbers under other names, as of two atlases, are another brain's."""
    values = measured()
    values[[A, B], 0] = np.nan
    values[B, 1:] = values[A, 1:]
    assert len({c.digest for c in contents_of(made(tmp_path / "a", regions=values))}) == N - 1
    values[B, 0], values[B, 1] = values[A, 1], np.nan
    assert len({c.digest for c in contents_of(made(tmp_path / "b", regions=values))}) == N


def test_three_thousand_equal_people_are_as_many_pairs() -> None:
    rows = [Content("fMRI series", "same", f"sub-{i:04d}") for i in range(3000)]
    found = equal_contents(rows)
    assert [(t.first, t.second) for t in found] == [
        ("sub-0000", f"sub-{i:04d}") for i in range(1, 3000)
    ]


def test_what_is_measured_is_read_once_per_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = made(tmp_path / "train", series=series())
    others = [made(tmp_path / f"other-{k}", series=series(k)) for k in (1, 2)]
    opened: list[str] = []
    monkeypatch.setattr(
        Cohort,
        "array",
        lambda self, name, read=Cohort.array: opened.append(self.name) or read(self, name),
    )
    for other in others:
        verify_external_images(other, train)
    verify_split(make_split(train, "3fold", 0), train)
    assert sorted(opened) == ["other-1", "other-2", "train"]


def test_an_external_person_with_the_series_or_measurements_of_a_training_person(
    tmp_path: Path,
) -> None:
    train = made(tmp_path / "train", series=series(), regions=measured())
    strangers = {"series": series(1), "regions": measured(seed=1)}
    verify_external_images(made(tmp_path / "clean", **strangers), train)
    for part, ours, kind in (
        ("series", series(), "equal fMRI series"),
        ("regions", measured(), "equal regional measurements"),
    ):
        theirs = strangers[part].copy()
        theirs[4] = ours[7]
        leak = made(tmp_path / f"leak-{part}", **{**strangers, part: theirs})
        with pytest.raises(
            LeakageError, match=rf"leak-{part}/sub-0004 = train/sub-0007 \({kind}\)"
        ):
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
        "text": ["Mother had dementia. MMSE was not done.", None] * (N // 2),
        "text_mmse": ["MMSE 27.", None] * (N // 2),
    }
    verify_reports(made(tmp_path / "toy", texts=texts))
    verify_reports(made(tmp_path / "silent"))
