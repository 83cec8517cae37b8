"""What is wrong with the tables of a mapping is refused by line, never read in silence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli import main
from benchmark.cohorts.held.entry import CohortEntry, read_held
from benchmark.cohorts.held.mapping_schema import load_mapping
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Reading
from benchmark.cohorts.held.released import ReleasedTable
from benchmark.errors import CohortError, ConfigError

FACTS = "title: Made-up clinic\nsource: tests\nlicence: none\nfile: visits.csv\n"
IDS = FACTS + "columns:\n  participant_id: {column: id}\n"


def read(root: Path, mapping: str, table: str) -> Reading:
    """Reads ``visits.csv`` by a mapping; both are given as text."""
    (root / "visits.csv").write_text(table, encoding="utf-8")
    path = root / "mapping.yaml"
    path.write_text(mapping, encoding="utf-8")
    return read_held("mine", CohortEntry(source=str(path), root=str(root)))


def refusal(root: Path, mapping: str, table: str) -> str:
    with pytest.raises(CohortError) as caught:
        read(root, mapping, table)
    return str(caught.value)


# The form of the file ------------------------------------------------------------------------


def test_rows_that_end_in_a_separator_shift_nothing(tmp_path: Path) -> None:
    """pandas takes the first column for an index then: `sub-2000` was 8 years old."""
    mapping = FACTS + (
        "columns:\n  participant_id: {column: serial}\n  age_years: {column: age}\n"
        "  education_years: {column: education}\n"
    )
    header = "serial,subject,weight,age,education\n"
    told = refusal(tmp_path, mapping, header + "1,2000,40,20,8,\n2,2001,50,200,9,\n")
    assert "expected 5 cells in each row, as in the header (line 2: '6 cells'; line 3" in told
    assert "'age': expected a number from 0 to 120 (line 3: '200')" in told  # the right column
    visits = read(tmp_path, mapping, header + "1,2000,40,20,8\n2,2001,50,21,9\n").visits
    assert visits["participant_id"].tolist() == ["sub-1", "sub-2"]
    assert visits["age_years"].tolist() == [20.0, 21.0]
    assert visits["education_years"].tolist() == [8.0, 9.0]


@pytest.mark.parametrize(("row", "cells"), [("b,Smith, John,70", 4), ("b,Smith", 2)])
def test_a_row_of_another_width_is_named(row: str, cells: int, tmp_path: Path) -> None:
    told = refusal(tmp_path, IDS, f"id,name,age\na,Jones,60\n{row}\n")
    assert f"expected 3 cells in each row, as in the header (line 3: '{cells} cells')" in told


def test_every_reader_of_released_tables_looks_at_widths(tmp_path: Path) -> None:
    path = tmp_path / "ADNIMERGE.csv"
    path.write_text("RID,AGE\n1,70,\n")
    problems = Problems()
    ReleasedTable.read(path, problems, ["RID"])
    assert [(p.line, p.value) for p in problems.found] == [(2, "3 cells")]


def test_a_header_that_ends_in_a_separator_like_its_rows_is_read(tmp_path: Path) -> None:
    visits = read(tmp_path, IDS, "id,age,\na,60,\nb,70,\n").visits
    assert visits["participant_id"].tolist() == ["sub-a", "sub-b"]
    path = tmp_path / "visits.csv"
    path.write_text(",id,\n1,a,\n2,b,\n")  # names of rows, as R writes them
    assert list(ReleasedTable.read(path, Problems()).frame) == ["Unnamed: 0", "id"]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    mapping = IDS + "  age_years: {column: age}\n"
    table = '\nid,age,note\n\na,60,"two\nlines"\n  \nb,600,\n'
    assert "expected a number from 0 to 120 (line 7: '600')" in refusal(tmp_path, mapping, table)


def test_a_quote_that_is_not_closed_swallows_nothing(tmp_path: Path) -> None:
    told = refusal(tmp_path, IDS, 'id,note\na,"open\nb,x\nc,y\n')
    assert "visits.csv: cannot be read as a table: line 2: unexpected end of data" in told


def test_a_doubled_column_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, IDS, "id,age, age\na,60,70\n")
    assert "column 'age': 2 columns bear this name, expected one" in told


# Separators ----------------------------------------------------------------------------------


def with_table(file: str, more: str = "") -> str:
    """A mapping with a table of biomarkers beside the visits."""
    return f"{IDS}tables:\n- {{file: {file}, kind: biomarkers, participant_id: id{more}}}\n"


@pytest.mark.parametrize(
    ("said", "file", "more", "between"),
    [
        ("", "lab.csv", "", ","),
        ("", "lab.tsv", "", "\t"),
        ("separator: ';'\n", "lab.csv", "", ";"),
        ("separator: ';'\n", "lab.tsv", "", "\t"),
        ("separator: ';'\n", "lab.csv", ", separator: ','", ","),
        ("", "lab.csv", ", separator: ';'", ";"),
        ("", "lab.csv", r", separator: '\t'", "\t"),
        ("", "lab.csv", r', separator: "\t"', "\t"),
    ],
)
def test_each_table_has_its_separator(
    said: str, file: str, more: str, between: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(between.join(["id", "tau"]) + "\n" + between.join(["a", "300"]))
    table = "id;age\na;60\n" if said else "id,age\na,60\n"
    reading = read(tmp_path, said + with_table(file, more), table)
    assert reading.tables["biomarkers"]["tau"].tolist() == [300.0]


def test_the_table_of_visits_named_again_has_its_own_separator(tmp_path: Path) -> None:
    text = "separator: ';'\n" + with_table("visits.csv")
    reading = read(tmp_path, text, "id;tau\na;300\n")
    assert reading.tables["biomarkers"]["tau"].tolist() == [300.0]


@pytest.mark.parametrize(("between", "shown"), [(";", ";"), ("\t", r"\t")])
@pytest.mark.parametrize("quote", ["", '"'])
def test_the_wrong_separator_is_told_with_the_right_one(
    between: str, shown: str, quote: str, tmp_path: Path
) -> None:
    rows = [["id", "age"], ["a", "60"]]
    table = "\n".join(between.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
    told = refusal(tmp_path, IDS, table)
    assert f"visits.csv: the header looks separated by '{shown}', not by ','" in told
    assert f"state `separator: '{shown}'`" in told
    (tmp_path / "lab.csv").write_text(table)
    told = refusal(tmp_path, with_table("lab.csv"), "id,age\na,60\n")
    assert f"lab.csv: the header looks separated by '{shown}', not by ','" in told
    semicolons = refusal(tmp_path, "separator: ';'\n" + IDS, "id,age\na,60\n")
    assert "the header looks separated by ',', not by ';'" in semicolons


def test_a_separator_of_a_table_is_one_character(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(with_table("lab.csv", ", separator: ';;'"))
    with pytest.raises(ConfigError, match=r"tables\[0\]\.separator ';;', expected one character"):
        load_mapping(path)


# Values --------------------------------------------------------------------------------------


def test_levels_without_codes_are_told_at_once_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = IDS + (
        "  sex: {column: sex}\n  diagnosis: {column: dx, missing: ['-9']}\n"
        "  age_years: {column: age}\n"
    )
    table = "id,sex,dx,age\na,Female,Healthy,60\nb,M,AD,600\nc,F,-9,70\n"
    told = refusal(tmp_path, mapping, table)
    assert "visits.csv, column 'sex': expected one of F, M (line 2: 'Female')" in told
    assert "visits.csv, column 'dx': expected one of CN, MCI, AD" in told
    assert "(line 2: 'Healthy')" in told
    assert "'age': expected a number from 0 to 120 (line 3: '600')" in told
    assert "row 0" not in told
    report = tmp_path / "report.csv"
    where = ["--root", str(tmp_path), "--report", str(report)]
    assert main(["cohort", "check", str(tmp_path / "mapping.yaml"), *where]) == 1
    assert "3 violation(s)" in capsys.readouterr().out
    assert set(pd.read_csv(report)["column"]) == {"sex", "dx", "age"}
    right = read(tmp_path, mapping, "id,sex,dx,age\na,F,CN,60\nb,M,AD,70\nc,F,-9,70\n").visits
    assert right["sex"].tolist() == ["F", "M", "F"]
    assert right["diagnosis"].tolist()[:2] == ["CN", "AD"]
    assert right["diagnosis"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "ids", [("a-1", "a1"), ("001", "01", "1"), ("p1", "P1"), ("a 1", "a1"), ("sub-2", "2")]
)
def test_identifiers_that_are_all_but_the_same_are_refused(
    ids: tuple[str, ...], tmp_path: Path
) -> None:
    told = refusal(tmp_path, IDS, "id\n" + "\n".join(ids) + "\nother\n")
    assert f"column 'id': {', '.join(map(repr, ids))} differ by signs, blanks, case" in told
    assert f"(line 2; line 3{'; line 4' if len(ids) == 3 else ''})" in told


def test_zeros_within_an_identifier_make_a_difference(tmp_path: Path) -> None:
    ids = ["p10", "p1", "p100", "p101", "p011"]
    assert read(tmp_path, IDS, "id\n" + "\n".join(ids)).visits["participant_id"].nunique() == 5


VISITS = IDS + (
    "  visit_months: {column: month}\n  sex: {column: sex, codes: {w: F, W: F, m: M}}\n"
    "  age_years: {column: seen, date: '%Y-%m-%d', since: born}\n"
)


def test_sex_and_date_of_birth_are_the_same_at_all_visits(tmp_path: Path) -> None:
    table = (
        "id,month,sex,seen,born\n"
        "a,0,w,2015-01-01,1940-01-01\n"
        "b,0,w,2015-01-01,1941-01-01\n"
        "a,12,m,2016-01-01,1940-01-01\n"
        "b,12,,2016-01-01,1914-01-01\n"
        "c,0,w,2015-01-01,1942-01-01\n"
        "c,12,W,2016-01-01,\n"
    )
    told = refusal(tmp_path, VISITS, table)
    same = "expected the same at all visits"
    assert f"column 'sex': of sub-a, {same} (line 2: 'w'; line 4: 'm')" in told
    assert f"'born': of sub-b, {same} (line 3: '1941-01-01'; line 5: '1914-01-01')" in told
    assert "sub-c" not in told
    assert "break 2 rule(s)" in told


def test_a_time_from_the_first_date_has_a_name(tmp_path: Path) -> None:
    mapping = IDS + "  visit_months: {column: seen, date: '%Y-%m-%d'}\n"
    told = refusal(tmp_path, mapping, "id,seen\na,1015-01-01\na,2015-01-01\n")
    assert "the time from the first date is 11999.8 months, expected -1200 to 1200" in told


def test_a_negative_time_to_an_event_is_refused(tmp_path: Path) -> None:
    mapping = IDS + (
        "  diagnosis: {value: MCI}\n"
        "time_to_event:\n  months: {column: time}\n  event: {column: ill}\n"
    )
    told = refusal(tmp_path, mapping, "id,time,ill\na,5,1\nb,-5,1\nc,0,0\n")
    assert "column 'time': expected 0 months or more to the event (line 3: '-5')" in told
    visits = read(tmp_path, mapping, "id,time,ill\na,5,1\nc,0,0\n").visits
    assert visits["participant_id"].tolist() == ["sub-a", "sub-c", "sub-a"]
