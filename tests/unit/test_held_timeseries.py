"""ROI time series join the people of a held cohort: whose, how scaled, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from held_arrays import write_series

from benchmark.cohorts.held.arrays import HeldArray, SeriesRule
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.timeseries import read_timeseries

RNG = np.random.default_rng(5)
VISITS = pd.DataFrame(
    {
        "participant_id": ["sub-P1", "sub-P2", "sub-P2", "sub-P3"],
        "session_id": ["ses-1", "ses-1", "ses-2", "ses-1"],
        "is_index": [True, True, False, True],
    }
)


def read(folder: Path, problems: Problems | None = None, **rule: object) -> HeldArray:
    found = Problems() if problems is None else problems
    held = read_timeseries(SeriesRule(str(folder), **rule), folder, VISITS, found)
    if problems is None:
        assert not found.found, found.table().to_string()
        assert held is not None
    return held  # type: ignore[return-value]


def refused(folder: Path, **rule: object) -> pd.DataFrame:
    problems = Problems()
    read(folder, problems, **rule)
    assert problems.found
    return problems.table()


def test_series_are_scaled_and_belong_to_their_visits(tmp_path: Path) -> None:
    first, second, later = (5 + 3 * RNG.standard_normal((20, 3)) for _ in range(3))
    write_series(tmp_path, "sub-P2_ses-2", later)
    write_series(tmp_path, "sub-P-1", first)  # no session: the index visit
    write_series(tmp_path, "sub-P2_ses-1", second)
    write_series(tmp_path, "sub-P9", first)
    held = read(tmp_path)
    assert held.rows.to_numpy().tolist() == [
        ["sub-P1", "ses-1"],
        ["sub-P2", "ses-1"],
        ["sub-P2", "ses-2"],
    ]
    assert held.values.dtype == np.float16
    for series, raw in zip(held.values, (first, second, later), strict=True):
        expected = (raw - raw.mean(axis=0)) / np.sqrt(
            np.mean((raw - raw.mean(axis=0)) ** 2, axis=0)
        )
        np.testing.assert_allclose(series, expected, atol=2e-3)
    assert held.left_out == {"time series of nobody in the tables": 1}
    assert held.facts["fmri"]["region_names"] == ["A", "B", "C"]
    assert len(held.files) == 3, "of nobody else"


def test_a_region_without_signal_is_zeros_and_a_censored_frame_is_out(tmp_path: Path) -> None:
    values = RNG.standard_normal((21, 3))
    values[:, 0] = np.nan  # not covered
    values[:, 1] = 7.1  # does not change
    values[4] = np.nan  # censored
    write_series(tmp_path, "sub-P1", values)
    write_series(tmp_path, "sub-P3", RNG.standard_normal((20, 3)))
    held = read(tmp_path)
    assert held.values.shape == (2, 20, 3)
    assert not held.values[0, :, :2].any()
    kept = np.delete(values[:, 2], 4)
    np.testing.assert_allclose(held.values[0, :, 2], (kept - kept.mean()) / kept.std(), atol=2e-3)
    facts = held.facts["fmri"]
    assert (facts["regions_without_signal"], facts["frames_censored"]) == (2, 1)


def test_lengths_are_cut_on_demand_alone(tmp_path: Path) -> None:
    long, short = RNG.standard_normal((30, 3)), RNG.standard_normal((12, 3))
    write_series(tmp_path, "sub-P1", long)
    write_series(tmp_path, "sub-P2_ses-1", long[:20])
    write_series(tmp_path, "sub-P3", short)
    rules = refused(tmp_path)["rule"]
    assert "1 of 12, 1 of 20, 1 of 30 frames; say `frames`" in rules.iloc[0]
    held = read(tmp_path, frames=20)
    assert held.rows["participant_id"].tolist() == ["sub-P1", "sub-P2"]
    np.testing.assert_array_equal(held.values[0], held.values[1])  # scaled after the cut
    assert held.left_out == {"time series of fewer than 20 frames": 1}
    assert held.facts["fmri"]["frames_read"] == [20, 30]
    assert held.facts["fmri"]["scans_cut"] == 1
    assert "no series is as long" in refused(tmp_path, frames=31)["rule"].iloc[0]


def test_regions_in_another_order_are_the_same_and_others_are_not(tmp_path: Path) -> None:
    values = RNG.standard_normal((20, 3))
    write_series(tmp_path, "sub-P1", values)
    write_series(tmp_path, "sub-P3", values[:, ::-1], ("C", "B", "A"))
    held = read(tmp_path)
    np.testing.assert_array_equal(held.values[0], held.values[1])
    write_series(tmp_path, "sub-P2", values, ("A", "B", "X"))
    found = refused(tmp_path)
    assert found["file"].tolist() == [
        "sub-P2/func/sub-P2_task-rest_seg-Tiny_stat-mean_timeseries.tsv"
    ]
    assert "differing in C, X" in found["rule"].iloc[0]


def test_the_first_run_is_taken(tmp_path: Path) -> None:
    runs = {run: RNG.standard_normal((20, 3)) for run in (10, 2)}
    for run, values in runs.items():
        write_series(tmp_path, "sub-P1", values, entities=f"task-rest_run-{run}")
    held = read(tmp_path)
    expected = (runs[2] - runs[2].mean(axis=0)) / runs[2].std(axis=0)
    np.testing.assert_allclose(held.values[0], expected, atol=2e-3)
    assert held.left_out == {"further time series of the same visit": 1}


def test_plain_arrays_and_tables_without_names(tmp_path: Path) -> None:
    values = RNG.standard_normal((20, 4))
    np.save(tmp_path / "sub-P1.npy", values)
    np.savetxt(tmp_path / "sub-P3.csv", values, delimiter=",")
    held = read(tmp_path, files="sub-*")
    assert held.rows["participant_id"].tolist() == ["sub-P1", "sub-P3"]
    np.testing.assert_array_equal(held.values[0], held.values[1])
    assert held.facts["fmri"]["region_names"] == []


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    holes = RNG.standard_normal((20, 3))
    holes[3, 1] = np.nan
    write_series(tmp_path, "sub-P1", holes)
    bad = write_series(tmp_path, "sub-P3", RNG.standard_normal((20, 3)))
    lines = bad.read_text().splitlines()
    lines[6] = "1.0\tx\t2.0"
    bad.write_text("\n".join(lines))
    np.save(tmp_path / "sub-P2_ses-2_task-rest_seg-Tiny_stat-mean_timeseries.npy", np.ones(5))
    found = refused(tmp_path)
    assert set(found[["column", "line"]].itertuples(index=False, name=None)) == {
        ("B", 5),
        ("", 0),
    }
    text = " ".join(found["rule"])
    assert "line 7, column 2: 'x' is no number" in text
    assert "expected numbers of shape (T, R), got float64 (5,)" in text


def test_what_is_meant_must_be_plain(tmp_path: Path) -> None:
    values = RNG.standard_normal((20, 3))
    assert "is missing" in refused(tmp_path / "none")["rule"].iloc[0]
    assert "no file sub-*timeseries.*" in refused(tmp_path)["rule"].iloc[0]
    write_series(tmp_path, "sub-P1", values, entities="task-rest_seg-Tiny")
    write_series(tmp_path, "sub-P1", values, entities="task-rest_seg-Other")
    assert "differ in `seg`: Other, Tiny" in refused(tmp_path)["rule"].iloc[0]
    assert len(read(tmp_path, files="*seg-Tiny*").values) == 1
    other = tmp_path / "other"
    write_series(other, "sub-X1", values)
    assert "got sub-X1 ses-M000; expected sub-P1 ses-1" in refused(other)["rule"].iloc[0]
    still = tmp_path / "still"
    write_series(still, "sub-P1", np.ones((20, 3)))
    assert "no region varies" in refused(still)["rule"].iloc[0]


def test_confounds_are_no_time_series(tmp_path: Path) -> None:
    values = RNG.standard_normal((20, 3))
    write_series(tmp_path, "sub-P1", values)
    write_series(tmp_path, "sub-P1", values, entities="task-rest_desc-confounds")
    assert len(read(tmp_path).values) == 1
