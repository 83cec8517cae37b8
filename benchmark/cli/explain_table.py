"""What `neurodx explain` prints of an explanation."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

__all__ = ["show"]


def show(folder: Path, console: Console) -> dict[str, str]:
    """Prints agreement and the randomisation check of a stored explanation.

    Args:
        folder: ``explanations/<row>/<cohort>__<task>__fold<k>``.
        console: Where to write.

    Returns:
        What was not given, with the reason.
    """
    facts = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    console.print(f"explained: {facts['explained']}", soft_wrap=True)
    if not facts["verified"]:
        console.print("no run vouches for this fit", style="yellow")
    refused: dict[str, str] = facts["refused"]
    for kind, why in refused.items():
        console.print(f"not given: {kind}: {why}", soft_wrap=True)
    if facts["hippocampus_map"]:
        console.print("beside the maps: hippocampus_map.npy, where the method finds it")
    for kind, known in facts["kinds"].items():
        check = known.get("sanity")
        if check and check["passed"] is None:
            console.print(
                f"randomisation check without verdict: {kind}: {check['reason']}", soft_wrap=True
            )
        elif check:
            word = "passed" if check["passed"] else "failed"
            console.print(
                f"randomisation check {word}: {kind}: rank correlation {check['spearman']:.2f} "
                f"(at most {check['most_spearman']}), SSIM {check['ssim']:.2f} "
                f"(below {check['below_ssim']:.2f})",
                soft_wrap=True,
            )
    if not facts["truth"]["known"]:
        console.print("the true change is not known here: no agreement")
        return refused
    kind = "synthetic cohort" if facts["synthetic"] else "cohort"
    table = Table(title=f"Agreement with the true change ({kind} {facts['cohort']})")
    for column in ("map", "AUPRC, grid", "AUPRC, head", "pointing, grid"):
        table.add_column(column)
    summary = pd.read_parquet(folder / "summary.parquet")
    plain = summary[(summary["group"] == "everybody") & (summary["against"] == "")]
    for name in dict.fromkeys([*facts["kinds"], *facts["truth"]["controls"]]):
        cells = [
            _cell(plain, name, region, score)
            for region, score in (("grid", "auprc"), ("head", "auprc"), ("grid", "pointing"))
        ]
        control = "" if name in facts["kinds"] else " (control)"
        table.add_row(f"{name}{control}", *cells)
    console.print(table)
    return refused


def _cell(summary: pd.DataFrame, kind: str, region: str, score: str) -> str:
    chosen = summary[
        (summary["kind"] == kind) & (summary["region"] == region) & (summary["score"] == score)
    ]
    if chosen.empty:
        return ""
    row = chosen.iloc[0]
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
