"""The fold file: written, read back, and refused when it is not what its manifest says."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from visit_tables import visit_table

from benchmark.errors import SplitError
from benchmark.splitting import PROTOCOLS, Split, people_of, read_split, split_people


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "toy"


def _split(protocol: str = "3fold") -> Split:
    other = "other" if protocol == "external" else ""
    return split_people(people_of(visit_table(60)), "toy", protocol, 0, other)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_split_is_read_back_as_written(folder: Path, protocol: str) -> None:
    split = _split(protocol)
    path = split.write(folder)
    for again in (read_split(folder, protocol), read_split(path)):
        pd.testing.assert_frame_equal(again.table, split.table, check_dtype=False)
        assert again.content_hash == split.content_hash
        assert dict(again.manifest) == json.loads(json.dumps(dict(split.manifest)))
        assert again.fold(0) == split.fold(0)


def test_the_file_is_long_sorted_and_plain(folder: Path) -> None:
    lines = _split().write(folder).read_text().splitlines()
    assert lines[0] == "repeat,fold,participant_id,part"
    assert len(lines) == 1 + 3 * 60
    assert lines[1].startswith("0,0,sub-0000,")
    assert lines[1:] == sorted(lines[1:])


def test_ids_that_look_like_numbers_stay_text(folder: Path) -> None:
    visits = visit_table(30)
    visits["participant_id"] = visits["participant_id"].str.removeprefix("sub-")
    split_people(people_of(visits), "toy", "3fold", 0).write(folder)
    assert "0001" in set(read_split(folder, "3fold").table["participant_id"])


def test_a_missing_file_names_the_command(folder: Path) -> None:
    with pytest.raises(
        SplitError, match=r"missing; make it with `neurodx splits make --cohort toy --protocol 5f"
    ):
        read_split(folder, "5fold")


def test_a_changed_fold_file_is_refused(folder: Path) -> None:
    path = _split().write(folder)
    text = path.read_text()
    path.write_text(text.replace("sub-0000,test", "sub-0000,train"))
    assert path.read_text() != text
    with pytest.raises(SplitError, match=r"3fold.csv: differs from its manifest: expected sha256"):
        read_split(folder, "3fold")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "lacks cohort, counts, people_sha256"),
        ('{"cohort": "toy"}', "lacks counts"),
    ],
)
def test_a_broken_manifest_is_refused(folder: Path, content: str, message: str) -> None:
    _split().write(folder).with_suffix(".json").write_text(content)
    with pytest.raises(SplitError, match=message):
        read_split(folder, "3fold")


def test_a_split_of_another_cohort_is_refused(folder: Path) -> None:
    _split().write(folder.with_name("elsewhere"))
    with pytest.raises(SplitError, match="describes toy/3fold, expected elsewhere/3fold"):
        read_split(folder.with_name("elsewhere"), "3fold")


def test_other_columns_are_refused(folder: Path) -> None:
    split = _split()
    wide = Split("toy", "3fold", 0, split.table.assign(slice=1), split.manifest)
    manifest = {**split.manifest, "sha256": wide.content_hash}
    Split("toy", "3fold", 0, wide.table, manifest).write(folder)
    with pytest.raises(SplitError, match="expected the columns repeat, fold, participant_id, part"):
        read_split(folder, "3fold")


def test_writing_twice_changes_no_byte(folder: Path) -> None:
    path = _split().write(folder)
    first = path.read_bytes(), path.with_suffix(".json").read_bytes()
    _split().write(folder)
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == first
