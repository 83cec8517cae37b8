"""The DVC stage of the claims: in a pipeline of its own, so that ``dvc repro`` never starts it."""

from __future__ import annotations

from typing import Any, Final

import yaml

from benchmark.ablations.claims import load_claims
from benchmark.config import Profile, load_suite
from benchmark.registry import ROOT
from benchmark.runs.pipeline import FIT_CODE
from benchmark.runs.rows import Row, resolve_row

__all__ = ["ABLATION_PIPELINE", "ablation_pipeline_text"]

ABLATION_PIPELINE: Final = "profiles/mini/dvc.yaml"
_HEADER = """\
# Written by `neurodx pipeline`; change configs/ablation/ and run it again.
# Run it with `dvc repro profiles/mini/dvc.yaml`, which calls `neurodx ablate`; up to two hours.
"""
_JUDGE_CODE = ("ablations", "metrics", "results", "stats")


def ablation_pipeline_text(profile: Profile) -> str:
    """Returns the text of the pipeline of the default profile's claims."""
    claims = load_claims()
    rows = [
        resolve_row(arm.row, profile, arm.config)
        for c in claims.values()
        for arm in c.arms.values()
    ]
    cohorts = {name for row in rows for name in _suite(row, profile)}
    cohorts |= {c.cohort for c in claims.values()} | {c.external for c in claims.values()}
    named = sorted(cohorts - {""})
    folders = {row.info.folder for row in rows if row.info.folder}
    pretrained = {row.pretrained for row in rows} & set(profile.pretraining)
    stage: dict[str, Any] = {
        "wdir": "../..",
        "cmd": f"neurodx ablate --profile {profile.name}",
        "deps": [
            "configs/ablation",
            "reports/splits.json",
            *(f"benchmark/{name}" for name in sorted({*FIT_CODE, *_JUDGE_CODE})),
            *sorted(folder.relative_to(ROOT).as_posix() for folder in folders),
            *(f"data/{name}" for name in named),
            *(f"splits/{name}" for name in named),
            *(f"pretrained/{name}" for name in sorted(pretrained)),
        ],
        "params": [{f"configs/profile/{profile.name}.yaml": ["protocol", "plan", "settings"]}],
        "outs": [{"ablations": {"cache": False, "persist": True}}],
    }
    return _HEADER + yaml.safe_dump({"stages": {"ablate": stage}}, sort_keys=False, width=100)


def _suite(row: Row, profile: Profile) -> list[str]:
    return list(load_suite(row.suite, profile).parts) if row.suite else []
