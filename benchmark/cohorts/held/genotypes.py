"""Dosages of SNPs from plink: ``.bed`` with ``.bim`` and ``.fam``, or ``.raw`` (``--recode A``).

A dosage is the number of copies of the counted allele, 0, 1 or 2: of a ``.bed`` the first allele of
its ``.bim``, of a ``.raw`` the one in the column's name. In the store a SNP is called by both,
``rs429358_C``, so that no method takes the copies of one allele for those of the other.

Formats: https://www.cog-genomics.org/plink/1.9/formats. Strands are as the files have them, nothing
is imputed, and no build of the genome is looked up.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.arrays import GenotypeRule, HeldArray
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.volumes import ScanOf, people_by_plain_id, plain_id

__all__ = ["MOST_SNPS", "read_genotypes"]

MOST_SNPS: Final = 10_000  # methods read a panel: one feature or token a SNP
_MISSING: Final = -1
_RAW_KEYS: Final = ("FID", "IID", "PAT", "MAT", "SEX", "PHENOTYPE")
_RAW_NAME: Final = re.compile(r"(?P<id>.+)_(?P<counted>[A-Za-z0-9*]+)(\(/(?P<other>[^)]+)\))?")
_MOST_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Panel:
    """The SNPs of a file, and how to read some of them.

    ``snps`` has the columns ``id counted other place line``: ``other`` is "" where unknown,
    ``place`` is chromosome and position, "" where unknown, ``line`` of the file that names it, 0
    for columns. ``people`` has ``fid iid line``.
    """

    file: str
    snps: pd.DataFrame
    people: pd.DataFrame
    files: tuple[Path, ...]


def read_genotypes(
    rule: GenotypeRule,
    root: Path,
    visits: pd.DataFrame,
    problems: Problems,
    scan_of: ScanOf | None = None,
) -> HeldArray | None:
    """Reads the genotypes of a cohort's people; they belong to the index visit.

    Args:
        rule: Where they lie, and which SNPs to take.
        root: The cohort's folder.
        visits: The cohort's visits.
        problems: Where violations go.
        scan_of: The adapter's, for identifiers in the form in which scans are released.

    Returns:
        int8 (N, S), -1 missing; None where anything is wrong.
    """
    before = len(problems.found)
    path = root / rule.file
    raw = path.suffix == ".raw"
    keep, keep_files = _wanted(rule, root, problems)
    panel = _raw_panel(path, rule.file, problems) if raw else _bed_panel(path, rule.file, problems)
    if panel is None:
        return None
    snps, left_out = _chosen(panel, keep, problems)
    rows = _people(panel, visits, scan_of, problems)
    if len(problems.found) > before:
        return None
    left_out["genotyped people who are not in the tables"] = len(panel.people) - len(rows)
    wanted = rows["row"].tolist()
    columns = snps.index.tolist()
    if raw:
        dosages = _read_raw(path, panel, wanted, columns, problems)
    else:
        dosages = _read_bed(path, wanted, columns, problems)
    if len(problems.found) > before:
        return None
    flip = snps["flip"].to_numpy(dtype=bool)
    dosages = np.where(flip & (dosages >= 0), 2 - dosages, dosages).astype(np.int8)
    called: np.ndarray = np.any(dosages >= 0, axis=1)
    left_out["genotyped people without any call"] = int((~called).sum())
    names = [f"{snp}_{allele}" for snp, allele in zip(snps["id"], snps["counts"], strict=True)]
    facts = {
        "counted_alleles": dict(zip(snps["id"], snps["counts"], strict=True)),
        "missing_calls": int((dosages[called] < 0).sum()),
        "source": "plink .raw" if raw else "plink .bed",
    }
    return HeldArray(
        name="snps",
        rows=rows.loc[called].drop(columns="row").reset_index(drop=True),
        values=dosages[called],
        facts={"snp_names": names, "snps": facts},
        files=(*panel.files, *keep_files),
        left_out={why: n for why, n in left_out.items() if n},
    )


def _wanted(
    rule: GenotypeRule, root: Path, problems: Problems
) -> tuple[dict[str, str], tuple[Path, ...]]:
    """SNPs to take with the allele to count, "" for the file's own."""
    lines = [(rule.file, 0, text) for text in rule.keep]
    files: tuple[Path, ...] = ()
    if rule.keep_file:
        path = root / rule.keep_file
        if path.is_file():
            files = (path,)
            texts = path.read_text(encoding="utf-8-sig").splitlines()
            lines += [(rule.keep_file, k, text) for k, text in enumerate(texts, 1)]
        else:
            problems.add(rule.keep_file, "this list of SNPs is missing")
    wanted: dict[str, str] = {}
    for file, line, text in lines:
        words = text.split()
        if len(words) > 2:
            what = "expected one SNP a line, `ID` or `ID ALLELE`"
            problems.add(file, what, line=line, value=text)
        elif words and words[0] in wanted:
            problems.add(file, "this SNP is listed twice", line=line, value=words[0])
        elif words:
            wanted[words[0]] = words[1] if len(words) > 1 else ""
    return wanted, files


