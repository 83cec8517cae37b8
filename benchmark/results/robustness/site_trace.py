"""How well the site can be told from a method's outputs or embeddings: a trace of the scanner.

Outputs are the logits of the class probabilities, or the error of a predicted age, averaged over
seeds or fold models. A Gaussian naive Bayes classifier with equal priors guesses the site of people
whom it was not trained on (5 folds, dealt within sites), and is scored by balanced accuracy. Sites
differ in how many patients they see, so the null permutes sites *within the classes*: what exceeds
its interval is more than the diagnosis tells.

The embeddings of two fits lie in two spaces, so there the guess is made among the test people of
each fit, from the leading principal components of their vectors (for an age, of what is left of
them by a line in age), and the hits of all fits are put together. The null permutes sites within
the cell's strata.

References:
    Ojala and Garriga 2010, Journal of Machine Learning Research 11:1833 (permutation of labels).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmark import vocabulary as v
from benchmark.results.rescore import LEAST_PER_CLASS
from benchmark.results.robustness.subject import Subject
from benchmark.results.schema import LEAVE_SITE_OUT
from benchmark.stats import seeded_generator

__all__ = [
    "EMBEDDING",
    "N_PERMUTATIONS",
    "OUTPUTS",
    "guessed_balanced_accuracy",
    "site_trace_lines",
]

Array = NDArray[Any]
OUTPUTS: Final = "outputs"
EMBEDDING: Final = "embedding"
N_PERMUTATIONS: Final = 200
N_COMPONENTS: Final = 10  # of an embedding; a fit may have few test people
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
    hits, people = _hits(features, sites, folds, int(sites.max()) + 1)
    balanced: Array = (hits / people).mean(axis=1)
    return balanced


def _hits(features: Array, sites: Array, folds: Array, n_sites: int) -> tuple[Array, Array]:
    """Those guessed rightly and all, of each site under each labelling, (P, S) each."""
    step = max(1, _MOST_CELLS // (n_sites * len(features)))
    parts = [sites[start : start + step] for start in range(0, len(sites), step)]
    counted = [_counted(features, part, folds, n_sites) for part in parts]
    hits, people = (np.concatenate(side) for side in zip(*counted, strict=True))
    return hits, people


def _counted(features: Array, sites: Array, folds: Array, n_sites: int) -> tuple[Array, Array]:
    member = sites[:, None, :] == np.arange(n_sites)[:, None]  # (P, S, N)
    hits = np.zeros(member.shape[:2])
    floor = 1e-6 * features.var(axis=0) + 1e-12
    for fold in np.unique(folds):
        test = folds == fold
        train = member[:, :, ~test].astype(np.float64)
        count = np.maximum(train.sum(axis=2), 1.0)[..., None]
        mean = train @ features[~test] / count
        variance = np.maximum(train @ features[~test] ** 2 / count - mean**2, floor)
        fit = np.zeros((int(test.sum()), *member.shape[:2]))  # (n, P, S)
        parts = (np.ascontiguousarray(np.moveaxis(x, 2, 0)) for x in (mean, variance))
        for value, at, spread in zip(features[test].T, *parts, strict=True):
            fit -= 0.5 * ((value[:, None, None] - at) ** 2 / spread + np.log(spread))
        right = sites[:, test] == fit.argmax(axis=2).T
        hits += (member[:, :, test] & right[:, None]).sum(axis=2)
    return hits, member.sum(axis=2)


def site_trace_lines(subject: Subject) -> list[dict[str, Any]]:
    """The lines of ``site_trace`` for one row; none where sites are not known or there is one.

    None for ``leave-site-out`` as well: there each site has its own model, which would be found.
    The second line is for methods whose fits show an embedding.
    """
    if v.SITE_ID not in subject.people or subject.key.protocol == LEAVE_SITE_OUT:
        return []
    column = subject.people[v.SITE_ID].to_numpy(dtype=object)[subject.rows]
    names, counts = np.unique([str(name) for name in column], return_counts=True)
    if len(names) < 2:
        return []
    usable = sorted(names[counts >= LEAST_PER_CLASS])
    kept = np.flatnonzero(np.isin(column.astype(str), usable))
    head = {k: x for k, x in subject.head.items() if k != "metric"}
    line = {**head, "sites": len(usable), "n": len(kept)}
    if len(usable) < 2:
        note = f"{len(usable)} of {len(names)} sites have {LEAST_PER_CLASS} people, 2 are needed"
        return [line | {"told_from": OUTPUTS, "status": "suppressed", "note": note}]
    sites = np.searchsorted(usable, column[kept].astype(str))
    lines = [line | {"told_from": OUTPUTS} | _judged(_from_outputs(subject, kept, sites), sites)]
    embeddings = subject.entry.ledger.embeddings
    if embeddings.note:
        said = {"status": "missing", "note": embeddings.note}
        lines.append(line | {"told_from": EMBEDDING} | said)
    elif embeddings.fits:
        with threadpool_limits(1):  # of many small matrices: threads would wait for each other
            values = _from_embeddings(subject, kept, sites)
        said = {"status": "undefined", "note": "the fits do not show everybody's embedding"}
        said = said if values is None else _judged(values, sites)
        lines.append(line | {"told_from": EMBEDDING} | said)
    return lines


def _judged(values: Array, sites: Array) -> dict[str, Any]:
    """What a line says of the balanced accuracy under the true and the permuted sites."""
    observed, null = float(values[0]), values[1:]
    low, high = np.quantile(null, (0.025, 0.975))
    return {
        "balanced_accuracy": observed,
        "chance": 1.0 / (int(sites.max()) + 1),
        "null_low": float(low),
        "null_high": float(high),
        "p_value": float((1 + (null >= observed - 1e-12).sum()) / (1 + len(null))),
        "status": "done",
        "note": "",
    }


def _from_outputs(subject: Subject, kept: Array, sites: Array) -> Array:
    """Balanced accuracy under the true and the permuted sites, shape (1 + P,)."""
    classes = subject.y_true[subject.rows][kept] if subject.task.classes else np.zeros(len(kept))
    labellings = _labellings(subject, kept, sites, classes)
    return guessed_balanced_accuracy(_outputs(subject, kept), labellings, _dealt(sites))


def _from_embeddings(subject: Subject, kept: Array, sites: Array) -> Array | None:
    """The same with the guess made among the test people of each fit; None if they lack one."""
    strata = subject.cell.strata[subject.rows][kept]
    labellings = _labellings(subject, kept, sites, strata)
    ids = pd.Index(subject.cell.participant_ids[subject.rows][kept].astype(str))
    n_sites = int(sites.max()) + 1
    hits, people = np.zeros((2, len(labellings), n_sites))
    seen = np.zeros(len(kept), dtype=bool)
    for fit in subject.entry.ledger.embeddings.fits:
        place = ids.get_indexer(pd.Index(fit.participant_ids))
        order = np.argsort(place, kind="stable")[(place < 0).sum() :]  # those that are kept, by id
        inside = place[order]
        if not len(inside):
            continue
        seen[inside] = True
        ages = None if subject.task.classes else subject.y_true[subject.rows][kept][inside]
        features = _components(fit.values[order], ages)
        found = _hits(features, labellings[:, inside], _dealt(strata[inside]), n_sites)
        hits, people = hits + found[0], people + found[1]
    if not seen.all():
        return None
    recall: Array = hits / people
    balanced: Array = recall.mean(axis=1)
    return balanced


def _components(values: Array, ages: Array | None) -> Array:
    """Leading principal components, shape (n, d), of vectors less their line in age."""
    known = [np.ones(len(values)), *([] if ages is None else [ages])]
    design = np.stack(known, axis=1)
    rest = values - design @ np.linalg.lstsq(design, values.astype(np.float64), rcond=None)[0]
    left, size, _ = np.linalg.svd(rest, full_matrices=False)
    components: Array = (left * size)[:, :N_COMPONENTS]
    return components


def _outputs(subject: Subject, kept: Array) -> Array:
    """What a method says of each person, shape (n, d)."""
    mean = subject.entry.predictions.mean(axis=0)[kept]
    if not subject.task.classes:
        error: Array = (mean - subject.y_true[subject.rows][kept])[:, None]
        return error
    clipped = np.clip(mean[:, 1:], _CLIP, 1.0 - _CLIP)
    logits: Array = np.log(clipped / (1.0 - clipped))
    return logits


def _labellings(subject: Subject, kept: Array, sites: Array, within: Array) -> Array:
    """The true sites, then sites permuted within groups of people, shape (1 + P, n)."""
    ids = subject.cell.participant_ids[subject.rows][kept]
    generator = seeded_generator("site permutations", *ids)
    labellings = np.tile(sites, (1 + N_PERMUTATIONS, 1))
    for code in np.unique(within):
        inside = np.flatnonzero(within == code)
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
