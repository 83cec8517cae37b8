"""A small board with known content, made by the project's own scoring and ranking.

Eight methods over three cohorts: ``phantom-memory`` (AD against CN, and age from the brain),
``phantom-external`` (the same AD against CN, scored externally) and ``ad-csf`` (real people's role).
The numbers come from draws of a normal latent, so every row's strength is set here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from benchmark.results.ledger import Gap, Ledger, RowFacts, RowKey

FOLDS = 3
MEMORY, EXTERNAL, CSF = "phantom-memory", "phantom-external", "ad-csf"

# method: (title, track, separation of the classes in standard deviations, CPU seconds, parameters)
METHODS = {
    "chance": ("Chance", "none", 0.0, 0.1, None),
    "age_sex": ("Age and sex", "demographic", 0.5, 0.4, 3),
    "regional_linear": ("Regional volumes, linear", "t1w", 1.45, 2.0, 95),
    "voxel_svm": ("Linear SVM on voxels", "t1w", 1.4, 31.0, 76_800),
    "resnet3d": ("3D ResNet", "t1w", 1.5, 312.0, 463_000),
    "brain_adapter": ("Brain-Adapter", "t1w+report", 2.2, 290.0, 1_250_000),
    "neurobridge": ("NeuroBridge <mini>", "t1w", 1.5, 305.0, 890_000),
    "biomarker_linear": ("Biomarkers, linear", "biomarker", 1.8, 1.2, 128),
}
SYNTHETIC = {MEMORY: True, EXTERNAL: True, CSF: False}
FAILURE = "RuntimeError: loss is NaN at epoch 3"


def _facts(method: str) -> RowFacts:
    title, _, _, seconds, params = METHODS[method]
    return RowFacts(
        title=title,
        tuned=method == "resnet3d",
        profile="smoke",
        fit_seconds=seconds * 1.1,
        cpu_seconds=seconds,
        peak_memory_mib=900.0,
        params=params,
        test_evaluations=2,
    )


def _people(cohort: str, n: int) -> pd.DataFrame:
    ids = [f"{cohort}-{i:04d}" for i in range(n)]
    half = np.arange(n) % 5 >= 3 if cohort == CSF else np.arange(n) % 2 == 1
    return pd.DataFrame({"participant_id": ids, "y_true": half.astype(float)})


def _binary(cohort: str, n: int, separation: float, seed: int, folds: bool = True) -> pd.DataFrame:
    frame = _people(cohort, n)
    shared = np.random.default_rng(7).standard_normal(n)
    own = np.random.default_rng(seed).standard_normal(n)
    latent = separation * (frame["y_true"] - 0.5) + 0.8 * shared + 0.6 * own
    if separation == 0.0:
        latent = pd.Series(np.zeros(n))
    p = 1 / (1 + np.exp(-latent))
    frame = frame.assign(prob_0=1 - p, prob_1=p, seed=0)
    return frame.assign(fold=np.arange(n) % 30 // 10) if folds else frame


def _ages(n: int, error_years: float, seed: int) -> pd.DataFrame:
    age = np.random.default_rng(3).uniform(55, 85, n)
    guess = age + np.random.default_rng(seed).normal(0, error_years, n)
    ids = [f"{MEMORY}-{i:04d}" for i in range(n)]
    frame = pd.DataFrame({"participant_id": ids, "y_true": age, "y_pred": guess, "seed": 0})
    return frame.assign(fold=np.arange(n) % 30 // 10)


def ledgers() -> list[Ledger]:
    """Whole rows: every method where it can run, and the oracle on the phantoms."""
    rows = []
    for seed, (method, (_, track, separation, _, _)) in enumerate(METHODS.items()):
        facts = _facts(method)
        if method == "biomarker_linear":
            frame = _binary(CSF, 100, separation, seed)
            rows.append(Ledger(RowKey(CSF, "impaired", track, "3fold", method), frame, facts))
            continue
        if method != "neurobridge":
            frame = _binary(MEMORY, 180, separation, seed)
            rows.append(Ledger(RowKey(MEMORY, "ad_cn", track, "3fold", method), frame, facts))
        if method in ("chance", "age_sex"):
            frame = _binary(CSF, 100, separation, seed)
            rows.append(Ledger(RowKey(CSF, "impaired", track, "3fold", method), frame, facts))
        if method in ("age_sex", "regional_linear", "resnet3d"):
            parts = [_binary(EXTERNAL, 90, separation * 0.7, 50 * k + seed) for k in range(FOLDS)]
            frame = pd.concat([p.assign(fold=k) for k, p in enumerate(parts)])
            key = RowKey(EXTERNAL, "ad_cn", track, "external", method)
            rows.append(Ledger(key, frame, facts))
        if method in ("regional_linear", "resnet3d", "voxel_svm"):
            frame = _ages(90, {"regional_linear": 5.0, "resnet3d": 4.6, "voxel_svm": 7.5}[method], seed)
            rows.append(Ledger(RowKey(MEMORY, "brain_age", track, "3fold", method), frame, facts))
    oracle = _binary(MEMORY, 180, 2.4, 99, folds=False)
    key = RowKey(MEMORY, "ad_cn", "t1w", "3fold", "oracle")
    rows.append(Ledger(key, oracle, RowFacts(title="Oracle", profile="smoke")))
    return rows


def gaps() -> list[Gap]:
    """One failed row and one that never ran."""
    failed = RowKey(MEMORY, "ad_cn", "t1w", "3fold", "neurobridge")
    missing = RowKey(EXTERNAL, "ad_cn", "t1w", "external", "voxel_svm")
    return [
        Gap(failed, "failed", FAILURE, _facts("neurobridge")),
        Gap(missing, "missing", "3 runs are missing", _facts("voxel_svm")),
    ]


def runs() -> pd.DataFrame:
    """One record for each run of ``phantom-memory`` that the plans ask for."""
    return pd.DataFrame(
        {
            "run_id": f"{method}{fold}".ljust(16, "0"),
            "method": method,
            "cohort": MEMORY,
            "tasks": "ad_cn",
            "track": METHODS[method][1],
            "protocol": "3fold",
            "fold": fold,
            "seed": 0,
            "status": "failed" if method == "neurobridge" and fold == 1 else "done",
            "error": FAILURE if method == "neurobridge" and fold == 1 else "",
            "profile": "smoke",
            "fit_seconds": METHODS[method][3],
        }
        for method in METHODS
        if method != "biomarker_linear"
        for fold in range(FOLDS)
    )


def cards() -> pd.DataFrame:
    """A card for each method; one carries HTML that must not become part of the page."""
    return pd.DataFrame(
        {
            "method": method,
            "title": title,
            "summary": f"{title} in one sentence.",
            "paper": "Wen et al. 2020" if method == "resnet3d" else "",
            "doi": "10.1016/j.media.2020.101694" if method == "resnet3d" else "",
            "licence": "Apache-2.0",
            "contact": "",
            "tracks": track,
            "tasks": "ad_cn",
            "pretraining": "",
            "config_yaml": "epochs: 12\n",
            "readme_md": "# Notes\n<script>document.title = 'taken over'</script>",
            "bibtex": "@article{wen2020,\n  year = {2020}\n}" if method == "resnet3d" else "",
            "command": f"neurodx run method={method}",
        }
        for method, (title, track, *_) in METHODS.items()
    )


FACTS = {
    "profile": "smoke",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "date": "2026-11-22T12:00:00+00:00",
    "data_hashes": {MEMORY: "d1" * 32, EXTERNAL: "d2" * 32, CSF: "d3" * 32},
    "split_hashes": {f"{MEMORY}/3fold": "a1" * 32, f"{CSF}/3fold": "a2" * 32},
    "versions": {"python": "3.11", "numpy": "2.4"},
}