def _bed_panel(path: Path, file: str, problems: Problems) -> _Panel | None:
    parts = [path.with_suffix(ending) for ending in (".bed", ".bim", ".fam")]
    absent = [part.name for part in parts if not part.is_file()]
    if path.suffix != ".bed" or absent:
        what = f"expected plink's .bed with .bim and .fam beside it, or .raw; missing: {absent}"
        problems.add(file, what)
        return None
    from bed_reader import open_bed

    try:
        with open_bed(path, count_A1=True, num_threads=1) as bed:
            snps = pd.DataFrame(
                {
                    "id": bed.sid,
                    "counted": bed.allele_1,
                    "other": bed.allele_2,
                    "place": [
                        f"{c}:{p}" if p else ""
                        for c, p in zip(bed.chromosome, bed.bp_position, strict=True)
                    ],
                    "line": np.arange(1, bed.sid_count + 1),
                }
            )
            people = pd.DataFrame({"fid": bed.fid, "iid": bed.iid}, dtype=str)
    except (ValueError, OSError) as error:
        problems.add(file, f"cannot be read as plink's .bed: {str(error).splitlines()[0]}")
        return None
    people["line"] = np.arange(1, len(people) + 1)
    return _Panel(parts[1].name, snps, people, tuple(parts))


def _read_bed(path: Path, people: list[int], snps: list[int], problems: Problems) -> np.ndarray:
    from bed_reader import open_bed

    try:
        with open_bed(path, count_A1=True, num_threads=1) as bed:
            values = np.asarray(bed.read(index=np.s_[people, snps], dtype="int8"))
    except (ValueError, OSError) as error:
        problems.add(path.name, f"cannot be read as plink's .bed: {str(error).splitlines()[0]}")
        return np.empty((len(people), len(snps)), dtype=np.int8)
    return np.where(values < 0, _MISSING, values)  # bed-reader: -127


def _raw_panel(path: Path, file: str, problems: Problems) -> _Panel | None:
    if not path.is_file():
        problems.add(file, "this file is missing")
        return None
    try:
        head = pd.read_csv(path, sep=r"\s+", dtype=str, nrows=0)
        keys = pd.read_csv(
            path, sep=r"\s+", dtype=str, keep_default_na=False, usecols=list(_RAW_KEYS[:2])
        )
    except (ValueError, OSError) as error:  # parser and decoding errors are ValueErrors
        problems.add(file, f"cannot be read as plink's .raw: {str(error).splitlines()[0]}")
        return None
    absent = [key for key in _RAW_KEYS if key not in head]
    for key in absent:
        problems.add(file, "this column is missing", column=key)
    if absent:
        return None
    rows = []
    for column in map(str, head.columns.drop(list(_RAW_KEYS))):
        name = _RAW_NAME.fullmatch(column)
        if name is None or column.endswith("_HET"):
            what = "expected ID_ALLELE with additive dosages, as `plink --recode A` writes"
            problems.add(file, what, column=column)
            continue
        rows.append([name["id"], name["counted"], name["other"] or "", "", 0, column])
    snps = pd.DataFrame(rows, columns=["id", "counted", "other", "place", "line", "column"])
    people = keys.rename(columns=str.lower).assign(line=np.arange(2, len(keys) + 2))
    return _Panel(file, snps, people, (path,))


def _read_raw(
    path: Path, panel: _Panel, people: list[int], snps: list[int], problems: Problems
) -> np.ndarray:
    columns = panel.snps.loc[snps, "column"].tolist()
    cells = pd.read_csv(path, sep=r"\s+", dtype=str, keep_default_na=False, usecols=columns)
    cells = cells[columns]
    known = cells.isin(["0", "1", "2", "NA"])
    for row, column in np.argwhere(~known.to_numpy()).tolist():
        value = str(cells.iloc[row, column])
        what = "expected 0, 1, 2 or NA"
        problems.add(panel.file, what, column=columns[column], line=row + 2, value=value)
    values = cells.where(known & (cells != "NA"), str(_MISSING)).astype(np.int8)
    return values.to_numpy()[people]


