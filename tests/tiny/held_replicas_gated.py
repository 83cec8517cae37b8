"""Replicas of gated releases: made-up people in the exact format. Nobody in them is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def write_adni(root: Path, n: int = 120) -> Path:
    """In turn CN, sMCI, pMCI, AD, four visits each; the last diagnosis is in DXSUM alone."""
    rng = np.random.default_rng(4)
    root.mkdir(parents=True, exist_ok=True)
    courses = {
        0: ("CN", "CN", "CN", "1"),
        1: ("MCI", "MCI", "MCI", "2"),
        2: ("MCI", "MCI", "Dementia", "3"),
        3: ("Dementia", "Dementia", "Dementia", "3"),
    }
    groups = ("CN", "LMCI", "EMCI", "AD")
    rows, later, genes = [], [], []
    for i in range(n):
        ptid = f"{i % 5 + 2:03d}_S_{i + 1:04d}"
        kind, sick = i % 4, (0, 1, 2, 3)[i % 4]
        age, icv = round(float(rng.uniform(58, 88)), 1), int(rng.integers(1_300_000, 1_800_000))
        for code, dx in zip(("bl", "m12", "m24"), courses[kind][:3], strict=True):
            first = code == "bl"
            rows.append(
                {
                    "RID": i + 1,
                    "COLPROT": "ADNI1",
                    "ORIGPROT": "ADNI1",
                    "PTID": ptid,
                    "SITE": i % 5 + 2,
                    "VISCODE": code,
                    "EXAMDATE": "2006-01-01",
                    "DX_bl": groups[kind],
                    "AGE": age,
                    "PTGENDER": ("Female", "Male")[(i // 4) % 2],
                    "PTEDUCAT": 10 + i % 10,
                    "APOE4": "" if i % 10 == 0 else i % 3,
                    "ABETA": (">1700", "900.5", "<200")[i % 3] if first else "",
                    "TAU": round(200 + 40 * sick + rng.normal(0, 20), 1) if first else "",
                    "PTAU": "<8" if first and i % 7 == 0 else (20 + 3 * sick if first else ""),
                    "MMSE": 29 - sick,
                    "FAQ": "" if i % 11 == 0 else 3 * sick,
                    "FLDSTRENG": ("1.5 Tesla MRI", "3 Tesla MRI")[i % 2] if first else "",
                    "Ventricles": int(rng.integers(15_000, 60_000)) if first else "",
                    "Hippocampus": int(7500 - 500 * sick + rng.normal(0, 300)) if first else "",
                    "WholeBrain": int(icv * 0.68) if first else "",
                    "Entorhinal": 3800 - 200 * sick if first else "",
                    "Fusiform": 17_000 if first else "",
                    "MidTemp": 20_000 if first else "",
                    "ICV": icv if first else "",
                    "DX": "" if first and i % 15 == 0 else dx,
                }
            )
        for code, dx in (("bl", courses[kind][3] if kind != 2 else "2"), ("m48", courses[kind][3])):
            later.append(
                {"PHASE": "ADNI1", "PTID": ptid, "RID": i + 1, "VISCODE2": code, "DIAGNOSIS": dx}
            )
        genes.append({"PTID": ptid, "RID": i + 1, "GENOTYPE": ("3/3", "3/4", "4/4")[i % 3]})
    later.append({"PHASE": "ADNI1", "PTID": "", "RID": 5000, "VISCODE2": "m12", "DIAGNOSIS": "1"})
    pd.DataFrame(rows).to_csv(root / "ADNIMERGE_01Jan2025.csv", index=False)
    pd.DataFrame(later).to_csv(root / "DXSUM_01Jan2025.csv", index=False)
    pd.DataFrame(genes).to_csv(root / "APOERES_01Jan2025.csv", index=False)
    return root


def write_oasis3(root: Path, n: int = 90) -> Path:
    """In turn CDR 0; 0.5, then 1 with AD; 1 by another cause. No scan is near the first visit."""
    rng = np.random.default_rng(5)
    root.mkdir(parents=True, exist_ok=True)
    visits, people, scans = [], [], []
    courses = (
        (("0", "Cognitively normal"), ("0", "Cognitively normal")),
        (("0.5", "uncertain dementia"), ("1", "AD Dementia")),
        (("1", "Vascular Demt- primary"), ("1", "Vascular Demt- primary")),
    )
    for i in range(n):
        who = f"OAS3{i + 1:04d}"
        (first, words), (last, final) = courses[i % 3]
        for day, cdr, dx in ((0, first, words), (400, first, words), (1100, last, final)):
            visits.append(
                {
                    "OASISID": who,
                    "OASIS_session_label": f"{who}_UDSb4_d{day:04d}",
                    "days_to_visit": f"{day:04d}",
                    "age at visit": round(65 + i % 20 + day / 365.25, 2),
                    "MMSE": 29 if cdr == "0" else 24,
                    "CDRSUM": 2 * float(cdr),
                    "CDRTOT": cdr,
                    "dx1": dx,
                }
            )
        people.append(
            {
                "OASISID": who,
                "AgeatEntry": 65 + i % 20,
                "GENDER": 1 + (i // 3) % 2,
                "EDUC": 12 + i % 8,
                "APOE": ("33", "34", "44", "")[i % 4],
            }
        )
        for day, status in ((450, "Passed"), (1100, "Passed with edits"), (410, "Failed")):
            scans.append(
                {
                    "FS_FSDATA ID": f"{who}_Freesurfer53_d{day:04d}",
                    "Subject": who,
                    "MR_session": f"{who}_MR_d{day:04d}",
                    "version": "freesurfer-Linux-centos6_x86_64-stable-pub-v5.3.0-HCP-patch",
                    "FS QC Status": status,
                    "IntraCranialVol": int(rng.integers(1_300_000, 1_800_000)),
                    "Left-Hippocampus_volume": 3500 - 300 * (i % 3) + day / 100,
                    "lh_entorhinal_thickness": 3.2,
                }
            )
    pd.DataFrame(visits).to_csv(root / "OASIS3_UDSb4_cdr.csv", index=False)
    pd.DataFrame(people).to_csv(root / "OASIS3_demographics.csv", index=False)
    pd.DataFrame(scans).to_csv(root / "OASIS3_Freesurfer_output.csv", index=False)
    return root


def write_aibl(root: Path, n: int = 80) -> Path:
    """In turn healthy, sMCI, pMCI, AD, seen at baseline and at 18, 36 and 54 months."""
    root.mkdir(parents=True, exist_ok=True)
    courses = ("1111", "2222", "2333", "3333")
    rows: dict[str, list[dict[str, object]]] = {k: [] for k in ("pdxconv", "mmse", "cdr")}
    people, genes = [], []
    for i in range(n):
        rid = i + 2
        for code, year, state in zip(
            ("bl", "m18", "m36", "m54"), (2007, 2008, 2010, 2011), courses[i % 4], strict=True
        ):
            key = {"RID": rid, "SITEID": 1 + i % 2, "VISCODE": code}
            dated = key | {"EXAMDATE": f"07/02/{year}"}
            gone = i % 9 == 0 and code == "m54"
            rows["pdxconv"].append(key | {"DXCURREN": -4 if gone else (7 if i == 3 else state)})
            rows["mmse"].append(dated | {"MMSCORE": 30 - 2 * int(state)})
            rows["cdr"].append(dated | {"CDGLOBAL": {"1": 0, "2": 0.5, "3": 1}[state]})
        people.append(
            {"RID": rid, "SITEID": 1 + i % 2, "VISCODE": "bl", "PTGENDER": 1 + i // 4 % 2}
            | {"PTDOB": f"/{1925 + i % 25}"}
        )
        genes.append({"RID": rid, "VISCODE": "bl", "APGEN1": 3, "APGEN2": 3 + i % 2})
    for name, table in {**rows, "ptdemog": people, "apoeres": genes}.items():
        pd.DataFrame(table).to_csv(root / f"aibl_{name}_01-Jun-2018.csv", index=False)
    return root


def write_ppmi(root: Path, n: int = 80) -> Path:
    """PD and controls in turn; the consensus calls person 1 a control; 3 is SWEDD, 5 prodromal."""
    rng = np.random.default_rng(6)
    root.mkdir(parents=True, exist_ok=True)
    ids = [3000 + i for i in range(n)]
    cohort = [1 + i % 2 for i in range(n)]
    cohort[3], cohort[5] = 3, 4
    consensus = ["" if i % 4 == 2 else c for i, c in enumerate(cohort)]
    consensus[0] = 2
    status = pd.DataFrame({"PATNO": ids, "COHORT": cohort, "CONCOHORT": consensus})
    status["ENROLL_AGE"] = rng.uniform(45, 80, n).round(1)
    status.to_csv(root / "Participant_Status_01Jan2025.csv", index=False)
    people = pd.DataFrame({"REC_ID": range(n), "PATNO": ids, "EVENT_ID": "TRANS"})
    people.assign(SEX=[i // 2 % 2 for i in range(n)]).to_csv(
        root / "Demographics_01Jan2025.csv", index=False
    )
    pd.DataFrame({"PATNO": ids, "EVENT_ID": "SC", "EDUCYRS": 16}).to_csv(
        root / "Socio-Economics_01Jan2025.csv", index=False
    )
    scans = pd.DataFrame({"PATNO": ids, "EVENT_ID": "BL", "EstimatedTotalIntraCranialVol": 1.5e6})
    scans["Left-Putamen"] = [4500 - 300 * (c == 1) for c in cohort]
    later = scans.assign(EVENT_ID="V04", **{"Left-Putamen": 1000})
    pd.concat([later, scans]).to_csv(root / "FS7_ASEG_VOL_01Jan2025.csv", index=False)
    pd.DataFrame({"PATNO": ids, "EVENT_ID": "BL", "lh_cuneus": 2.1, "RH_CUNEUS_CTH": 2.2}).to_csv(
        root / "FS7_APARC_CTH_01Jan2025.csv", index=False
    )
    return root


def write_ukb(root: Path, n: int = 60, *, platform: bool = False) -> Path:
    """Person 2 has no imaging visit, person 3 a code of dementia; in either spelling of fields."""
    rng = np.random.default_rng(7)
    root.mkdir(parents=True, exist_ok=True)
    ages = rng.integers(45, 82, n)
    table = pd.DataFrame({"eid": range(1_000_001, 1_000_001 + n)})
    table["p31"] = [i % 2 for i in range(n)]
    table["p21003_i0"] = ages - 8
    table["p21003_i2"] = ages
    table["p54_i2"] = [11025 + i % 3 for i in range(n)]
    table["p26521_i2"] = 1_500_000
    table["p25010_i2"] = 1_300_000 - 4000 * ages
    for field in range(25011, 25026):
        table[f"p{field}_i2"] = (field - 25000) * 100 + rng.normal(0, 20, n).round(1)
    table["p41270"] = ["['G309', 'I10']" if i == 2 else "['I10']" for i in range(n)]
    measured = [c for c in table if c.endswith("_i2")]
    table[measured] = table[measured].astype(object)
    table.loc[1, measured] = ""
    if not platform:
        table = table.drop(columns="p41270").assign(**{"41270-0.0": "I10", "41270-0.1": ""})
        table.loc[2, "41270-0.1"] = "G309"
        names = {
            c: c[1:].replace("_i", "-") + ".0" for c in table if c.startswith("p") and "_i" in c
        }
        table = table.rename(columns=names | {"p31": "31-0.0"})
    name = "cohort_participant.csv" if platform else "ukb12345.csv"
    table.to_csv(root / name, index=False)
    return root
