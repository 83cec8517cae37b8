"""ADNI: people with CN, MCI or AD and their follow-up, from the merged table and two others.

Tables of https://adni.loni.usc.edu (LONI IDA, "Study Data"); column names and codes from ADNI's
data dictionary (``DATADIC``) and the documentation of ``ADNIMERGE``:

- ``ADNIMERGE``: one row a visit. ``VISCODE`` is ``bl`` or ``m06``, months after baseline; ``DX`` is
  CN, MCI or Dementia; ``DX_bl`` the group at baseline (SMC are CN, EMCI and LMCI are MCI); ``AGE``
  the age at baseline. ``Hippocampus`` to ``MidTemp`` and ``ICV`` are volumes in mm3 by FreeSurfer
  (UCSF). CSF ``ABETA TAU PTAU`` in pg/ml; ``<200`` and ``>1700`` mark the limits of the assay and
  are taken as the limit.
- ``DXSUM`` (diagnoses of all phases): ``DIAGNOSIS`` 1 CN, 2 MCI, 3 dementia; older releases have
  ``DXCHANGE`` (1 to 9, the state after the change counts) and ``DXCURREN``. It fills what the
  merged table lacks and adds later visits; codes of other phases' own calendars are no visit.
- ``APOERES``: ``APGEN1 APGEN2``, or ``GENOTYPE`` as ``3/4``.
- lists of images, by which scans find their visit: :mod:`benchmark.cohorts.held.adni_images`.

``conversion`` follows Bron et al. 2021, 10.1016/j.nicl.2021.102712, with dementia as the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held import adni_images, loni
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile
from benchmark.cohorts.held.released import ReleasedTable, find_one

__all__ = ["ADNI"]

_MERGE: Final = "ADNIMERGE*.csv"
_DIAGNOSES: Final = "DXSUM*.csv"
_GENOTYPES: Final = "APOERES*.csv"
_MISSING: Final = ("-4", "-1")
_STATE: Final = {"CN": v.CN, "MCI": v.MCI, "Dementia": v.AD}
_GROUP: Final = {
    "CN": v.CN,
    "SMC": v.CN,
    "EMCI": v.MCI,
    "LMCI": v.MCI,
    "MCI": v.MCI,
    "AD": v.AD,
    "Dementia": v.AD,
}
_DIAGNOSIS: Final = {"1": v.CN, "2": v.MCI, "3": v.AD}
_CHANGE: Final = {
    "1": v.CN,
    "2": v.MCI,
    "3": v.AD,  # stable
    "4": v.MCI,
    "5": v.AD,
    "6": v.AD,  # conversion
    "7": v.CN,
    "8": v.MCI,
    "9": v.CN,  # reversion
}
_FIELD_STRENGTH_T: Final = {"1.5 Tesla MRI": 1.5, "3 Tesla MRI": 3.0}
_REGIONS: Final = ("Ventricles", "Hippocampus", "WholeBrain", "Entorhinal", "Fusiform", "MidTemp")
_FLUIDS: Final = {"ABETA": "abeta42_pg_ml", "TAU": "tau_pg_ml", "PTAU": "p_tau181_pg_ml"}
_COLUMNS: Final = (
    *("RID", "PTID", "SITE", "VISCODE", "DX_bl", "AGE", "PTGENDER", "PTEDUCAT", "APOE4", "MMSE"),
    *("FAQ", "FLDSTRENG", *_REGIONS, "ICV", "DX", *_FLUIDS),
)


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    path = find_one(root, problems, _MERGE)
    table = ReleasedTable.read(path, problems, _COLUMNS, name=path.name if path else _MERGE)
    visits = _visits(table)
    files = [path]
    later = find_one(root, problems, _DIAGNOSES)
    if later:
        visits = _with_diagnoses(visits, ReleasedTable.read(later, problems, ["RID"]))
        files.append(later)
    genes = find_one(root, problems, _GENOTYPES)
    if genes:
        alleles = loni.e4_alleles(ReleasedTable.read(genes, problems, ["RID"]))
        visits[v.APOE_E4] = visits[v.APOE_E4].fillna(visits["rid"].map(alleles))
        files.append(genes)
    n_all = visits["rid"].nunique()
    with_baseline = visits.loc[visits[v.IS_INDEX], "rid"]
    visits = visits.loc[visits["rid"].isin(with_baseline)].reset_index(drop=True)
    left_out = {"people without a baseline visit": n_all - visits["rid"].nunique()}
    images, lists = adni_images.read_images(root, problems)
    placed = adni_images.placed(images, visits, table) if lists else None
    files += lists
    keys = [v.PARTICIPANT_ID, v.SESSION_ID]
    regions = [c for c in visits if str(c).endswith("_mm3")]
    return Reading(
        visits=visits.drop(columns=["rid", *set(regions) - {v.HEAD_SIZE_MM3}, *_FLUIDS.values()]),
        tables={
            "regions": visits[[*keys, *regions]].dropna(subset=regions, how="all"),
            "biomarkers": visits[[*keys, *_FLUIDS.values()]].dropna(
                subset=list(_FLUIDS.values()), how="all"
            ),
        },
        placed=placed,
        files=tuple(file for file in files if file),
        left_out={why: n for why, n in left_out.items() if n},
        tasks={
            "dx3": "the diagnosis at baseline (ADNI, DX; DX_bl where it is missing)",
            "conversion": "MCI at baseline; dementia within 36 months against none until 36 months "
            "or later (Bron et al. 2021)",
            "brain_age": "CN at baseline",
        },
    )


def _visits(table: ReleasedTable) -> pd.DataFrame:
    rid = table.number("RID", 1, 99999, needed=True)
    people = adni_images.participant_ids(table, "PTID")
    months = loni.visit_months(table.text("VISCODE", loni.VISIT))
    table.refuse_repeats(
        ["VISCODE"], pd.DataFrame({"rid": rid, "months": months}), "this person's visit"
    )
    first = (months == 0).to_numpy()
    state = table.code("DX", _STATE, missing=_MISSING)
    group = table.code("DX_bl", _GROUP, missing=_MISSING)
    visits = pd.DataFrame(
        {
            "rid": rid,
            v.PARTICIPANT_ID: people,
            v.SESSION_ID: loni.session(months),
            v.VISIT_MONTHS: months,
            v.IS_INDEX: first,
            v.SITE_ID: table.text("SITE", needed=False).fillna(v.UNKNOWN_SITE),
            v.PART: v.EVALUATE,
            v.AGE_YEARS: table.number("AGE", 40, 110, missing=_MISSING) + months / 12,
            v.SEX: table.code("PTGENDER", {"Male": "M", "Female": "F"}, missing=_MISSING),
            v.EDUCATION_YEARS: table.number("PTEDUCAT", 0, 30, missing=_MISSING),
            v.DIAGNOSIS: state.where(state.notna() | ~first, group),
            v.APOE_E4: table.number("APOE4", 0, 2, missing=_MISSING),
            v.MMSE: table.number("MMSE", 0, 30, missing=_MISSING),
            v.FAQ_TOTAL: table.number("FAQ", 0, 30, missing=_MISSING),
            v.FIELD_STRENGTH_T: table.code("FLDSTRENG", _FIELD_STRENGTH_T).astype(np.float64),
            v.HEAD_SIZE_MM3: table.number("ICV", 5e5, 3e6, missing=_MISSING),
        }
    )
    for name in _REGIONS:
        visits[f"{name.lower()}_mm3"] = table.number(name, 100, 3e6, missing=_MISSING)
    for column, name in _FLUIDS.items():
        visits[name] = _within_limits(table, column)
    return visits.loc[months.notna()].reset_index(drop=True)


def _within_limits(table: ReleasedTable, column: str) -> pd.Series:
    """A concentration; ``<200`` and ``>1700`` become 200 and 1700."""
    if column in table:
        frame = table.frame.assign(
            **{column: table.frame[column].str.replace(r"^[<>]", "", regex=True)}
        )
        table = ReleasedTable(table.file, frame, table.problems)
    return table.number(column, 0, 1e5, missing=_MISSING)


def _with_diagnoses(visits: pd.DataFrame, table: ReleasedTable) -> pd.DataFrame:
    """Fills missing diagnoses, and adds visits of known people with a diagnosis alone."""
    code = next((c for c in ("VISCODE2", "VISCODE") if c in table), "VISCODE2")
    found = pd.DataFrame(
        {
            "rid": table.number("RID", 1, 99999, needed=True),
            v.VISIT_MONTHS: loni.visit_months(table.text(code, needed=False)),
            "found": _state(table),
        }
    ).dropna()
    found = found.drop_duplicates(["rid", v.VISIT_MONTHS], keep="last")
    visits = visits.merge(found, on=["rid", v.VISIT_MONTHS], how="outer")
    known = visits.groupby("rid")[[v.PARTICIPANT_ID, v.SITE_ID]].transform("first")
    new = visits[v.PARTICIPANT_ID].isna()
    visits[v.DIAGNOSIS] = visits[v.DIAGNOSIS].where(visits[v.DIAGNOSIS].notna(), visits["found"])
    visits[v.PARTICIPANT_ID] = visits[v.PARTICIPANT_ID].fillna(known[v.PARTICIPANT_ID])
    visits[v.SITE_ID] = visits[v.SITE_ID].fillna(known[v.SITE_ID])
    visits[v.SESSION_ID] = loni.session(visits[v.VISIT_MONTHS])
    visits[v.PART] = v.EVALUATE
    visits[v.IS_INDEX] = np.where(new, False, visits[v.IS_INDEX]).astype(bool)
    kept = visits[v.PARTICIPANT_ID].notna() & ~(new & (visits[v.VISIT_MONTHS] == 0))
    return visits.loc[kept].drop(columns="found").reset_index(drop=True)


def _state(table: ReleasedTable) -> pd.Series:
    """The state at a visit, from whichever column the phase filled."""
    state = pd.Series(None, index=table.frame.index, dtype="object")
    for column, codes in (
        ("DIAGNOSIS", _DIAGNOSIS),
        ("DXCHANGE", _CHANGE),
        ("DXCURREN", _DIAGNOSIS),
    ):
        if column in table:
            state = state.where(state.notna(), table.code(column, codes, missing=_MISSING))
    return state


ADNI: Final = Adapter(
    name="adni",
    title="ADNI: cognitively normal, MCI and Alzheimer's dementia, with follow-up",
    files=(
        ReleasedFile(
            _MERGE,
            "key tables merged (LONI IDA, Study Data, Test Data, ADNIMERGE), one row a visit",
        ),
        ReleasedFile(
            _DIAGNOSES, "diagnostic summary (Assessments, Diagnosis), all phases", needed=False
        ),
        ReleasedFile(_GENOTYPES, "APOE genotyping (Biospecimen)", needed=False),
        *adni_images.FILES,
    ),
    read=_read,
    source="Alzheimer's Disease Neuroimaging Initiative, https://adni.loni.usc.edu",
    licence="ADNI data use agreement",
    terms=(
        "ADNI data use agreement, https://adni.loni.usc.edu/data-samples/adni-data/: no attempt to "
        "identify participants, no redistribution, ADNI in the author line and the acknowledgement "
        "of every publication, manuscripts to ADNI's publications committee before submission. "
        "Whoever holds the data has agreed to the text in full."
    ),
    citation=(
        "Petersen RC, Aisen PS, Beckett LA, et al. Alzheimer's Disease Neuroimaging Initiative "
        "(ADNI): clinical characterization. Neurology 2010;74(3):201-209. "
        "doi:10.1212/WNL.0b013e3181cb3e25"
    ),
    preparation=(
        "columns renamed; age at a visit is the age at baseline and the months since; missing "
        "diagnoses and later visits from the diagnostic summary; fluid proteins beyond an assay's "
        "limit set to the limit; -4 and -1 are missing"
    ),
    visit_of=loni.visit_of,
)