def _chosen(
    panel: _Panel, keep: dict[str, str], problems: Problems
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The SNPs that enter, with ``counts``, the allele, and ``flip``: whether it is the other."""
    snps = panel.snps
    if keep:
        absent = [snp for snp in keep if snp not in set(snps["id"])]
        for snp in absent:
            problems.add(panel.file, "this SNP is to be kept and is not in the file", column=snp)
        snps = snps.loc[snps["id"].isin(list(keep))]
    elif len(snps) > MOST_SNPS:
        what = f"{len(snps)} SNPs, expected at most {MOST_SNPS}: methods read a panel; say which"
        problems.add(panel.file, f"{what} by `keep` or `keep_file` (--keep-snps)")
        return snps, {}
    again = "this SNP is in the file more than once"
    _refuse(panel, snps.loc[snps["id"].duplicated(keep=False)], again, problems)
    places = snps.loc[snps["place"] != ""]
    twice = places["place"].duplicated(keep=False) & ~places["id"].duplicated(keep=False)
    commas = snps["counted"].str.contains(",") | snps["other"].str.contains(",")
    several = commas | twice.reindex(snps.index, fill_value=False)
    what = "more than two alleles at this position; keep biallelic SNPs alone"
    _refuse(panel, snps.loc[several], what, problems)
    empty = snps["counted"].isin(["0", "."])
    snps = snps.loc[~empty]
    wishes = snps["id"].map(keep).fillna("") if keep else pd.Series("", index=snps.index)
    snps = snps.assign(
        counts=wishes.where(wishes != "", snps["counted"]),
        flip=(wishes == snps["other"]) & (wishes != "") & (wishes != snps["counted"]),
    )
    strange = snps.loc[(snps["counts"] != snps["counted"]) & ~snps["flip"]]
    for wish, counted, other in (
        strange[["counts", "counted", "other"]].drop_duplicates().to_numpy()
    ):
        has = f"{counted} and {other}" if other else f"{counted}; the other one is not stated"
        same = (strange[["counts", "counted", "other"]] == [wish, counted, other]).all(axis=1)
        what = f"allele {wish} is to be counted, the file has {has}"
        _refuse(panel, strange.loc[same], what, problems)
    if snps.empty:
        problems.add(panel.file, "no SNP is left")
    return snps, {"SNPs without a counted allele (nobody carries it)": int(empty.sum())}


def _refuse(panel: _Panel, snps: pd.DataFrame, rule: str, problems: Problems) -> None:
    for snp, line in zip(snps["id"], snps["line"].tolist(), strict=True):
        problems.add(panel.file, rule, column=snp, line=line)


def _people(
    panel: _Panel, visits: pd.DataFrame, scan_of: ScanOf | None, problems: Problems
) -> pd.DataFrame:
    """``participant_id``, ``session_id`` and ``row`` in the file, in the order of the visits."""
    known = people_by_plain_id(visits)
    iids = Counter(map(plain_id, panel.people["iid"]))
    found: dict[str, int] = {}
    for row, (fid, iid, line) in enumerate(panel.people.itertuples(index=False, name=None)):
        if iids[plain_id(iid)] > 1:  # then FID and IID together name a person
            who = known.get(plain_id(f"{fid}{iid}"))
            if who is None and plain_id(iid) in known:
                what = "this IID is in the file twice and a person's; FIDs do not tell them apart"
                problems.add(_people_file(panel), what, line=int(line), value=f"{fid} {iid}")
        else:
            stated = scan_of(iid) if scan_of else None
            who = known.get(plain_id(iid)) or known.get(plain_id(stated[0]) if stated else "")
        if who is not None and who in found:
            what = f"a second row of {who}"
            problems.add(_people_file(panel), what, line=int(line), value=f"{fid} {iid}")
        elif who is not None:
            found[who] = row
    if not found:
        got = ", ".join(panel.people["iid"].head(_MOST_SHOWN))
        expected = ", ".join(visits[v.PARTICIPANT_ID].unique()[:2])
        what = f"nobody of the {len(panel.people)} is in the tables: got IID {got}"
        problems.add(_people_file(panel), f"{what}; expected such as {expected}")
    index = visits.loc[visits[v.IS_INDEX], [v.PARTICIPANT_ID, v.SESSION_ID]]
    rows = index.assign(row=index[v.PARTICIPANT_ID].map(found))
    return rows.dropna(subset=["row"]).astype({"row": np.int64}).reset_index(drop=True)


def _people_file(panel: _Panel) -> str:
    return panel.files[-1].name
