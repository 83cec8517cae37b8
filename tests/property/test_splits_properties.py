"""Properties of every split, for any cohort that hypothesis can think of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmark.errors import SplitError
from benchmark.splitting import Split, people_of, split_people

DEALT = st.sampled_from(["3fold", "5fold", "few-label"])
ROOMY = settings(max_examples=10, deadline=None)


@st.composite
def visit_tables(draw: st.DrawFn) -> pd.DataFrame:
    """6 to 60 people with any mix of sex, age, site, family and part; few classes."""
    n = draw(st.integers(20, 60))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=n, max_size=n))

    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in draw(st.permutations(range(n)))],
            "session_id": "ses-M000",
            "visit_months": 0,
            "is_index": True,
            "site_id": column(st.sampled_from(["x", "y", "z"])),
            "family_id": column(st.sampled_from(["", "", "", "", "a", "b", "c"])),
            "part": column(st.sampled_from(["evaluate"] * 9 + ["pretrain"])),
            "age_years": column(st.floats(40, 95) | st.just(float("nan"))),
            "sex": column(st.sampled_from(["F", "M"])),
            "diagnosis": column(st.sampled_from(["CN", "CN", "CN", "AD", "AD"])),
        }
    )


def _split(visits: pd.DataFrame, protocol: str, seed: int = 0) -> Split:
    try:
        return split_people(people_of(visits), "toy", protocol, seed)
    except SplitError as error:
        assume("nobody of class" not in str(error))  # the only refusal that these tables may meet
        raise


@ROOMY
@given(visit_tables(), DEALT, st.integers(0, 9))
def test_everybody_is_tested_exactly_once_and_parts_are_disjoint(visits, protocol, seed) -> None:
    split = _split(visits, protocol, seed)
    everybody = set(visits.loc[visits["part"] == "evaluate", "participant_id"])
    tested: list[str] = []
    for k in range(split.n_folds):
        fold = split.fold(k)
        parts = [*fold.train, *fold.validation, *fold.test]
        assert len(parts) == len(set(parts))
        assert set(parts) == everybody
        tested += fold.test
    assert sorted(tested) == sorted(everybody)


@ROOMY
@given(visit_tables(), DEALT)
def test_families_stay_together(visits, protocol) -> None:
    split = _split(visits, protocol)
    rows = split.table.merge(visits[["participant_id", "family_id"]])
    related = rows.loc[rows["family_id"] != ""]
    parts = related.groupby(["fold", "family_id"])["part"].agg(set)
    assert all(len(found) == 1 for found in parts)


@ROOMY
@given(visit_tables(), DEALT, st.randoms(use_true_random=False))
def test_neither_row_order_nor_another_column_changes_a_fold(visits, protocol, random) -> None:
    split = _split(visits, protocol)
    order = list(range(len(visits)))
    random.shuffle(order)
    moved = visits.iloc[order].reset_index(drop=True).assign(mmse=30.0, further="x")
    moved = moved[sorted(moved.columns)]
    assert _split(moved, protocol).csv() == split.csv()
    assert dict(_split(moved, protocol).manifest) == dict(split.manifest)


@ROOMY
@given(visit_tables(), st.sampled_from([3, 5]))
def test_without_families_classes_differ_by_one_at_most(visits, n_folds) -> None:
    people = people_of(visits.assign(family_id=""))
    split = _split(visits.assign(family_id=""), f"{n_folds}fold")
    tests = split.table.loc[split.table["part"] == "test"].merge(people)
    counts = pd.crosstab(tests["class"], tests["fold"]).to_numpy()
    assert (np.ptp(counts, axis=1) <= 1).all()


@ROOMY
@given(visit_tables())
def test_few_label_subsets_are_nested(visits) -> None:
    split = _split(visits, "few-label")
    for k in range(split.n_folds):
        subsets = [set(split.few_label_fold(k, p).train) for p in (1, 5, 10, 25, 50, 100)]
        assert all(a <= b for a, b in pairwise(subsets))
        assert subsets[-1] == set(split.fold(k).train)
