"""The rule of the splits: strata, balance, protocols and their refusals."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from visit_tables import store, visit_table

from benchmark.errors import SplitError, UnknownNameError
from benchmark.splitting import (
    FEW_LABEL_PERCENTS,
    Split,
    make_split,
    people_of,
    people_sha256,
    split_people,
)


def _split(protocol: str, seed: int = 0, n: int = 72, **keywords: int) -> Split:
    other = "other" if protocol == "external" else ""
    return split_people(people_of(visit_table(n, **keywords)), "toy", protocol, seed, other)


def test_strata_are_read_from_index_visits_and_follow_up() -> None:
    people = people_of(visit_table(6)).set_index("participant_id")
    assert people["class"].tolist() == ["CN", "MCI", "AD", "CN", "MCI", "MCI"]
    assert people["outcome"].tolist() == ["", "pMCI", "", "", "sMCI", ""]
    assert people.loc["sub-0001", "age_band"] == "060"
    assert people.loc["sub-0000", "unit"] == "person:sub-0000"


def test_without_diagnosis_the_class_is_the_stated_impairment() -> None:
    visits = visit_table(3).drop(columns="diagnosis").query("is_index").copy()
    visits["impaired"] = [1.0, 0.0, np.nan]
    assert people_of(visits)["class"].tolist() == ["impaired", "control", ""]


@pytest.mark.parametrize("months", [(), (24,)])
def test_without_follow_up_or_conversion_nobody_has_an_outcome_of_pmci(months) -> None:
    visits = visit_table(12).query("is_index")
    later = [visits.assign(visit_months=m, is_index=False) for m in months]
    assert set(people_of(pd.concat([visits, *later]))["outcome"]) <= {""}


def test_age_noise_below_rounding_moves_nobody() -> None:
    visits = visit_table(60)
    noisy = visits.assign(age_years=visits["age_years"] - 1e-9)  # 70 becomes 69.999999999
    assert people_sha256(people_of(noisy)) == people_sha256(people_of(visits))


@pytest.mark.parametrize(("protocol", "n_folds"), [("3fold", 3), ("5fold", 5)])
def test_classes_and_sizes_differ_by_one_at_most(protocol: str, n_folds: int) -> None:
    people = people_of(visit_table(97))
    split = split_people(people, "toy", protocol, 3)
    tests = split.table.loc[split.table["part"] == "test"].merge(people)
    assert split.n_folds == n_folds
    strata = pd.crosstab(tests["class"] + tests["outcome"], tests["fold"]).to_numpy()
    sizes = tests["fold"].value_counts().to_numpy()
    assert (np.ptp(strata, axis=1) <= 1).all()
    assert np.ptp(sizes) <= 1


def test_sex_and_site_are_balanced_far_better_than_by_chance() -> None:
    people = people_of(visit_table(300))
    split = split_people(people, "toy", "5fold", 0)
    tests = split.table.loc[split.table["part"] == "test"].merge(people)
    for column in ("sex", "site_id"):
        counts = pd.crosstab(tests["fold"], tests[column])
        assert np.ptp(counts.to_numpy(), axis=0).max() <= 4, counts  # chance: about 15


@pytest.mark.parametrize("protocol", ["3fold", "5fold", "leave-site-out"])
def test_inner_validation_is_15_to_20_percent_with_every_class(protocol: str) -> None:
    people = people_of(visit_table(120)).set_index("participant_id")
    split = _split(protocol, n=120)
    for k in range(split.n_folds):
        fold = split.fold(k)
        share = len(fold.validation) / (len(fold.validation) + len(fold.train))
        assert 0.15 <= share <= 0.20
        assert set(people.loc[list(fold.validation), "class"]) == {"CN", "MCI", "AD"}
        assert {"pMCI", "sMCI"} <= set(people.loc[list(fold.validation), "outcome"])


def test_repeats_are_different_divisions_not_renamed_ones() -> None:
    split = _split("5x5fold", n=90)
    assert (split.n_repeats, split.n_folds) == (5, 5)
    tests = split.table.loc[split.table["part"] == "test"]
    fold_of = tests.pivot_table(index="participant_id", columns="repeat", values="fold").to_numpy()
    upper = np.triu_indices(len(fold_of), 1)
    together = [(fold_of[:, None, r] == fold_of[None, :, r])[upper] for r in range(5)]
    for other in together[1:]:  # 1 = the same division, 0.2 = independent ones
        assert np.mean(together[0] & other) / np.mean(together[0]) < 0.35


def test_another_seed_gives_other_folds_and_the_same_seed_the_same() -> None:
    assert _split("3fold", 1).content_hash == _split("3fold", 1).content_hash
    assert _split("3fold", 1).content_hash != _split("3fold", 2).content_hash


def test_folds_are_the_same_on_every_machine() -> None:
    """Locks the rule: a change moves people, and needs a new rule version."""
    assert _split("3fold").content_hash[:16] == "e002c54785e7d4d0"
    assert _split("few-label").content_hash[:16] == "80ac3745cb51166d"


def test_leave_site_out_tests_each_site_alone() -> None:
    people = people_of(visit_table(60)).set_index("participant_id")
    split = _split("leave-site-out", n=60)
    assert split.n_folds == 3
    for k, site in enumerate(["site-0", "site-1", "site-2"]):
        assert set(people.loc[list(split.fold(k).test), "site_id"]) == {site}
        assert site not in set(people.loc[list(split.fold(k).train), "site_id"])


def test_leave_site_out_needs_two_sites() -> None:
    visits = visit_table(30).assign(site_id="one")
    with pytest.raises(SplitError, match=r"at least 2 sites, got 1 \(one\)"):
        split_people(people_of(visits), "toy", "leave-site-out", 0)


def test_external_lists_everybody_as_test_and_names_the_train_cohort() -> None:
    split = _split("external", pretrain=5)
    assert split.train_cohort == "other"
    assert split.fold(0).train == split.fold(0).validation == ()
    assert len(split.fold(0).test) == 67


@pytest.mark.parametrize("train_cohort", ["", "toy"])
def test_external_needs_another_cohort(train_cohort: str) -> None:
    with pytest.raises(SplitError, match="--train-cohort NAME"):
        split_people(people_of(visit_table(30)), "toy", "external", 0, train_cohort)


def test_few_label_subsets_are_nested_and_of_the_stated_size() -> None:
    split = _split("few-label", n=300)
    whole = split.fold(0)
    smaller: set[str] = set()
    for percent in FEW_LABEL_PERCENTS:
        fold = split.few_label_fold(0, percent)
        assert len(fold.train) == int(np.ceil(percent * len(whole.train) / 100))
        assert smaller <= set(fold.train)
        assert (fold.validation, fold.test) == (whole.validation, whole.test)
        smaller = set(fold.train)
    assert split.few_label_fold(0, 100) == whole


def test_few_label_has_the_folds_of_3fold() -> None:
    assert [_split("few-label").fold(k) for k in range(3)] == [
        _split("3fold").fold(k) for k in range(3)
    ]


def test_few_label_subsets_keep_the_mix_of_classes() -> None:
    people = people_of(visit_table(600)).set_index("participant_id")
    split = _split("few-label", n=600)
    train = people.loc[list(split.few_label_fold(1, 25).train), "class"]
    share = train.value_counts(normalize=True)
    assert share["CN"] == pytest.approx(2 / 6, abs=0.03)
    assert share["AD"] == pytest.approx(1 / 6, abs=0.03)


def test_few_label_points_with_fewer_than_two_people_in_a_class_are_omitted_visibly() -> None:
    people = people_of(visit_table(300)).set_index("participant_id")
    split = _split("few-label", n=300)
    for percent in FEW_LABEL_PERCENTS:
        train = people.loc[list(split.few_label_fold(0, percent).train)]
        fewest = min((train["class"] == name).sum() for name in ("CN", "AD"))
        assert ((0, percent) in split.omitted("ad_cn")) == (fewest < 2)
    assert (0, 1) in split.omitted("conversion")
    assert (0, 100) not in split.omitted("conversion")


def test_a_percentage_that_was_not_drawn_is_refused() -> None:
    with pytest.raises(SplitError, match=r"percentage 7: expected one of 1, 5, 10, 25, 50, 100"):
        _split("few-label").few_label_fold(0, 7)
    with pytest.raises(SplitError, match="no subsets of training people"):
        _split("3fold").few_label_fold(0, 10)


def test_a_class_too_small_for_the_folds_is_refused_with_the_remedy() -> None:
    visits = visit_table(60)
    visits = visits.loc[~visits["diagnosis"].eq("AD") | visits["participant_id"].lt("sub-0015")]
    visits = visits.loc[visits["participant_id"].isin(visits.query("is_index").participant_id)]
    with pytest.raises(SplitError) as refusal:
        split_people(people_of(visits), "toy", "5fold", 0)
    message = str(refusal.value)
    assert "toy/5fold: fold" in message
    assert "nobody of class 'AD' in part 'test'; the cohort has 3 such people" in message
    assert "--protocol 3fold" in message


def test_pretraining_people_are_in_no_fold() -> None:
    split = _split("3fold", pretrain=12)
    assert set(split.table["participant_id"]) == {f"sub-{i:04d}" for i in range(60)}


def test_nobody_to_split_is_refused() -> None:
    with pytest.raises(SplitError, match="nobody in part 'evaluate'"):
        _split("3fold", n=6, pretrain=6)


def test_unknown_protocol_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean '5fold'"):
        _split("5-fold")


def test_unknown_fold_is_refused() -> None:
    with pytest.raises(SplitError, match="no fold 3 of repeat 0: expected folds 0 to 2"):
        _split("3fold").fold(3)


def test_manifest_counts_are_those_of_the_table(tmp_path) -> None:
    cohort = store(tmp_path / "toy", visit_table(72))
    split = make_split(cohort, "3fold", 0)
    counts = {(c["fold"], c["part"]): c for c in split.manifest["counts"]}
    for k in range(3):
        fold = split.fold(k)
        assert counts[k, "train"]["n"] == len(fold.train)
        assert sum(counts[k, "test"]["class"].values()) == len(fold.test)
    assert split.manifest["n_people"] == 72
    assert split.manifest["sha256"] == hashlib.sha256(split.csv().encode()).hexdigest()
    assert split.manifest["rule"]["parameters"]["folds"] == 3
