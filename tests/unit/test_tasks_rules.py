"""Label rules against visit tables made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import CohortError, UnknownNameError
from benchmark.tasks import TASKS, get_task, labels_for
from benchmark.tracks import SOURCES, TRACKS, get_track


def visits(**people: list[tuple[int, str | None]]) -> pd.DataFrame:
    """Person -> (month, diagnosis) pairs; month 0 is the index visit."""
    rows = [
        {
            "participant_id": who,
            "session_id": f"ses-M{month:03d}",
            "visit_months": month,
            "is_index": month == 0,
            "diagnosis": diagnosis,
        }
        for who, seen in people.items()
        for month, diagnosis in seen
    ]
    return pd.DataFrame(rows)


def conversion(*seen: tuple[int, str | None]) -> float:
    return float(labels_for(get_task("conversion"), visits(a=list(seen))).values[0])


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(0, "MCI"), (36, "AD")], 1.0),
        ([(0, "MCI"), (12, "AD")], 1.0),
        ([(0, "MCI"), (36, "MCI")], 0.0),
        ([(0, "MCI"), (36, "CN")], 0.0),
        ([(0, "MCI"), (36, "MCI"), (48, "AD")], 0.0),
        ([(0, "MCI"), (37, "MCI"), (48, "AD")], 0.0),
        ([(0, "MCI"), (12, "AD"), (36, "MCI"), (48, "CN")], 1.0),  # conversion is not undone
        ([(0, "MCI"), (24, "MCI")], np.nan),  # lost
        ([(0, "MCI"), (24, "MCI"), (48, "AD")], np.nan),  # converted at an unknown time
        ([(0, "MCI"), (48, "AD"), (60, "MCI")], np.nan),
        ([(0, "MCI"), (36, None)], np.nan),  # seen, but not diagnosed
        ([(0, "MCI")], np.nan),
        ([(0, "CN"), (36, "AD")], np.nan),
        ([(0, "AD"), (36, "AD")], np.nan),
        ([(0, None), (36, "AD")], np.nan),
    ],
)
def test_conversion(seen: list, expected: float) -> None:
    np.testing.assert_equal(conversion(*seen), expected)
    np.testing.assert_equal(conversion(*reversed(seen)), expected)


def test_exclusions_are_counted_by_reason() -> None:
    table = visits(
        a=[(0, "MCI"), (24, "MCI")], b=[(0, "MCI")], c=[(0, "CN")], d=[(0, "MCI"), (36, "AD")]
    )
    labels = labels_for(get_task("conversion"), table)
    assert labels.excluded == {"censored before 36 months": 2, "not MCI at baseline": 1}
    np.testing.assert_array_equal(labels.mask, [False, False, False, True])


def test_people_do_not_mix_and_rows_may_come_in_any_order() -> None:
    table = visits(
        a=[(0, "MCI"), (36, "AD")], b=[(0, "MCI"), (36, "MCI")], c=[(0, "CN")], d=[(0, "MCI")]
    )
    rng = np.random.default_rng(0)
    for _ in range(5):
        mixed = table.iloc[rng.permutation(len(table))].set_axis(rng.permutation(len(table)))
        who = mixed.loc[mixed["is_index"], "participant_id"]
        got = dict(zip(who, labels_for(get_task("conversion"), mixed).values, strict=True))
        np.testing.assert_equal(got, {"a": 1.0, "b": 0.0, "c": np.nan, "d": np.nan})


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("dx3", {"CN": 0, "MCI": 1, "AD": 2}),
        ("ad_cn", {"CN": 0, "AD": 1}),
        ("mci_cn", {"CN": 0, "MCI": 1}),
        ("ad_mci", {"MCI": 0, "AD": 1}),
        ("pd_hc", {"HC": 0, "PD": 1}),
    ],
)
def test_diagnoses_follow_the_class_order(task: str, expected: dict[str, int]) -> None:
    every = ["CN", "MCI", "AD", "PD", "HC", None]
    labels = labels_for(get_task(task), visits(**{f"p{i}": [(0, d)] for i, d in enumerate(every)}))
    np.testing.assert_equal(labels.values, [expected.get(d, np.nan) for d in every])
    assert get_task(task).classes == tuple(expected)
    assert labels.excluded["diagnosis missing"] == 1


def test_brain_age_is_asked_of_the_healthy_only() -> None:
    table = visits(a=[(0, "CN")], b=[(0, "HC")], c=[(0, "MCI")], d=[(0, "CN")])
    table["age_years"] = pd.array([70.5, 61.0, 80.0, None], dtype="Float64")
    labels = labels_for(get_task("brain_age"), table)
    np.testing.assert_equal(labels.values, [70.5, 61.0, np.nan, np.nan])
    assert labels.excluded == {"age missing": 1, "not healthy": 1}


def test_impaired_is_stated_or_read_from_the_rating() -> None:
    table = visits(a=[(0, None)], b=[(0, None)], c=[(0, None)])
    rated = labels_for(get_task("impaired"), table.assign(cdr_global=[0.0, 0.5, np.nan]))
    np.testing.assert_equal(rated.values, [0.0, 1.0, np.nan])
    stated = labels_for(get_task("impaired"), table.assign(impaired=[1, 0, None], cdr_global=0.0))
    np.testing.assert_equal(stated.values, [1.0, 0.0, np.nan])


@pytest.mark.parametrize(
    ("task", "dropped"),
    [
        ("dx3", "diagnosis"),
        ("conversion", "diagnosis"),
        ("conversion", "visit_months"),
        ("brain_age", "age_years"),
        ("impaired", "cdr_global"),
        ("dx3", "is_index"),
    ],
)
def test_a_missing_column_is_named(task: str, dropped: str) -> None:
    table = visits(a=[(0, "CN")]).drop(columns=dropped, errors="ignore")
    with pytest.raises(CohortError, match=rf"{task}.*needs the column '{dropped}'.*list tasks"):
        labels_for(get_task(task), table)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown task 'dx'.*'dx3'.*neurodx list tasks"):
        get_task("dx")
    with pytest.raises(UnknownNameError, match=r"unknown track 't1w\+repor'.*'t1w\+report'"):
        get_track("t1w+repor")


def test_tasks_and_tracks_are_consistent() -> None:
    for task in TASKS.values():
        assert task.primary_metric in task.metrics
        assert "cdr_global" in task.forbidden
        assert task.forbidden_sources <= set(SOURCES)
        assert (task.kind == "classification") == bool(task.classes)
    assert {source for track in TRACKS.values() for source in track} == set(SOURCES)
    with_mmse = {name for name, sources in TRACKS.items() if "mmse" in sources}
    assert with_mmse == {name for name in TRACKS if "mmse" in name}
