"""Each kind of leak, planted, is refused with the participants named; a clean cohort passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from visit_tables import altered, store, visit_table, with_images

from benchmark.errors import LeakageError
from benchmark.leakage import verify_external_images, verify_split
from benchmark.splitting import PROTOCOLS, Split, make_split
from benchmark.store import Cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    visits, volumes = with_images(visit_table(72, families=4, pretrain=12))
    return store(tmp_path_factory.mktemp("data") / "toy", visits, volumes)


@pytest.fixture(scope="module")
def split(cohort: Cohort) -> Split:
    return make_split(cohort, "3fold", 0)


def _refusal(split: Split, cohort: Cohort, **keywords: tuple[str, ...]) -> str:
    with pytest.raises(LeakageError) as refusal:
        verify_split(split, cohort, **keywords)
    return str(refusal.value)


def _moved(split: Split, who: str, fold: int, part: str) -> pd.DataFrame:
    table = split.table.copy()
    here = (table["participant_id"] == who) & (table["fold"] == fold)
    assert here.any()
    assert not table.loc[here, "part"].eq(part).any()
    table.loc[here, "part"] = part
    return table


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_clean_cohort_passes(cohort: Cohort, protocol: str) -> None:
    other = "other" if protocol == "external" else ""
    verify_split(make_split(cohort, protocol, 0, other), cohort, pretraining_ids=["sub-0071"])


@pytest.mark.parametrize(
    ("part", "too"), [("test", "train"), ("validation", "train"), ("test", "validation")]
)
def test_one_person_in_two_parts(cohort: Cohort, split: Split, part: str, too: str) -> None:
    """Validation people choose settings: they are the tuning set."""
    who = getattr(split.fold(1), part)[0]
    row = {"repeat": 0, "fold": 1, "participant_id": who, "part": too}
    table = pd.concat([split.table, pd.DataFrame([row])], ignore_index=True)
    message = _refusal(altered(split, table), cohort)
    assert f"once: {who} ({' and '.join(sorted((part, too)))} of fold 1)" in message
    assert "neurodx splits make --cohort toy --protocol 3fold" in message


def test_a_family_apart(cohort: Cohort, split: Split) -> None:
    fold = 0 if "sub-0000" not in split.fold(0).test else 1
    now = "validation" if "sub-0000" in split.fold(fold).train else "train"
    message = _refusal(altered(split, _moved(split, "sub-0000", fold, now)), cohort)
    assert f"fam-0 = sub-0000 + sub-0001 (fold {fold})" in message


def test_a_sibling_in_pretraining(tmp_path: Path) -> None:
    visits = visit_table(72, families=4, pretrain=12)
    visits.loc[visits["participant_id"].isin(["sub-0020", "sub-0070"]), "family_id"] = "fam-x"
    torn = store(tmp_path / "toy", visits)
    message = _refusal(make_split(torn, "3fold", 0), torn)
    assert "3 times a family is in two parts of a fold: " in message
    for fold in range(3):
        assert f"fam-x = sub-0020 + sub-0070 (fold {fold}, pretraining)" in message


def test_a_sibling_whom_a_pretraining_recorded(cohort: Cohort, split: Split) -> None:
    message = _refusal(split, cohort, pretraining_ids=("sub-0000",))
    assert "fam-0 = sub-0000 + sub-0001 (fold 2, pretraining)" in message


def test_pretraining_people_in_a_fold(cohort: Cohort, split: Split) -> None:
    message = _refusal(split, cohort, pretraining_ids=("sub-0003", "sub-0007", "sub-0071"))
    assert "2 people are in pretraining and in the folds: sub-0003, sub-0007" in message


def test_a_person_of_part_pretrain_in_a_fold(cohort: Cohort, split: Split) -> None:
    table = split.table.replace({"participant_id": {"sub-0010": "sub-0071"}})
    message = _refusal(altered(split, table), cohort)
    assert "1 people are in pretraining and in the folds: sub-0071" in message
    assert "in no part: sub-0010" in message


def test_a_person_whom_the_cohort_does_not_know(cohort: Cohort, split: Split) -> None:
    table = split.table.replace({"participant_id": {"sub-0010": "sub-9999"}})
    assert "1 people are unknown to the cohort: sub-9999" in _refusal(altered(split, table), cohort)


def test_a_person_left_out(cohort: Cohort, split: Split) -> None:
    table = split.table.loc[split.table["participant_id"] != "sub-0010"]
    message = _refusal(altered(split, table), cohort)
    assert "fold 2 of repeat 0: 1 people of the cohort are in no part: sub-0010" in message


def test_a_person_never_tested(cohort: Cohort, split: Split) -> None:
    fold = next(k for k in range(3) if "sub-0010" in split.fold(k).test)
    message = _refusal(altered(split, _moved(split, "sub-0010", fold, "train")), cohort)
    assert "repeat 0: 1 people are not tested exactly once: sub-0010" in message


@pytest.mark.parametrize("piece", ["ses-M012", "slice-040", "ses-M000_slice-040"])
def test_a_split_by_visit_or_slice(cohort: Cohort, split: Split, piece: str) -> None:
    table = split.table.replace({"participant_id": {"sub-0010": f"sub-0010_{piece}"}})
    message = _refusal(altered(split, table), cohort)
    assert f"visits or slices, expected participants: sub-0010_{piece} (of sub-0010)" in message


def test_a_split_with_a_column_of_slices(cohort: Cohort, split: Split) -> None:
    message = _refusal(altered(split, split.table.assign(slice=3)), cohort)
    assert "it has the columns slice: rows must be participants" in message


def test_a_split_that_differs_from_its_manifest(cohort: Cohort, split: Split) -> None:
    swapped = Split("toy", "3fold", 0, altered(split, split.table).table[::-1], split.manifest)
    assert "differs from its manifest: expected sha256" in _refusal(swapped, cohort)


def test_a_split_drawn_until_it_looked_good(cohort: Cohort, split: Split) -> None:
    """Folds of another seed under seed 0, with a manifest that fits them."""
    other = make_split(cohort, "3fold", 5)
    manifest = {**other.manifest, "seed": 0}
    message = _refusal(Split("toy", "3fold", 0, other.table, manifest), cohort)
    assert "the rule 'strata-blocks' with seed 0 gives other folds" in message


def test_a_cohort_that_changed_since_the_split(tmp_path: Path, split: Split) -> None:
    visits = visit_table(72, families=4, pretrain=12)
    visits.loc[visits["participant_id"] == "sub-0000", "diagnosis"] = "AD"
    message = _refusal(split, store(tmp_path / "toy", visits))
    assert "people, classes or strata are not those that were split" in message


def test_an_index_visit_after_the_label(tmp_path: Path) -> None:
    visits = visit_table(60)
    first = visits.index[visits["is_index"] & visits["participant_id"].eq("sub-0004")]
    visits.loc[first, "visit_months"] = 12
    changed = store(tmp_path / "toy", visits)
    assert "1 index visits do not lie at month 0" in _refusal(
        make_split(changed, "3fold", 0), changed
    )


def test_several_leaks_are_listed_together(cohort: Cohort, split: Split) -> None:
    table = split.table.replace({"participant_id": {"sub-0010": "sub-9999"}})
    message = _refusal(altered(split, table), cohort, pretraining_ids=("sub-0020",))
    assert "unknown to the cohort: sub-9999" in message
    assert "in the folds: sub-0020" in message


# Images under two names -----------------------------------------------------------------------


def _apart(cohort: Cohort) -> tuple[int, int]:
    """Two people without family whom 3fold tests in different folds."""
    split = make_split(cohort, "3fold", 0)
    a, b = (next(i for i in split.fold(k).test if "sub-0010" <= i < "sub-0060") for k in range(2))
    return int(a[-4:]), int(b[-4:])


def _plant(folder: Path, cohort: Cohort, change: object, target: int | None = None) -> tuple:
    visits, volumes = with_images(visit_table(72, families=4, pretrain=12))
    a, b = _apart(cohort)
    b = b if target is None else target
    volumes[b] = change(volumes[a])  # type: ignore[operator]
    planted = store(folder / "toy", visits, volumes)
    names = " = ".join(sorted((f"sub-{a:04d}", f"sub-{b:04d}")))
    return _refusal(make_split(planted, "3fold", 0), planted), names


def test_one_image_under_two_names(tmp_path: Path, cohort: Cohort) -> None:
    message, names = _plant(tmp_path, cohort, lambda volume: volume)
    assert f"1 pairs share data across parts: {names} (equal T1w image)" in message


def test_nearly_one_image_under_two_names(tmp_path: Path, cohort: Cohort) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (16, 16, 16))
    message, names = _plant(tmp_path, cohort, lambda volume: volume * 1.2 + noise)
    assert f"1 pairs share data across parts: {names} (T1w image, similarity 0.9" in message


def test_an_image_of_pretraining_under_another_name(tmp_path: Path, cohort: Cohort) -> None:
    message, names = _plant(tmp_path, cohort, lambda volume: volume, target=70)
    assert f"{names} (equal T1w image)" in message


def test_a_follow_up_image_used_as_somebody_elses(tmp_path: Path, cohort: Cohort) -> None:
    visits, volumes = with_images(visit_table(72, families=4, pretrain=12))
    follow_up = visits.index[~visits["is_index"]][3]
    owner = visits.loc[follow_up, "participant_id"]
    split = make_split(cohort, "3fold", 0)
    fold = next(k for k in range(3) if owner not in split.fold(k).test)
    other = next(i for i in split.fold(fold).test if i >= "sub-0010")
    visits.loc[follow_up, "t1w_row"] = int(other[-4:])
    planted = store(tmp_path / "toy", visits, volumes)
    assert " = ".join(sorted((owner, other))) in _refusal(make_split(planted, "3fold", 0), planted)


def test_a_persons_own_rescan_is_no_leak(tmp_path: Path) -> None:
    visits, volumes = with_images(visit_table(60))
    follow_up = visits.index[~visits["is_index"]][0]
    own = visits.loc[visits["is_index"]].set_index("participant_id")["t1w_row"]
    visits.loc[follow_up, "t1w_row"] = own[visits.loc[follow_up, "participant_id"]]
    clean = store(tmp_path / "toy", visits, volumes)
    verify_split(make_split(clean, "3fold", 0), clean)


def test_an_external_person_who_is_in_the_train_cohort(tmp_path: Path) -> None:
    visits, volumes = with_images(visit_table(30))
    strangers = with_images(visit_table(30), seed=9)[1]
    train = store(tmp_path / "train", visits, volumes)
    verify_external_images(store(tmp_path / "clean", visits, strangers), train)
    strangers[4] = volumes[7]
    with pytest.raises(LeakageError, match=r"leak/sub-0004 = train/sub-0007 \(equal T1w image\)"):
        verify_external_images(store(tmp_path / "leak", visits, strangers), train)


def test_images_on_different_grids_are_not_compared(tmp_path: Path) -> None:
    """What the page says that no check sees: the same heads, one plane of voxels fewer."""
    visits, volumes = with_images(visit_table(30))
    train = store(tmp_path / "train", visits, volumes)
    verify_external_images(store(tmp_path / "other", visits, volumes[:, :-1].copy()), train)
    with pytest.raises(LeakageError, match="30 pairs share data"):
        verify_external_images(store(tmp_path / "same", visits, volumes), train)
