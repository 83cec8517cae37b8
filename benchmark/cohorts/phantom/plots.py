"""Plots and the oracle table of docs/phantom.md: ``python -m benchmark.cohorts.phantom.plots``.

Figures come from latents and a few made participants; no prepared cohort is needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmark.cohorts.phantom.config import PhantomConfig
from benchmark.cohorts.phantom.effects import AXES
from benchmark.cohorts.phantom.oracle import predict_latents
from benchmark.cohorts.phantom.participant import make_one
from benchmark.cohorts.phantom.people import sample_people
from benchmark.imaging.regions import REGION_NAMES
from benchmark.tracks import TRACKS

__all__ = ["main", "oracle_table"]

_SEED: Final = 31
_PEOPLE: Final = 4000
# Published percent differences, read from the sources that effects.py cites.
_PUBLISHED: Final = {
    ("MCI", "hippocampus"): -12.0,  # Shi 2009, mean of left and right
    ("AD", "hippocampus"): -23.6,
    ("MCI", "entorhinal"): -13.0,  # Du 2001
    ("AD", "entorhinal"): -39.0,
}
_TRACKS: Final = ("demographic", "confound", "t1w", "fmri", "genetic", "clinical", "report",
                  "t1w+clinical", "t1w+report", "t1w+fmri", "all", "clinical+mmse")  # fmt: skip
_TASKS: Final = (
    ("memory", "ad_cn"), ("memory", "dx3"), ("memory", "conversion"), ("memory", "mci_cn"),
    ("memory", "ad_mci"), ("external", "dx3"), ("movement", "pd_hc"),
)  # fmt: skip


def _people(role: str, count: int) -> tuple[PhantomConfig, pd.DataFrame]:
    config = PhantomConfig(f"phantom-{role}", role, count, _SEED, 2.0)
    return config, sample_people(config, range(1, count + 1))


def _auroc(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve by ranks (ties count half)."""
    n1, n0 = int(positive.sum()), int((~positive).sum())
    return float((rankdata(score)[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _truth(task: str, people: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(eligible, class) of latents."""
    grade = people["grade"].to_numpy()
    if task == "conversion":
        when, last = people["conversion_months"].to_numpy(), people["last_months"].to_numpy()
        progressive, stable = when <= np.minimum(last, 36), (when > 36) & (last >= 36)
        return (grade == 1) & (progressive | stable), progressive.astype(np.int64)
    classes = {"dx3": (0, 1, 2), "ad_cn": (0, 2), "mci_cn": (0, 1), "ad_mci": (1, 2),
               "pd_hc": (0, 1)}[task]  # fmt: skip
    return np.isin(grade, classes), np.searchsorted(classes, grade)


def oracle_table(count: int) -> pd.DataFrame:
    """Oracle AUROC (macro one-versus-rest for dx3) of each task and track.

    Args:
        count: People drawn per cohort; everybody counts, whatever they lack.

    Returns:
        One row per track, one column per cohort and task.
    """
    table: dict[str, dict[str, float]] = {}
    for role, task in _TASKS:
        config, people = _people(role, count)
        eligible, label = _truth(task, people)
        column = table.setdefault(f"{role} {task}", {})
        for track in _TRACKS:
            sources = TRACKS[track] - {"biomarker"}
            chances = predict_latents(config, people[eligible], task, sources)
            classes = range(chances.shape[1]) if task == "dx3" else (1,)
            y = label[eligible]
            column[track] = float(np.mean([_auroc(y == k, chances[:, k]) for k in classes]))
    return pd.DataFrame(table)


def _percent(role: str, reference: int = 0) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Classes above the reference, percent differences (K, R) and within-group d (K, R)."""
    config, people = _people(role, _PEOPLE)
    values = people[[f"r_{r}" for r in REGION_NAMES]]
    mean = values.groupby(people["grade"]).mean().to_numpy()
    sd = values.groupby(people["grade"]).std().to_numpy()
    percent = 100 * np.expm1(mean - mean[reference])
    return AXES[config.parameters.axis].classes[1:], percent[1:], ((mean - mean[0]) / sd)[1:]


def _plot_groups(plt: Any, folder: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(13, 5.2), sharey=True, layout="constrained")
    place = np.arange(len(REGION_NAMES))
    for panel, role in zip(panels, ("memory", "movement"), strict=True):
        classes, percent, _ = _percent(role)
        for k, name in enumerate(classes):
            height = 0.8 / len(classes)
            panel.barh(place + k * height, percent[k], height=height, label=f"phantom: {name}")
            known = [
                (p, v) for p, r in enumerate(REGION_NAMES)
                if (v := _PUBLISHED.get((name, r))) is not None
            ]  # fmt: skip
            if known:
                at, published = np.array(known).T
                panel.plot(published, at + k * height, "k*", ms=9, label=f"published: {name}")
        panel.axvline(0, color="0.4", lw=0.8)
        panel.set_title(f"{role}: difference from controls (synthetic)")
        panel.set_xlabel("mean regional volume, percent")
        panel.legend(loc="lower right", fontsize=8)
    panels[0].set_yticks(place + 0.2, REGION_NAMES)
    figure.savefig(folder / "phantom_groups.png", dpi=90)


def _plot_ageing(plt: Any, folder: Path) -> None:
    _, people = _people("population", _PEOPLE)
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for panel, region in zip(panels, ("hippocampus", "frontal", "lateral_ventricles"), strict=True):
        shown = people.iloc[:700]
        panel.plot(shown["age"], 100 * np.expm1(shown[f"r_{region}"]), ".", ms=2, color="0.6")
        bands = people.groupby((people["age"] // 5) * 5 + 2.5)[f"r_{region}"].mean()
        panel.plot(bands.index, 100 * np.expm1(bands), "o-", color="tab:blue")
        panel.set_title(f"{region} (synthetic, healthy)")
        panel.set_xlabel("age, years")
    panels[0].set_ylabel("change against template, percent")
    figure.savefig(folder / "phantom_ageing.png", dpi=90)


def _typical(people: pd.DataFrame, grade: int) -> int:
    """Number of a person of a grade with a volume and the group's median severity."""
    group = people[(people["grade"] == grade) & people["has_t1w"]]
    distance = (group["v"] - group["v"].median()).abs().to_numpy()
    return int(group["number"].to_numpy()[distance.argmin()])


def _plot_slices(plt: Any, folder: Path) -> None:
    config, people = _people("memory", 400)
    coarse = PhantomConfig(config.name, config.role, config.n, config.seed, 5.0)
    numbers = [_typical(people, g) for g in range(3)]
    group = people[people["has_t1w"]]
    numbers.append(int(group["number"].to_numpy()[group["v"].to_numpy().argmax()]))
    figure, panels = plt.subplots(4, 5, figsize=(13, 11.5), layout="constrained")
    style = {"origin": "lower", "cmap": "gray", "vmin": 0.0, "vmax": 1.25}
    for row, number in zip(panels, numbers, strict=True):
        fine, stored = make_one(config, number), make_one(coarse, number)
        if fine.volume is None or fine.change is None or stored.volume is None:
            continue
        volume, small = fine.volume.astype(np.float32), stored.volume.astype(np.float32)
        change = fine.change.astype(np.float32)
        row[0].imshow(volume[:, :, 46].T, **style)
        row[1].imshow(volume[:, 45, :].T, **style)
        if fine.segmentation is not None:
            row[1].contour(fine.segmentation[:, 45, :].T, [0.5], colors="tab:red", linewidths=1)
        row[2].imshow(change[:, 45, :].T, origin="lower", cmap="RdBu", vmin=-0.5, vmax=0.5)
        row[3].imshow(small[:, :, 17].T, **style)
        row[4].imshow(small[:, 17, :].T, **style)
        diagnosis = AXES["ad"].classes[int(fine.latents["grade"])]
        row[0].set_ylabel(f"{diagnosis}, severity {fine.latents['v']:.1f}")
        for panel in row:
            panel.set_xticks([])
            panel.set_yticks([])
    titles = ("2 mm, axial", "2 mm, hippocampus", "true log change", "5 mm, axial", "5 mm, coronal")
    for panel, title in zip(panels[0], titles, strict=True):
        panel.set_title(title)
    figure.savefig(folder / "phantom_slices.png", dpi=70)


def _as_markdown(table: pd.DataFrame) -> str:
    """The table as GitHub Markdown."""
    head = ["track", *map(str, table.columns)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for track, row in table.iterrows():
        lines.append("| " + " | ".join([str(track), *(f"{value:.3f}" for value in row)]) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the figures, and the oracle table beside them, into a folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description="Plots and oracle table of docs/phantom.md")
    parser.add_argument("--folder", type=Path, default=Path("docs/figures"))
    parser.add_argument("--people", type=int, default=4000, help="draws for the oracle table")
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for plot in (_plot_groups, _plot_ageing, _plot_slices):
        plot(plt, chosen.folder)
    (chosen.folder / "phantom_oracle.md").write_text(_as_markdown(oracle_table(chosen.people)))


if __name__ == "__main__":
    main()
