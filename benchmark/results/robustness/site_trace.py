"""How well the site can be told from a method's outputs: a trace of the scanner in the answers.

Outputs are the logits of the class probabilities, or the error of a predicted age, averaged over
seeds or fold models. A Gaussian naive Bayes classifier with equal priors guesses the site of people
whom it was not trained on (5 folds, dealt within sites), and is scored by balanced accuracy. Sites
differ in how many patients they see, so the null permutes sites *within the classes*: what exceeds
its interval is more than the diagnosis tells.

References:
    Ojala and Garriga 2010, Journal of Machine Learning Research 11:1833 (permutation of labels).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.results.rescore import LEAST_PER_CLASS
from benchmark.results.robustness.subject import Subject
from benchmark.results.schema import LEAVE_SITE_OUT
from benchmark.stats import seeded_generator

__all__ = ["N_PERMUTATIONS", "guessed_balanced_accuracy", "site_trace_line"]

Array = NDArray[Any]
N_PERMUTATIONS: Final = 200
_FOLDS: Final = 5
_CLIP: Final = 1e-6
_MOST_CELLS: Final = 4_000_000  # labellings x sites x people held at once: 32 MiB


def guessed_balanced_accuracy(features: Array, sites: Array, folds: Array) -> Array:
    """Balanced accuracy of guessing the site, for many labellings at once.

    Args:
        features: Shape (N, d).
        sites: Site numbers 0 .. S-1 under each labelling, shape (P, N).
        folds: Test fold of each person, shape (N,).

    Returns:
        Shape (P,): mean recall over sites.
    """
    n_sites = int(sites.max()) + 1
    step = max(1, _MOST_CELLS // (n_sites * sites.shape[1]))
    parts = [sites[start : start + step] for start in range(0, len(sites), step)]
    return np.concatenate([_guessed(features, part, folds, n_sites) for part in parts])


def _guessed(features: Array, sites: Array, folds: Array, n_sites: int) -> Array:
    member = sites[:, None, :] == np.arange(n_sites)[:, None]  # (P, S, N)
    hits = np.zeros(member.shape[:2])
    floor = 1e-6 * features.var(axis=0) + 1e-12
    for fold in np.unique(folds):
        test = folds == fold
        train = member[:, :, ~test].astype(np.float64)
        count = np.maximum(train.sum(axis=2), 1.0)[..., None]
        mean = train @ features[~test] / count
        variance = np.maximum(train @ features[~test] ** 2 / count - mean**2, floor)
        away = features[test][None, None] - mean[:, :, None]  # (P, S, n, d)
        fit = -0.5 * (away**2 / variance[:, :, None] + np.log(variance)[:, :, None]).sum(axis=3)
        guess = fit.argmax(axis=1)  # (P, n)
        right = guess == sites[:, test]
        hits += (member[:, :, test] & right[:, None]).sum(axis=2)
    recall: Array = hits / member.sum(axis=2)
    balanced: Array = recall.mean(axis=1)
    return balanced


def site_trace_line(subject: Subject) -> dict[str, Any] | None:
    """The line of ``site_trace`` for one row; None where sites are not known or there is one.

    None for ``leave-site-out`` as well: there each site has its own model, which would be found.
    """
    if v.SITE_ID not in subject.people or subject.key.protocol == LEAVE_SITE_OUT:
        return None
    column = subject.people[v.SITE_ID].to_numpy(dtype=object)[subject.rows]
    names, counts = np.unique([str(name) for name in column], return_counts=True)
    if len(names) < 2:
        return None
    usable = sorted(names[counts >= LEAST_PER_CLASS])
    kept = np.flatnonzero(np.isin(column.astype(str), usable))
    head = {k: x for k, x in subject.head.items() if k != "metric"}
    line = {**head, "sites": len(usable), "n": len(kept)}
    if len(usable) < 2:
        note = f"{len(usable)} of {len(names)} sites have {LEAST_PER_CLASS} people, 2 are needed"
        return line | {"status": "suppressed", "note": note}
    sites = np.searchsorted(usable, column[kept].astype(str))
    labellings = _labellings(subject, kept, sites)
    values = guessed_balanced_accuracy(_outputs(subject, kept), labellings, _dealt(sites))
    observed, null = float(values[0]), values[1:]
    low, high = np.quantile(null, (0.025, 0.975))
    return line | {
        "balanced_accuracy": observed,
        "chance": 1.0 / len(usable),
        "null_low": float(low),
        "null_high": float(high),
        "p_value": float((1 + (null >= observed - 1e-12).sum()) / (1 + len(null))),
        "status": "done",
        "note": "",
    }


def _outputs(subject: Subject, kept: Array) -> Array:
    """What a method says of each person, shape (n, d)."""
    mean = subject.entry.predictions.mean(axis=0)[kept]
    if not subject.task.classes:
        error: Array = (mean - subject.y_true[subject.rows][kept])[:, None]
        return error
    clipped = np.clip(mean[:, 1:], _CLIP, 1.0 - _CLIP)
    logits: Array = np.log(clipped / (1.0 - clipped))
    return logits


def _labellings(subject: Subject, kept: Array, sites: Array) -> Array:
    """The true sites, then permuted ones, shape (1 + P, n)."""
    ids = subject.cell.participant_ids[subject.rows][kept]
    generator = seeded_generator("site permutations", *ids)
    classes = subject.y_true[subject.rows][kept] if subject.task.classes else np.zeros(len(kept))
    labellings = np.tile(sites, (1 + N_PERMUTATIONS, 1))
    for code in np.unique(classes):
        inside = np.flatnonzero(classes == code)
        for row in labellings[1:]:
            row[inside] = generator.permutation(row[inside])
    return labellings


def _dealt(sites: Array) -> Array:
    """Folds dealt in turn within each site; people come in the order of their ids."""
    folds = np.zeros(len(sites), dtype=np.int64)
    for code in np.unique(sites):
        inside = np.flatnonzero(sites == code)
        folds[inside] = np.arange(len(inside)) % _FOLDS
    return folds
