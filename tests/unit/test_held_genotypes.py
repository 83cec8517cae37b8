"""Genotypes from plink join the people of a held cohort; dosages are written down by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_arrays import write_bed

from benchmark.cohorts.held import genotypes
from benchmark.cohorts.held.arrays import GenotypeRule, HeldArray
from benchmark.cohorts.held.genotypes import read_genotypes
from benchmark.cohorts.held.problems import Problems

NAN = float("nan")
VISITS = pd.DataFrame(
    {
        "participant_id": ["sub-P1", "sub-P2", "sub-P2", "sub-P3"],
        "session_id": ["ses-1", "ses-1", "ses-2", "ses-1"],
        "is_index": [True, True, False, True],
    }
)
RAW = """\
FID IID PAT MAT SEX PHENOTYPE rs1_A rs2_C(/T) rs3_G
F1 P-3 0 0 1 -9 0 1 2
F2 P-1 0 0 2 -9 2 NA 0
F3 P-9 0 0 2 -9 1 1 1
"""


def read(root: Path, file: str, problems: Problems | None = None, **rule: object) -> HeldArray:
    found = Problems() if problems is None else problems
    held = read_genotypes(GenotypeRule(file, **rule), root, VISITS, found)
    if problems is None:
        assert not found.found, found.table().to_string()
        assert held is not None
    return held  # type: ignore[return-value]


def refused(root: Path, file: str, **rule: object) -> set[tuple[str, str, int, str]]:
    problems = Problems()
    read(root, file, problems, **rule)
    assert problems.found
    columns = ["file", "column", "line", "rule"]
    return set(problems.table()[columns].itertuples(index=False, name=None))


def test_a_bed_counts_the_first_allele(tmp_path: Path) -> None:
    """The bytes are plink's own: 11 two of the second allele, 10 one each, 00 two of the first."""
    (tmp_path / "g.fam").write_text("".join(f"F {p} 0 0 0 -9\n" for p in ("P-3", "P-9", "P1")))
    (tmp_path / "g.bim").write_text("1\trs1\t0\t10\tA\tG\n1\trs2\t0\t20\tC\tT\n")
    body = [0b00_11_10_00, 0b00_00_00_01]  # rs1: P-3 00, P-9 10, P1 11; rs2: P-3 01, others 00
    (tmp_path / "g.bed").write_bytes(bytes([0x6C, 0x1B, 0x01, *body]))
    held = read(tmp_path, "g.bed")
    assert held.rows.to_numpy().tolist() == [["sub-P1", "ses-1"], ["sub-P3", "ses-1"]]
    assert held.values.dtype == np.int8
    assert held.values.tolist() == [[0, 2], [2, -1]]
    assert held.facts["snp_names"] == ["rs1_A", "rs2_C"]
    assert held.facts["snps"]["counted_alleles"] == {"rs1": "A", "rs2": "C"}
    assert held.facts["snps"]["missing_calls"] == 1
    assert held.left_out == {"genotyped people who are not in the tables": 1}
    assert [path.name for path in held.files] == ["g.bed", "g.bim", "g.fam"]


def test_a_raw_counts_the_allele_of_its_columns(tmp_path: Path) -> None:
    (tmp_path / "g.raw").write_text(RAW)
    held = read(tmp_path, "g.raw")
    assert held.rows["participant_id"].tolist() == ["sub-P1", "sub-P3"]
    assert held.values.tolist() == [[2, -1, 0], [0, 1, 2]]
    assert held.facts["snp_names"] == ["rs1_A", "rs2_C", "rs3_G"]


def test_some_snps_are_kept_and_the_allele_may_be_named(tmp_path: Path) -> None:
    dosages = [[0, 1, 2, NAN], [2, 2, 0, 1]]
    write_bed(tmp_path / "g.bed", dosages, ["P1", "P2"])
    (tmp_path / "list.txt").write_text("rs4 G\n\nrs2\n")
    held = read(tmp_path, "g.bed", keep_file="list.txt", keep=["rs1 A"])
    assert held.facts["snp_names"] == ["rs1_A", "rs2_A", "rs4_G"]
    assert held.values.tolist() == [[0, 1, -1], [2, 2, 1]]
    assert read(tmp_path, "g.bed", keep=["rs3 G"]).values.tolist() == [[0], [2]]
    assert (tmp_path / "list.txt") in held.files
    (tmp_path / "g.raw").write_text(RAW)
    assert read(tmp_path, "g.raw", keep=["rs2 T"]).values.tolist() == [[1]]  # P1 has no call
    found = refused(tmp_path, "g.raw", keep=["rs1 C", "rs9", "rs3 G T", "rs2", "rs2"])
    assert {(column, line) for _, column, line, _ in found} == {("rs1", 0), ("rs9", 0), ("", 0)}
    rules = " ".join(rule for *_, rule in found)
    assert "allele C is to be counted, the file has A; the other one is not stated" in rules
    assert "listed twice" in rules


