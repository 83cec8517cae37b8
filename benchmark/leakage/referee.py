"""Verifies a split against its cohort; one refusal lists everything that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import LeakageError
from benchmark.leakage import people as checks
from benchmark.leakage.contents import contents_of, equal_contents
from benchmark.leakage.images import ImageTwins, Pictures, describe, twins_among
from benchmark.leakage.inputs import states
from benchmark.leakage.naming import listed
from benchmark.leakage.remedy import what_to_do
from benchmark.splitting.people import people_of, people_sha256
from benchmark.splitting.protocols import RULE, RULE_VERSION, fold_rows
from benchmark.splitting.split import Split, columns_of, fold_text, text_sha256
from benchmark.store.cohort import Cohort

__all__ = [
    "image_twins",
    "shared_across",
    "verify_external_images",
    "verify_reports",
    "verify_split",
]

_ROW = f"{v.T1W}_row"
_REPORTS = "reports"
_TEXT = "text"

# What several splits of one opened cohort are verified against is read from it once.
_once_per_cohort = lru_cache(maxsize=8)
_contents = _once_per_cohort(contents_of)


def verify_split(split: Split, cohort: Cohort, pretraining_ids: Iterable[str] = ()) -> None:
    """Refuses a split that would leak.

    Args:
        split: The split.
        cohort: The cohort that it splits.
        pretraining_ids: Participants of this cohort that any pretraining saw, besides those of
            part ``pretrain``.

    Raises:
        LeakageError: What is wrong, with the participants: one person in two parts, a family
            apart, one image under two names in two parts, people of pretraining in a fold, a
            split by visit or slice, people unknown or left out, an index visit after the label,
            or a split that differs from its manifest or from its rule.
    """
    folds = checks.folds_of(split)
    found = [
        *_differs(split, cohort),
        *_by_people(split, folds, cohort, set(pretraining_ids)),
        *_by_image(folds, cohort),
    ]
    if found:
        lines = "\n".join(f"  - {problem}" for problem in found)
        raise LeakageError(
            f"splits/{split.cohort}/{split.protocol}.csv: refused, {len(found)} problem(s):\n"
            f"{lines}\nExpected every participant in one part of each fold. "
            f"{what_to_do(_folds_of(split, cohort))}"
        )


def _folds_of(split: Split, cohort: Cohort) -> Path:
    """The fold file of a split of a cohort, in the workspace of its store."""
    workspace = cohort.folder.resolve().parents[1]
    return workspace / "splits" / split.cohort / f"{split.protocol}.csv"


@_once_per_cohort
def _people(cohort: Cohort) -> pd.DataFrame:
    return people_of(cohort.visits)


@_once_per_cohort
def _held_back(cohort: Cohort) -> frozenset[str]:
    visits = cohort.visits
    return frozenset(visits.loc[visits[v.PART] == v.PRETRAIN, v.PARTICIPANT_ID].tolist())


def _by_people(
    split: Split, folds: checks.Folds, cohort: Cohort, pretraining: Collection[str]
) -> Iterator[str]:
    people, visits = _people(cohort), cohort.visits
    known = set(visits[v.PARTICIPANT_ID].tolist())
    held_back = _held_back(cohort) | set(pretraining)
    yield from checks.not_people(split, folds, known)
    yield from checks.two_parts(folds)
    yield from checks.not_tested_once(folds)
    yield from checks.families_apart(folds, visits, held_back)
    yield from checks.not_everybody(folds, known, set(people[v.PARTICIPANT_ID].tolist()))
    yield from checks.pretrained(folds, held_back)
    yield from checks.index_after_label(visits)


def _differs(split: Split, cohort: Cohort) -> Iterator[str]:
    """A split that is not what its manifest says, or not of this cohort, or not by its rule."""
    people, manifest = _people(cohort), split.manifest
    if split.cohort != cohort.name:
        yield f"it splits the cohort {split.cohort!r}, got the cohort {cohort.name!r}"
    if split.content_hash != manifest.get("sha256"):
        yield (
            f"it differs from its manifest: expected sha256 {manifest.get('sha256')}, got "
            f"{split.content_hash}"
        )
    if people_sha256(people) != manifest.get("people_sha256"):
        yield (
            "the cohort's people, classes or strata are not those that were split: `neurodx splits "
            f"diff --cohort {split.cohort} --protocol {split.protocol}` says who appeared and who "
            "vanished, and what that does to each fold"
        )
        return
    rule = manifest.get("rule", {})
    if (rule.get("name"), rule.get("version")) == (RULE, RULE_VERSION):
        rebuilt = fold_rows(
            people, split.cohort, split.protocol, split.seed, str(manifest.get("train_cohort", ""))
        )
        if text_sha256(fold_text(columns_of(split.protocol), rebuilt)) != split.content_hash:
            yield f"the rule {RULE!r} with seed {split.seed} gives other folds"


def _by_image(folds: checks.Folds, cohort: Cohort) -> Iterator[str]:
    twins = _twins(cohort)
    if not twins:
        return
    parts: dict[str, dict[tuple[int, int], str]] = {}
    for fold, members in folds.items():
        for who, part in members:
            parts.setdefault(who, {})[fold] = part
    found = [_named(pair) for pair in twins if _apart(pair, parts, _held_back(cohort))]
    if found:
        yield f"{len(found)} pairs share data across parts: {listed(found)}"


@_once_per_cohort
def _twins(cohort: Cohort) -> list[ImageTwins]:
    """Pairs by image, by fMRI series or by regional measurements; each pair once."""
    found = {(t.first, t.second): t for t in equal_contents(_contents(cohort))}
    found |= {(t.first, t.second): t for t in image_twins(cohort)}
    return [found[pair] for pair in sorted(found)]


@_once_per_cohort
def image_twins(cohort: Cohort) -> list[ImageTwins]:
    """Pairs of participants of a cohort that share a T1w image; see :func:`twins_among`.

    Raises:
        CohortError: A volume holds NaN or infinity.
    """
    return twins_among(_pictures(cohort)) if _has_images(cohort) else []


def _has_images(cohort: Cohort) -> bool:
    return cohort.has(v.T1W) and _ROW in cohort.visits


@_once_per_cohort
def _pictures(cohort: Cohort) -> Pictures:
    imaged = cohort.visits.loc[cohort.visits[_ROW] >= 0]
    return describe(
        cohort.array(v.T1W),
        imaged[_ROW].astype(int).tolist(),
        imaged[v.PARTICIPANT_ID].tolist(),
        source=f"{cohort.folder}/{v.T1W}.npy",
    )


def _apart(
    pair: ImageTwins, parts: Mapping[str, Mapping[tuple[int, int], str]], held_back: Collection[str]
) -> bool:
    ids = (pair.first, pair.second)
    n_held_back = sum(who in held_back for who in ids)
    if n_held_back:
        return n_held_back == 1
    first, second = (parts.get(who, {}) for who in ids)
    return any(first[fold] != second[fold] for fold in first.keys() & second.keys())


def _named(pair: ImageTwins) -> str:
    how = f"equal {pair.kind}" if pair.exact else f"{pair.kind}, similarity {pair.similarity:.3f}"
    return f"{pair.first} = {pair.second} ({how})"


def verify_reports(cohort: Cohort) -> None:
    """Refuses reports that state MMSE where they are given without: on tracks without ``mmse``.

    Scales that define a label are refused run by run, see :func:`check_reports`.

    Args:
        cohort: A cohort whose reports (column ``text``) are about to be given to a method.

    Raises:
        LeakageError: Reports state the score; the participants are named.
    """
    table = cohort.table(_REPORTS) if cohort.has(_REPORTS) else pd.DataFrame({_TEXT: []})
    texts = table.loc[table[_TEXT].notna()]
    found = texts.loc[[states(str(text), v.MMSE) for text in texts[_TEXT]]]
    if len(found):
        raise LeakageError(
            f"cohort {cohort.name!r}: {len(found)} reports state {v.MMSE}: "
            f"{listed(found[v.PARTICIPANT_ID].tolist())}. Expected none in the column {_TEXT!r}; "
            "take it out of these texts and run `neurodx prepare` again, or choose a track that "
            "opens the score, as report+mmse (`neurodx list tracks`)"
        )


def verify_external_images(external: Cohort, train: Cohort) -> None:
    """Refuses an external cohort that shares an image with the cohort trained on.

    Args:
        external: The cohort that is predicted.
        train: The cohort whose fold models predict it.

    Raises:
        LeakageError: Pairs of participants that share an image, a series or measurements.
    """
    everybody = {f"{c.name}/{who}": c.name for c in (external, train) for who in _owners(c)}
    found = shared_across(external, train, everybody)
    if found:
        raise LeakageError(
            f"splits/{external.name}/external.csv: {len(found)} pairs share data between "
            f"{external.name} and {train.name}: {listed(found)}. Expected different people; remove "
            f"them from one cohort and run `neurodx prepare {external.name} --force`"
        )


def shared_across(first: Cohort, second: Cohort, parts: Mapping[str, str]) -> list[str]:
    """Names people of two cohorts who share data and are in different parts of one fit.

    Equal series and measurements, and equal or nearly equal T1w images where the grids are the
    same. Pairs within a cohort are :func:`verify_split`'s.

    Args:
        first: A cohort.
        second: Another cohort.
        parts: Where each person is, by ``cohort/participant``; whoever is nowhere does not count.

    Returns:
        One text a pair, sorted, such as ``a/sub-1 = b/sub-2 (equal T1w image)``.
    """
    pairs = {(t.first, t.second): t for t in _equal_across(first, second, among=parts)}
    ordered = sorted((first, second), key=lambda cohort: cohort.name)
    pairs |= {(t.first, t.second): t for t in _alike_across(*ordered)}
    return [
        _named(pairs[a, b])
        for a, b in sorted(pairs)
        if _study(a) != _study(b) and {a, b} <= parts.keys() and parts[a] != parts[b]
    ]


def _study(who: str) -> str:
    return who.partition("/")[0]


def _owners(cohort: Cohort) -> set[str]:
    return set(cohort.visits[v.PARTICIPANT_ID].tolist())


def _equal_across(*cohorts: Cohort, among: Collection[str]) -> list[ImageTwins]:
    """Equal series and measurements of some people of cohorts, by ``cohort/participant``."""
    return equal_contents(
        content._replace(whose=who)
        for cohort in cohorts
        for content in _contents(cohort)
        if (who := f"{cohort.name}/{content.whose}") in among
    )


@_once_per_cohort
def _alike_across(first: Cohort, second: Cohort) -> list[ImageTwins]:
    """T1w twins of two cohorts, by ``cohort/participant``; none where grids differ."""
    cohorts = (first, second)
    if not all(map(_has_images, cohorts)) or len({c.array(v.T1W).shape[1:] for c in cohorts}) > 1:
        return []
    ours, theirs = map(_pictures, cohorts)
    if not (ours.owners and theirs.owners):
        return []
    owners = [f"{first.name}/{who}" for who in ours.owners]
    owners += [f"{second.name}/{who}" for who in theirs.owners]
    features = np.concatenate([ours.features, theirs.features])
    return twins_among(Pictures(tuple(owners), ours.hashes + theirs.hashes, features))
