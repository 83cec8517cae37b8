"""Folds without identifiers: a holder of the table can match them, and nothing else is in them."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pandas as pd
import pytest
from held_replicas import write_oasis1

from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.sealed import compare_sealed, write_sealed
from benchmark.errors import SplitError
from benchmark.splitting import Split
from benchmark.splitting.people import people_of
from benchmark.splitting.protocols import split_people


def split_of(root: Path, protocol: str = "3fold", seed: int = 0) -> tuple[Split, list[str]]:
    visits = read_held("mine", CohortEntry(source="oasis1", root=str(root))).visits
    ids = visits["participant_id"].tolist()
    return split_people(people_of(visits), "mine", protocol, seed), ids


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write_oasis1(tmp_path / "files")


@pytest.mark.parametrize("protocol", ["3fold", "few-label"])
def test_a_holder_of_the_table_finds_the_same_folds(
    files: Path, tmp_path: Path, protocol: str
) -> None:
    path = write_sealed(*split_of(files, protocol), tmp_path / "shared")
    assert path.name == f"{protocol}.sealed.csv"
    compare_sealed(*split_of(files, protocol), path)


def test_no_identifier_is_in_it_and_each_is_its_hmac(files: Path, tmp_path: Path) -> None:
    split, ids = split_of(files)
    path = write_sealed(split, ids, tmp_path)
    for file in tmp_path.glob("*.sealed.*"):
        text = file.read_text()
        assert not any(who in text or who.removeprefix("sub-") in text for who in ids)
    key = hashlib.sha256("\n".join(sorted(set(ids))).encode()).digest()
    first = split.table.iloc[0]
    name = hmac.digest(key, first["participant_id"].encode(), "sha256").hex()[:32]
    rows = pd.read_csv(path)
    found = rows.loc[(rows["person_hmac"] == name) & (rows["fold"] == first["fold"]), "part"]
    assert found.tolist() == [first["part"]]
    assert len(rows) == len(split.table)


def test_other_folds_another_release_and_an_edit_are_told_apart(
    files: Path, tmp_path: Path
) -> None:
    path = write_sealed(*split_of(files), tmp_path / "shared")
    with pytest.raises(SplitError, match="80 of 80 people in common, in other folds"):
        compare_sealed(*split_of(files, seed=1), path)
    with pytest.raises(SplitError, match="nobody in common: another release"):
        compare_sealed(*split_of(write_oasis1(tmp_path / "more", n_old=64)), path)
    path.write_text(path.read_text().replace("test", "train", 1))
    with pytest.raises(SplitError, match="differs from its manifest"):
        compare_sealed(*split_of(files), path)
    path.with_suffix(".json").unlink()
    with pytest.raises(SplitError, match="no sealed split with its manifest"):
        compare_sealed(*split_of(files), path)
