"""UK Biobank: brain age at the first imaging visit.

Field numbers of https://biobank.ndph.ox.ac.uk/showcase, in either spelling of an extract:
``21003-2.0`` (ukbconv) or ``p21003_i2`` (Research Analysis Platform). Instance 2 is the first
imaging visit. 31 sex (0 woman, 1 man), 21003 age, 54 assessment centre, 25010 brain volume, 25011
to 25025 subcortical volumes by FSL FIRST, 26521 intracranial volume by FreeSurfer, all in mm3
(Alfaro-Almagro et al. 2018, 10.1016/j.neuroimage.2017.10.034). 41270 holds ICD-10 codes of hospital
records.

Nobody is a patient by design, so ``brain_age`` takes people without a hospital code of dementia
(F00 to F03, G30, G31), Parkinson's disease (G20), multiple sclerosis (G35) or stroke (I60 to I64),
whenever it was given; the others keep their row and have no class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile
from benchmark.cohorts.held.released import ReleasedTable, find_one
from benchmark.cohorts.held.volumes import NO_VISIT

__all__ = ["UKB"]

_TABLES: Final = ("ukb*.csv", "*participant*.csv")
_ILL: Final = r"\b(?:F0[0-3]|G20|G3[01]|G35|I6[0-4])"
_STRUCTURES: Final = (
    *("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens"),
)
_REGIONS: Final = {
    25010: "brain_mm3",
    **{
        25011 + 2 * k + side: f"{name}_{structure}_mm3"
        for k, structure in enumerate(_STRUCTURES)
        for side, name in enumerate(("left", "right"))
    },
    25025: "brain_stem_mm3",
}
_HEAD: Final = 26521
_SEX: Final = {"0": "F", "1": "M", "Female": "F", "Male": "M"}


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    path = find_one(root, problems, *_TABLES)
    table = ReleasedTable.read(path, problems, ["eid"], name=path.name if path else _TABLES[0])
    ids = table.text("eid", r"\d+")
    table.refuse_repeats(["eid"], ids.to_frame(), "this person")
    age = table.number(_column(table, 21003), 37, 100)
    visits = pd.DataFrame(
        {
            v.PARTICIPANT_ID: "sub-UKB" + ids.astype("str"),
            v.SESSION_ID: "ses-2",
            v.VISIT_MONTHS: 0.0,
            v.IS_INDEX: True,
            v.SITE_ID: table.text(_column(table, 54), needed=False).fillna(v.UNKNOWN_SITE),
            v.PART: v.EVALUATE,
            v.FIELD_STRENGTH_T: 3.0,
            v.AGE_YEARS: age,
            v.SEX: table.code(_column(table, 31), _SEX, needed=True),
            v.DIAGNOSIS: _healthy(table),
            v.HEAD_SIZE_MM3: table.number(_column(table, _HEAD), 5e5, 3e6),
        }
    )
    regions = visits[[v.PARTICIPANT_ID, v.SESSION_ID, v.HEAD_SIZE_MM3]].copy()
    for field, name in _REGIONS.items():
        regions[name] = table.number(_column(table, field), 10, 3e6)
    measured = regions[list(_REGIONS.values())].notna().any(axis=1) & age.notna()
    if len(table) and not measured.any():
        fields = ", ".join(map(str, _REGIONS))
        problems.add(table.file, f"nobody has an age and a volume; expected fields 21003, {fields}")
    return Reading(
        visits=visits.loc[measured].reset_index(drop=True),
        tables={"regions": regions.loc[measured].reset_index(drop=True)},
        files=(path,) if path else (),
        left_out={"people without an imaging visit": int((~measured).sum())},
        tasks={"brain_age": "no hospital code of dementia, Parkinson's disease, MS or stroke"},
    )


def _column(table: ReleasedTable, field: int) -> str:
    """A field at the first imaging visit, as this extract spells it; sex has instance 0 alone."""
    spellings = [f"{field}-2.0", f"p{field}_i2", f"{field}-0.0", f"p{field}"]
    wanted = spellings[2:] if field == 31 else spellings[:2]
    return next((name for name in wanted if name in table), wanted[0])


def _healthy(table: ReleasedTable) -> pd.Series:
    """CN where no hospital code tells otherwise; several columns or one list of codes."""
    columns = [c for c in map(str, table.frame) if c.startswith(("41270-", "p41270"))]
    codes = pd.Series("", index=table.frame.index, dtype=str)
    for column in columns:
        codes = codes + " " + table.frame[column]
    ill = codes.str.contains(_ILL)
    return pd.Series(v.CN, index=table.frame.index, dtype="object").where(~ill, None)


def _visit_of(scan: str, sessions: Sequence[str]) -> tuple[str, float] | None:
    """Instance 2 as the release (``2``) and Clinica (months after it) name it; no later one."""
    if not re.fullmatch(r"ses-M?\d+", scan):
        return None
    return (sessions[0], 0.0) if re.fullmatch(r"ses-(2|M0+)", scan) else NO_VISIT


UKB: Final = Adapter(
    name="ukb",
    title="UK Biobank: brain age at the first imaging visit",
    files=(
        ReleasedFile(
            "|".join(_TABLES),
            "an extract of your application: eid and fields 31, 21003, 54, 25010 to 25025, 26521, "
            "41270, instance 2",
        ),
    ),
    read=_read,
    source="UK Biobank, https://www.ukbiobank.ac.uk",
    licence="UK Biobank material transfer agreement",
    terms=(
        "UK Biobank material transfer agreement of your application: no attempt to identify "
        "participants, no redistribution; participants who withdraw are to be removed. Whoever "
        "holds the data has agreed to the text in full."
    ),
    citation=(
        "Alfaro-Almagro F, Jenkinson M, Bangerter NK, et al. Image processing and quality control "
        "for the first 10,000 brain imaging datasets from UK Biobank. NeuroImage 2018;166:400-424. "
        "doi:10.1016/j.neuroimage.2017.10.034"
    ),
    preparation="fields renamed; people without an age or a volume at instance 2 left out",
    visit_of=_visit_of,
)
