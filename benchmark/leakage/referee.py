"""Verifies a split against its cohort; one refusal lists everything that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import LeakageError
from benchmark.leakage import people as checks
from benchmark.leakage.images import ImageTwins, find_twins
from benchmark.leakage.naming import listed
from benchmark.splitting.people import people_of, people_sha256
from benchmark.splitting.protocols import RULE, RULE_VERSION, split_people
from benchmark.splitting.split import FOLD, REPEAT, Split
from benchmark.store.cohort import Cohort

__all__ = ["image_twins", "verify_external_images", "verify_split"]

_ROW = f"{v.T1W}_row"


def verify_split(
    split: Split,
    cohort: Cohort,
    pretraining_ids: Iterable[str] = (),
    twins: Sequence[ImageTwins] | None = None,
) -> None:
    """Refuses a split that would leak.

    Args:
        split: The split.
        cohort: The cohort that it splits.
        pretraining_ids: Participants of this cohort that any pretraining saw, besides those of
            part ``pretrain``.
        twins: What :func:`image_twins` found, where several splits of one cohort are verified.

    Raises:
        LeakageError: What is wrong, with the participants: one person in two parts, a family
            apart, one image under two names in two parts, people of pretraining in a fold, a
            split by visit or slice, people unknown or left out, an index visit after the label,
            or a split that differs from its manifest or from its rule.
    """
    people = people_of(cohort.visits)
    found = [
        *_differs(split, cohort.name, people),
        *_by_people(split, cohort.visits, people, set(pretraining_ids)),
        *_by_image(split, cohort, image_twins(cohort) if twins is None else twins),
    ]
    if found:
        lines = "\n".join(f"  - {problem}" for problem in found)
        raise LeakageError(
            f"splits/{split.cohort}/{split.protocol}.csv: refused, {len(found)} problem(s):\n"
            f"{lines}\nExpected every participant in one part of each fold. Restore the file with "
            "`git checkout`, or correct the cohort and rebuild with `neurodx splits make --cohort "
            f"{split.cohort} --protocol {split.protocol}`"
        )


def _by_people(
    split: Split, visits: pd.DataFrame, people: pd.DataFrame, pretraining: Collection[str]
) -> Iterator[str]:
    known = set(visits[v.PARTICIPANT_ID])
    held_back = set(visits.loc[visits[v.PART] == v.PRETRAIN, v.PARTICIPANT_ID])
    yield from checks.not_people(split, known)
    yield from checks.two_parts(split)
    yield from checks.not_tested_once(split)
    yield from checks.families_apart(split, people)
    yield from checks.not_everybody(split, known, set(people[v.PARTICIPANT_ID]))
    yield from checks.pretrained(split, held_back | set(pretraining))
    yield from checks.index_after_label(visits)


def _differs(split: Split, cohort: str, people: pd.DataFrame) -> Iterator[str]:
    """A split that is not what its manifest says, or not of this cohort, or not by its rule."""
    manifest = split.manifest
    if split.cohort != cohort:
        yield f"it splits the cohort {split.cohort!r}, got the cohort {cohort!r}"
    if split.content_hash != manifest.get("sha256"):
        yield (
            f"it differs from its manifest: expected sha256 {manifest.get('sha256')}, got "
            f"{split.content_hash}"
        )
    if people_sha256(people) != manifest.get("people_sha256"):
        yield "the cohort's people, classes or strata are not those that were split"
        return
    rule = manifest.get("rule", {})
    if (rule.get("name"), rule.get("version")) == (RULE, RULE_VERSION):
        rebuilt = split_people(
            people, split.cohort, split.protocol, split.seed, str(manifest.get("train_cohort", ""))
        )
        if rebuilt.content_hash != split.content_hash:
            yield f"the rule {RULE!r} with seed {split.seed} gives other folds"


def _by_image(split: Split, cohort: Cohort, twins: Sequence[ImageTwins]) -> Iterator[str]:
    if not twins:
        return
    parts: dict[str, dict[tuple[int, int], str]] = {}
    columns = (split.table[c] for c in (v.PARTICIPANT_ID, REPEAT, FOLD, v.PART))
    for who, repeat, fold, part in zip(*columns, strict=True):
        parts.setdefault(who, {})[repeat, fold] = part
    held_back = set(cohort.visits.loc[cohort.visits[v.PART] == v.PRETRAIN, v.PARTICIPANT_ID])
    found = [_named(pair) for pair in twins if _apart(pair, parts, held_back)]
    if found:
        yield f"{len(found)} pairs share an image across parts: {listed(found)}"


def image_twins(cohort: Cohort) -> list[ImageTwins]:
    """Pairs of participants of a cohort that share a T1w image; see :func:`find_twins`.

    Raises:
        CohortError: A volume holds NaN or infinity.
    """
    if not cohort.has(v.T1W) or _ROW not in cohort.visits:
        return []
    imaged = cohort.visits.loc[cohort.visits[_ROW] >= 0]
    return find_twins(
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
    how = "equal" if pair.exact else f"similarity {pair.similarity:.3f}"
    return f"{pair.first} = {pair.second} ({how})"


def verify_external_images(external: Cohort, train: Cohort) -> None:
    """Refuses an external cohort that shares an image with the cohort trained on.

    Args:
        external: The cohort that is predicted.
        train: The cohort whose fold models predict it.

    Raises:
        LeakageError: Pairs of participants that share an image.
    """
    cohorts = [c for c in (external, train) if c.has(v.T1W) and _ROW in c.visits]
    if len(cohorts) < 2 or len({c.array(v.T1W).shape[1:] for c in cohorts}) > 1:
        return  # nothing to compare, or other grids
    owners: list[str] = []
    volumes = []
    for cohort in cohorts:
        imaged = cohort.visits.loc[cohort.visits[_ROW] >= 0]
        owners += [f"{cohort.name}/{who}" for who in imaged[v.PARTICIPANT_ID]]
        array = cohort.array(v.T1W)
        volumes += [array[row] for row in imaged[_ROW].astype(int)]
    pairs = find_twins(volumes, range(len(volumes)), owners)
    found = [
        _named(pair) for pair in pairs if pair.first.split("/")[0] != pair.second.split("/")[0]
    ]
    if found:
        raise LeakageError(
            f"splits/{external.name}/external.csv: {len(found)} pairs share an image between "
            f"{external.name} and {train.name}: {listed(found)}. Expected different people; remove "
            f"them from one cohort and run `neurodx prepare {external.name} --force`"
        )
