"""Replicas of releases: made-up people in the exact format of the files. Nobody in them is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DKT = [
    "caudal.anterior.cingulate",
    "caudal.middle.frontal",
    "cuneus",
    "entorhinal",
    "fusiform",
    "inferior.parietal",
    "inferior.temporal",
    "isthmus.cingulate",
    "lateral.occipital",
    "lateral.orbitofrontal",
    "lingual",
    "medial.orbitofrontal",
    "middle.temporal",
    "parahippocampal",
    "paracentral",
    "pars.opercularis",
    "pars.orbitalis",
    "pars.triangularis",
    "pericalcarine",
    "postcentral",
    "posterior.cingulate",
    "precentral",
    "precuneus",
    "rostral.anterior.cingulate",
    "rostral.middle.frontal",
    "superior.frontal",
    "superior.parietal",
    "superior.temporal",
    "supramarginal",
    "transverse.temporal",
    "insula",
]


def thickness(ids: list[str], ages: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """``ants_thickness.csv``: 62 regions, thinner with age."""
    columns = {
        f"{side}.{region}": 3.5 - 0.012 * ages + rng.normal(0, 0.15, len(ids))
        for side in ("left", "right")
        for region in DKT
    }
    return pd.DataFrame({"Subject": ids, **columns})


def write_oasis1(root: Path, n_old: int = 60, n_young: int = 20) -> Path:
    """People of 60 and over, half of them impaired, younger ones without a rating, two rescans."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    n = n_old + n_young
    ages = np.r_[rng.integers(60, 96, n_old), rng.integers(18, 60, n_young)]
    cdr = [("0", "0.5", "0", "1")[i % 4] for i in range(n_old)] + [""] * n_young
    share = 0.95 - 0.0025 * ages - np.array([0.04 * (c in ("0.5", "1")) for c in cdr])
    table = pd.DataFrame(
        {
            "ID": [f"OAS1_{i + 1:04d}_MR1" for i in range(n)],
            "M/F": ["FM"[i % 2] for i in range(n)],
            "Hand": "R",
            "Age": ages,
            "Educ": [str(i % 5 + 1) if c else "" for i, c in enumerate(cdr)],
            "SES": [str(i % 5 + 1) if c else "" for i, c in enumerate(cdr)],
            "MMSE": ["29" if c in ("", "0") else "24" for c in cdr],
            "CDR": cdr,
            "eTIV": rng.integers(1200, 1900, n),
            "nWBV": (share + rng.normal(0, 0.01, n)).round(3),
            "ASF": 1.2,
            "Delay": "N/A",
        }
    )
    again = table.tail(2).assign(
        ID=[f"OAS1_{n - 1:04d}_MR2", f"OAS1_{n:04d}_MR2"], Delay=["7", "89"]
    )
    table = pd.concat([table, again], ignore_index=True)
    table.to_csv(root / "oasis_cross-sectional.csv", index=False)
    scans = [f"{i}_mpr_n4_anon_sbj_111" for i in table["ID"]]
    measured = thickness([f"{s}.nii.gz" for s in scans], table["Age"].to_numpy(float), rng)
    measured.iloc[1:].to_csv(root / "ants_thickness.csv", index=False)  # one scan failed
    volumes = pd.DataFrame(
        {"Subject": scans, "BrainVolumes": rng.integers(10**6, 2 * 10**6, n + 2)}
    )
    volumes.to_csv(root / "ants_brain_volumes.csv", index=False)
    return root


def write_oasis2(root: Path, n: int = 80) -> Path:
    """In turn: CDR 0 throughout; 0.5 and then 1; 0.5 throughout; 0 and then 0.5; three visits."""
    rng = np.random.default_rng(1)
    root.mkdir(parents=True, exist_ok=True)
    courses = (("0", "0", "0"), ("0.5", "1", "1"), ("0.5", "0.5", "0.5"), ("0", "0", "0.5"))
    groups = ("Nondemented", "Demented", "Demented", "Converted")
    rows = []
    for i in range(n):
        age, head = int(rng.integers(60, 94)), int(rng.integers(1200, 1900))
        for visit, (cdr, days) in enumerate(zip(courses[i % 4], (0, 500, 1200), strict=True), 1):
            rows.append(
                {
                    "Subject ID": f"OAS2_{i + 1:04d}",
                    "MRI ID": f"OAS2_{i + 1:04d}_MR{visit}",
                    "Group": groups[i % 4],
                    "Visit": visit,
                    "MR Delay": days,
                    "M/F": "FM"[(i // 4) % 2],
                    "Hand": "R",
                    "Age": age + days // 365,
                    "EDUC": 8 + i % 12,
                    "SES": "" if i % 9 == 0 else i % 5 + 1,
                    "MMSE": 29 if cdr == "0" else 25,
                    "CDR": cdr,
                    "eTIV": head,
                    "nWBV": round(0.95 - 0.0025 * age - 0.02 * float(cdr) + rng.normal(0, 0.01), 3),
                    "ASF": 1.1,
                }
            )
    pd.DataFrame(rows).to_csv(root / "oasis_longitudinal.csv", index=False)
    return root


def write_ixi(root: Path, n: int = 60) -> Path:
    """The age table names 5 twice (equal lines) and 7 twice (another sex); 9 has no age."""
    rng = np.random.default_rng(2)
    root.mkdir(parents=True, exist_ok=True)
    ages = rng.uniform(20, 86, n).round(2)
    people = pd.DataFrame({"Subject": range(1, n + 1), "Gender": 1 + np.arange(n) % 2, "Age": ages})
    other = people.iloc[[6]].assign(Gender=lambda t: 3 - t["Gender"])
    people.loc[8, "Age"] = np.nan
    pd.concat([people, people.iloc[[4]], other]).to_csv(root / "demographics.csv", index=False)
    scans = [f"IXI{i:03d}-{('Guys', 'HH', 'IOP')[i % 3]}-{700 + i:04d}" for i in range(1, n + 1)]
    measured = thickness(scans, ages, rng)
    measured.to_csv(root / "ants_thickness.csv", index=False)
    by_freesurfer = pd.DataFrame({"participant_id": [f"sub-{s[:6]}" for s in scans]})
    for side, long in (("lh", "left"), ("rh", "right")):
        for region in DKT:
            name = f"{side}_{region.replace('.', '')}_thickness"
            by_freesurfer[name] = measured[f"{long}.{region}"] - 0.3
    by_freesurfer["eTIV"] = rng.uniform(1.2e6, 1.9e6, n)
    by_freesurfer.to_csv(root / "IXI_aparc_thickness.csv", index=False)
    return root
