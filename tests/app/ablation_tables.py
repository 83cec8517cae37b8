"""Tables of tested claims for a board, made up: each kind of inside, and one that is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.ablations.claims import load_claims
from benchmark.ablations.inside_tables import EMBEDDING_COLUMNS, INSIDES_COLUMNS
from benchmark.ablations.report import write_lines

MEMORY = "phantom-memory"
CLASSES = ("CN", "MCI", "AD")
TASKS = ("dx3", "conversion", "pd_hc", "brain_age")
# claim, task, metric, lower, higher, scores, low, high, n
TESTED = (
    ("guided_over_single", "dx3", "roc_auc", "single task", "guided", 0.71, 0.76, 0.02, 0.08),
    ("guided_over_single", "mci_cn", "roc_auc", "single task", "guided", 0.66, 0.68, -0.01, 0.05),
    ("experts_over_shared", "dx3", "roc_auc", "one expert", "chosen experts", 0.7, 0.69, -0.04, 0),
    ("experts_over_shared_age", "brain_age", "mae", "one", "chosen", 5.1, 4.8, 0.1, 0.5),
    ("more_modalities", "dx3", "roc_auc", "text", "text and T1w", 0.72, 0.79, 0.04, 0.1),
    ("more_modalities", "dx3", "roc_auc", "text", "four modalities", 0.72, 0.81, 0.05, 0.13),
    ("tlp_over_fpm", "dx3", "roc_auc", "frozen", "trained", 0.77, 0.73, -0.07, -0.01),
)


def _lines() -> list[dict[str, Any]]:
    columns = ("claim", "task", "metric", "lower", "higher", "score_lower", "score_higher")
    lines = []
    for tested in TESTED:
        line = dict(zip((*columns, "low", "high"), tested, strict=True))
        line["difference"] = abs(line["score_higher"] - line["score_lower"])
        if line["high"] <= 0:
            line["difference"] *= -1
        age = line["metric"] == "mae"
        line |= {"cohort": "phantom-population" if age else MEMORY, "kind": "order", "seeds": 3}
        lines.append(line | {"n": 300})
    return lines


def _arm(claim: str, arm: str, row: str, array: str, title: str, task: str = "dx3") -> dict:
    facts = {"claim": claim, "arm": arm, "row": row, "cohort": MEMORY, "task": task}
    about = "How to read it." if array != "embedding_epoch_" else ""
    return facts | {"array": array, "title": title, "about": about, "fits": f"{row}-{task}"}


def _means(arm: dict, kind: str, items: tuple[str, ...], **more: float) -> list[dict]:
    lines = []
    for c, group in enumerate(CLASSES):
        for k, item in enumerate(items):
            value = 0.2 + 0.15 * k + 0.03 * c * (k - 1)
            line = {"kind": kind, "group": group, "item": item, "value": value, "n": 90 + c}
            lines.append(arm | line | {"low": value - 0.02, "high": value + 0.02} | more)
    return lines


def insides() -> pd.DataFrame:
    """A line of each kind."""
    gate = ("guided_over_single", "guided", "neurobridge", "gate", "Gate weights")
    streams = ("segmentation", "atrophy", "reconstruction")
    lines = _means(_arm(*gate), "by_class", streams)
    missing = _arm("guided_over_single", "single task", "neurobridge_single", *gate[3:])
    lines.append(missing | {"kind": "by_class", "note": "'gate' is not exposed by these settings"})
    routed = ("experts_over_shared", "chosen experts", "denseformer_moe", "routing", "Routing")
    for seed in (0, 1):
        for t, task in enumerate(TASKS):
            weights = np.roll([0.55, 0.45, 0.0, 0.0], t * (seed + 1))
            for e, weight in enumerate(weights):
                line = {"kind": "routing", "group": task, "item": f"expert {e + 1}"}
                line |= {"value": weight, "chosen": float(weight > 0), "seed": seed, "fold": 0}
                lines.append(_arm(*routed) | line | {"n": 100})
    overlap = {"kind": "overlap", "group": "dx3", "item": "conversion", "n": 300}
    lines.append(_arm(*routed) | overlap | {"value": 0.45, "low": 0.2, "high": 0.7})
    mass = ("more_modalities", "four modalities", "anchored_qformer", "cross_mass", "Attention")
    lines += _means(_arm(*mass), "by_class", ("text", "T1w", "fMRI", "genetics"))
    near = ("tlp_over_fpm", "trained", "brain_adapter", "embedding_epoch_", "Embeddings by epoch")
    epochs = ("epoch 1", "epoch 5", "epoch 9")
    lines += _means(_arm(*near), "neighbours", epochs, chance=0.33)
    whole = dict.fromkeys(("n", "seed", "fold"), "Int64")
    table = pd.DataFrame(lines, columns=[*INSIDES_COLUMNS])
    return table.astype(whole).fillna({"note": "", "group": "", "item": ""})


def maps() -> pd.DataFrame:
    """Three maps of the same 90 people."""
    arm = _arm(
        "tlp_over_fpm", "trained", "brain_adapter", "embedding_epoch_", "Embeddings by epoch"
    )
    rng = np.random.default_rng(0)
    lines = []
    for epoch in (1, 5, 9):
        for person in range(90):
            x, y = 0.25 * rng.normal(size=2) + 0.06 * epoch * (np.array([person % 3, 1]) - 1)
            line = {"epoch": epoch, "person": person, "group": CLASSES[person % 3], "x": x, "y": y}
            lines.append(arm | line | {"seed": 0, "fold": 0, "perplexity": 18.0})
    whole = dict.fromkeys(("epoch", "person", "seed", "fold"), "Int64")
    table = pd.DataFrame(lines, columns=[*EMBEDDING_COLUMNS]).astype(whole)
    return table.assign(x=table["x"].clip(-1, 1), y=table["y"].clip(-1, 1))


def write_ablations(board: Path) -> Path:
    """Adds the tables to a board."""
    write_lines(_lines(), load_claims(), board)
    insides().to_parquet(board / "insides.parquet")
    maps().to_parquet(board / "embeddings.parquet")
    return board


# claim, kind, task, lower, higher, scores, people behind each side
NEWER = (
    (
        *("guided_over_single", "contrast", "mci_cn - ad_cn", "gain on ad_cn", "gain on mci_cn"),
        *(0.005, 0.019, 259, 345),
    ),
    (
        *("more_modalities", "confidence", "dx3", "least confident third"),
        *("most confident third", 0.6, 0.8, 162, 161),
    ),
    ("more_modalities", "order", "dx3", "text", "no such arm", np.nan, np.nan, np.nan, np.nan),
)
COMMIT = "abc1234"
READING = "The arms differ in their losses too."
REASON = "fold 1 of the lower arm failed"


def write_newer(board: Path) -> Path:
    """Adds to the lines of a board what earlier ones lack, and a line that is not judged."""
    path = board / "ablations.parquet"
    table = pd.read_parquet(path)
    sides = {"n_lower": table["n"], "n_higher": table["n"]}
    table = table.assign(commit=COMMIT, reading="", note="", **sides)
    table.loc[table["claim"] == "guided_over_single", "reading"] = READING
    table.loc[table["claim"] == "tlp_over_fpm", "commit"] = ""
    columns = ("claim", "kind", "task", "lower", "higher", "score_lower", "score_higher")
    lines = []
    for newer in NEWER:
        line = dict(zip((*columns, "n_lower", "n_higher"), newer, strict=True))
        own = table[table["claim"] == line["claim"]].iloc[0].to_dict()
        gain = line["score_higher"] - line["score_lower"]
        line |= {"difference": gain, "low": gain - 0.05, "high": gain + 0.05, "n": 485}
        line |= {"verdict": "not shown", "note": ""}
        if np.isnan(gain):
            line |= {"verdict": "not judged", "note": REASON, "n": np.nan}
        lines.append(own | line)
    pd.concat([table, pd.DataFrame(lines)], ignore_index=True).to_parquet(path)
    return board


if __name__ == "__main__":
    write_ablations(Path(sys.argv[1]))