def test_duplicates_and_several_alleles_are_refused(tmp_path: Path) -> None:
    write_bed(
        tmp_path / "g.bed",
        [[0, 1, 2, 0, 1, 1]],
        ["P1"],
        sid=["rs1", "rs1", "rs3", "rs4", "rs5", "rs6"],
        bp_position=[10, 10, 30, 40, 40, 60],
        allele_1=["A", "A", "A,T", "A", "C", "0"],
    )
    found = refused(tmp_path, "g.bed")
    assert {(file, column, line) for file, column, line, _ in found} == {
        ("g.bim", "rs1", 1),
        ("g.bim", "rs1", 2),
        ("g.bim", "rs3", 3),
        ("g.bim", "rs4", 4),
        ("g.bim", "rs5", 5),
    }
    held = read(tmp_path, "g.bed", keep=["rs5", "rs6"])
    assert held.facts["snp_names"] == ["rs5_C"]
    assert held.left_out["SNPs without a counted allele (nobody carries it)"] == 1


def test_the_family_counts_where_the_iid_is_ambiguous(tmp_path: Path) -> None:
    visits = VISITS.assign(participant_id=["sub-F11", "sub-F21", "sub-F21", "sub-7"])
    write_bed(tmp_path / "g.bed", [[0], [1], [2]], ["1", "1", "7"], fid=["F1", "F2", "F3"])
    held = read_genotypes(GenotypeRule("g.bed"), tmp_path, visits, Problems())
    assert held is not None
    assert dict(zip(held.rows["participant_id"], held.values[:, 0], strict=True)) == {
        "sub-F11": 0,
        "sub-F21": 1,
        "sub-7": 2,
    }
    write_bed(tmp_path / "h.bed", [[0], [1], [2]], ["P1", "P1", "P3"], fid=["F1", "F2", "F3"])
    found = refused(tmp_path, "h.bed")
    assert {(file, line) for file, _, line, _ in found} == {("h.fam", 1), ("h.fam", 2)}


def test_who_has_no_call_has_no_genotypes(tmp_path: Path) -> None:
    write_bed(tmp_path / "g.bed", [[NAN, NAN], [0, NAN]], ["P1", "P3"])
    held = read(tmp_path, "g.bed")
    assert held.rows["participant_id"].tolist() == ["sub-P3"]
    assert held.left_out == {"genotyped people without any call": 1}


def test_wrong_cells_of_a_raw_are_told_with_their_place(tmp_path: Path) -> None:
    text = RAW.replace("F2 P-1 0 0 2 -9 2 NA 0", "F2 P-1 0 0 2 -9 1.5 NA 3")
    (tmp_path / "g.raw").write_text(text)
    found = refused(tmp_path, "g.raw")
    assert {(column, line) for _, column, line, _ in found} == {("rs1_A", 3), ("rs3_G", 3)}
    (tmp_path / "h.raw").write_text(RAW.replace("rs2_C(/T)", "rs1_HET").replace("PAT", "FATHER"))
    assert ("h.raw", "PAT", 0, "this column is missing") in refused(tmp_path, "h.raw")
    (tmp_path / "h.raw").write_text(RAW.replace("rs2_C(/T)", "rs1_HET"))
    assert {column for _, column, *_ in refused(tmp_path, "h.raw")} == {"rs1_HET"}


@pytest.mark.parametrize("damage", ["cut", "other", "bim", "missing"])
def test_a_damaged_bed_is_refused(tmp_path: Path, damage: str) -> None:
    path = write_bed(tmp_path / "g.bed", [[0, 1]] * 9, ["P1", "P3", *"abcdefg"])
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-2])
    elif damage == "other":
        path.write_bytes(b"nothing of plink's")
    elif damage == "bim":
        (tmp_path / "g.bim").write_text("1 rs1\n")
    else:
        (tmp_path / "g.fam").unlink()
    ((file, _, _, rule),) = refused(tmp_path, "g.bed")
    assert file in {"g.bed", "g.bim"}
    assert "missing: ['g.fam']" in rule if damage == "missing" else "cannot be read" in rule


def test_nobody_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bed(tmp_path / "g.bed", [[0, 1, 2]], ["X1"])
    ((file, _, _, rule),) = refused(tmp_path, "g.bed")
    assert (file, rule) == (
        "g.fam",
        "nobody of the 1 is in the tables: got IID X1; expected such as sub-P1, sub-P2",
    )
    monkeypatch.setattr(genotypes, "MOST_SNPS", 2)
    write_bed(tmp_path / "h.bed", [[0, 1, 2]], ["P1"])
    ((_, _, _, rule),) = refused(tmp_path, "h.bed")
    assert "3 SNPs, expected at most 2" in rule
    assert read(tmp_path, "h.bed", keep=["rs3"]).values.tolist() == [[2]]
