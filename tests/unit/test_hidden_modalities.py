"""What is hidden is as if it had never been measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import TINY, write_cohort

from benchmark.errors import SampleError
from benchmark.runs.job import Workspace
from benchmark.samples import LazyRows, Samples, build_samples
from benchmark.samples.align import align_samples
from benchmark.samples.hide import hide
from benchmark.store import Cohort, CohortWriter
from benchmark.tracks import get_track

ARRAYS = {"t1w": ("t1w", "segmentations"), "fmri": ("fmri",), "genetic": ("snps",)}
TABLES = {"t1w": "regions", "biomarker": "biomarkers", "report": "reports"}
COLUMNS = {
    "t1w": ["t1w_row"],
    "fmri": ["fmri_row"],
    "genetic": ["snps_row", "apoe_e4"],
    "clinical": ["family_history"],
}
MODALITIES = ("biomarker", "clinical", "fmri", "genetic", "report", "t1w")


def without(cohort: Cohort, modality: str, folder: Path) -> Cohort:
    """The cohort as if a modality had never been measured."""
    writer = CohortWriter(folder, {"without": modality})
    visits = cohort.visits.drop(columns=COLUMNS.get(modality, []))
    writer.table("participants", visits)
    for name in {a for names in ARRAYS.values() for a in names} - {*ARRAYS.get(modality, ())}:
        values = cohort.array(name)
        array = writer.array(name, values.shape, str(values.dtype))
        array[:] = values
        array.flush()
    for name in {*TABLES.values()} - {TABLES.get(modality, "")}:
        writer.table(name, cohort.table(name))
    card = {k: cohort.card[k] for k in ("title", "source", "licence", "preparation", "synthetic")}
    others = {k: cohort.card[k] for k in ("spacing_mm", "snp_names")}
    writer.finish(card | others | {"name": folder.name})
    return Cohort(folder)


def everybody(cohort: Cohort, people: list[str]) -> Samples:
    return build_samples(cohort, people, get_track("all"), (), with_labels=False)


@pytest.fixture
def people(tiny_workspace: Workspace) -> list[str]:
    index = Cohort(tiny_workspace.data / TINY).index_visits
    return list(index.loc[index["part"] == "evaluate", "participant_id"])


@pytest.fixture
def samples(tiny_workspace: Workspace, people: list[str]) -> Samples:
    return everybody(Cohort(tiny_workspace.data / TINY), people)


def assert_same(one: Samples, two: Samples) -> None:
    assert one.tables.keys() == two.tables.keys()
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, two.tables[name], check_exact=True)
    assert one.arrays.keys() == two.arrays.keys()
    for name in one.arrays:
        np.testing.assert_array_equal(one.array(name), two.array(name))
        np.testing.assert_array_equal(one.arrays[name].available, two.arrays[name].available)
    assert {n: list(t) for n, t in one.texts.items()} == {n: list(t) for n, t in two.texts.items()}
    assert one.available.keys() == two.available.keys()
    for name, mask in one.available.items():
        np.testing.assert_array_equal(mask, two.available[name])
    assert (one.n, one.names, one.spacing_mm) == (two.n, two.names, two.spacing_mm)
    np.testing.assert_array_equal(one.cohort, two.cohort)


@pytest.mark.parametrize("modality", MODALITIES)
def test_hidden_from_all_is_a_cohort_that_lacks_it(
    tiny_workspace: Workspace, samples: Samples, people: list[str], tmp_path: Path, modality: str
) -> None:
    cohort = without(Cohort(tiny_workspace.data / TINY), modality, tmp_path / "poorer")
    never = align_samples(everybody(cohort, people), like=samples)
    assert not never.has(modality).any()
    assert samples.has(modality).any()
    assert_same(hide(samples, {modality: np.ones(samples.n, dtype=bool)}), never)


@pytest.mark.parametrize("modality", MODALITIES)
def test_hidden_from_some_changes_nothing_for_the_others(samples: Samples, modality: str) -> None:
    gone = np.arange(samples.n) % 3 == 0
    less = hide(samples, {modality: gone})
    whole = hide(samples, {modality: np.ones(samples.n, dtype=bool)})
    assert_same(less.subset(~gone), samples.subset(~gone))
    assert_same(less.subset(gone), whole.subset(gone))


def test_several_are_hidden_one_after_the_other_or_at_once(samples: Samples) -> None:
    gone = {"t1w": np.arange(samples.n) % 2 == 0, "report": np.arange(samples.n) % 3 == 0}
    once = hide(samples, gone)
    again = hide(hide(samples, {"report": gone["report"]}), {"t1w": gone["t1w"]})
    assert_same(once, again)
    assert_same(hide(samples, {}), samples)


def test_what_was_hidden_cannot_be_read_from_disk(samples: Samples, tmp_path: Path) -> None:
    less = hide(samples, {m: np.ones(samples.n, dtype=bool) for m in ("t1w", "genetic")})
    less.write(tmp_path)
    assert np.load(tmp_path / "array_t1w.npy").shape[0] == 0
    assert_same(Samples.read(tmp_path), less)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_contents_of_what_is_hidden_are_gone(
    tiny_workspace: Workspace, people: list[str], tmp_path: Path, modality: str
) -> None:
    """Two cohorts whose measurements all differ look the same once these are hidden."""
    visits = Cohort(tiny_workspace.data / TINY).visits
    other = visits.assign(family_history=1 - visits["family_history"])
    rows = [c for c in visits if c.endswith("_row")]
    changed = write_cohort(tmp_path / TINY, other.drop(columns=rows), seed=99)
    both = [everybody(c, people) for c in (Cohort(tiny_workspace.data / TINY), changed)]
    gone = {m: np.ones(len(people), dtype=bool) for m in both[0].available}
    with pytest.raises(AssertionError):
        assert_same(*(hide(s, {m: g for m, g in gone.items() if m != "t1w"}) for s in both))
    hidden = [hide(s, gone) for s in both]
    for table in ("biomarker", "t1w", "clinical"):
        assert hidden[0].tables[table].isna().all(axis=None)
    pd.testing.assert_frame_equal(*(h.tables.get(modality, pd.DataFrame()) for h in hidden))
    for h in hidden:
        assert not any(rows.available.any() for rows in h.arrays.values())
        assert set(h.reports()) == {""}
    np.testing.assert_array_equal(hidden[0].volumes(), hidden[1].volumes())


def test_flags_and_counts_become_missing_numbers() -> None:
    table = pd.DataFrame({"flag": [True, False], "count": [1, 2], "name": ["a", "b"]})
    here = np.ones(2, dtype=bool)
    samples = Samples(n=2, tables={"biomarker": table}, available={"biomarker": here})
    less = hide(samples, {"biomarker": np.array([True, False])}).tables["biomarker"]
    assert [str(t) for t in less.dtypes] == ["float64", "float64", str(table["name"].dtype)]
    assert less.iloc[0].isna().all()
    assert less.iloc[1].tolist() == [0.0, 2.0, "b"]
    assert table["flag"].tolist() == [True, False], "the original stays"


def test_a_modality_that_is_not_open_is_named(samples: Samples) -> None:
    with pytest.raises(SampleError, match=r"'pet' is not open.*biomarker, clinical, fmri"):
        hide(samples, {"pet": np.ones(samples.n, dtype=bool)})


def test_rows_that_are_taken_away_read_as_missing() -> None:
    rows = LazyRows([np.arange(6.0).reshape(3, 2)], np.zeros(3, dtype=int), np.array([2, -1, 0]))
    less = rows.without(np.array([True, False, False]))
    assert less.available.tolist() == [False, False, True]
    assert less.take(np.arange(3)).tolist() == [[0, 0], [0, 0], [0, 1]]
    assert rows.available.tolist() == [True, False, True]
