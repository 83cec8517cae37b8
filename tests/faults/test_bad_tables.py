"""Bad participant tables are refused with row, column, what was expected and what came."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import CohortError, SplitError
from benchmark.splitting import people_of, split_people
from benchmark.store import CohortWriter
from benchmark.store.validate import validate_participants


def _table(n: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i}" for i in range(n)],
            "session_id": "ses-M000",
            "visit_months": 0,
            "is_index": True,
            "site_id": "one",
            "part": "evaluate",
            "age_years": 70.0,
            "sex": "F",
            "diagnosis": "CN",
        }
    )


def _refusal(frame: pd.DataFrame) -> str:
    with pytest.raises(CohortError) as refusal:
        validate_participants(frame, "toy")
    message = str(refusal.value)
    assert message.startswith("cohort 'toy': participants table breaks")
    assert "`neurodx prepare`" in message
    return message


def test_a_good_table_passes() -> None:
    validate_participants(_table(), "toy")
    validate_participants(_table().assign(age_years=np.nan, sex=None), "toy")


@pytest.mark.parametrize("column", ["participant_id", "session_id", "is_index", "site_id", "part"])
def test_a_missing_column_is_named(column: str) -> None:
    assert f"column '{column}' is missing" in _refusal(_table().drop(columns=column))


def test_a_misspelt_column_is_suggested() -> None:
    frame = _table().rename(columns={"participant_id": "participants_id"})
    assert "column 'participant_id' is missing (is it 'participants_id'?)" in _refusal(frame)


@pytest.mark.parametrize("bad", ["", None])
def test_an_empty_id_is_named_by_row(bad: str | None) -> None:
    frame = _table()
    frame.loc[2, "participant_id"] = bad
    assert "row 2: participant_id is empty" in _refusal(frame)


def test_a_visit_twice() -> None:
    frame = pd.concat([_table(), _table().iloc[[1]].assign(is_index=False)], ignore_index=True)
    assert "row 4: sub-1 ses-M000 appears twice" in _refusal(frame)


@pytest.mark.parametrize("flags", [(False, 0), (True, 2)])
def test_anything_but_one_index_visit(flags: tuple[bool, int]) -> None:
    is_index, count = flags
    second = _table().iloc[[1]].assign(session_id="ses-M012", visit_months=12)
    frame = pd.concat([_table(), second], ignore_index=True)
    frame.loc[frame["participant_id"] == "sub-1", "is_index"] = is_index
    assert f"participant sub-1: has {count} index visits, expected 1" in _refusal(frame)


def test_a_person_in_two_parts() -> None:
    second = _table().iloc[[1]].assign(session_id="ses-M012", is_index=False, part="pretrain")
    frame = pd.concat([_table(), second], ignore_index=True)
    assert "participant sub-1: is in two parts" in _refusal(frame)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("age_years", 720.0, r"row 3: age_years is .*720.0\)?, expected 0 to 120"),
        ("age_years", -1.0, r"row 3: age_years is .*-1.0\)?, expected 0 to 120"),
        ("sex", "female", "row 3: sex is 'female', expected one of F, M"),
        ("diagnosis", "Dementia", "row 3: diagnosis is 'Dementia', expected one of AD, CN"),
        ("part", "test", "row 3: part is 'test', expected one of evaluate, pretrain"),
    ],
)
def test_a_value_out_of_range_is_named(column: str, value: object, expected: str) -> None:
    frame = _table()
    frame.loc[3, column] = value
    assert re.search(expected, _refusal(frame))


def test_text_where_a_number_belongs() -> None:
    frame = _table().astype({"age_years": "object"})
    frame.loc[0, "age_years"] = "seventy"
    assert "row 0: age_years is 'seventy', expected 0 to 120" in _refusal(frame)


def test_all_violations_are_counted_and_twenty_shown() -> None:
    message = _refusal(_table(30).assign(age_years=999.0))
    assert "breaks 30 rule(s)" in message
    assert message.count("\n  - ") == 20
    assert "... and 10 more" in message


def test_a_refused_table_leaves_no_store(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "toy", {})
    with pytest.raises(CohortError, match="expected one of F, M"):
        writer.table("participants", _table().assign(sex="?"))
    assert not (tmp_path / "toy").exists()


# Tables that are valid but cannot be split ----------------------------------------------------


def test_one_person_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="nobody of class 'CN' in part 'train'"):
        split_people(people_of(_table(1)), "toy", "3fold", 0)


def test_one_family_of_everybody_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="nobody of class 'CN'"):
        split_people(people_of(_table(30).assign(family_id="all")), "toy", "3fold", 0)


def test_an_empty_table_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="nobody in part 'evaluate'"):
        split_people(people_of(_table(1).iloc[:0]), "toy", "3fold", 0)


def test_missing_sex_age_and_site_can_be_split() -> None:
    bare = _table(30).drop(columns=["sex", "age_years"]).assign(site_id=None)
    split = split_people(people_of(bare), "toy", "3fold", 0)
    assert sorted(len(split.fold(k).test) for k in range(3)) == [10, 10, 10]
