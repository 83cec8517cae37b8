"""The protocols: which folds a cohort is cut into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import SplitError, UnknownNameError
from benchmark.splitting.deal import deal_folds, pick_share
from benchmark.splitting.few_label import omitted_points, percents
from benchmark.splitting.people import (
    CLASS,
    OUTCOME,
    Person,
    people_of,
    people_sha256,
    persons_of,
)
from benchmark.splitting.split import (
    FEW_LABEL,
    FEW_LABEL_PERCENTS,
    FOLD,
    REPEAT,
    Row,
    Split,
    columns_of,
    fold_text,
    text_sha256,
)
from benchmark.store.cohort import Cohort

__all__ = ["PROTOCOLS", "fold_rows", "make_split", "split_people"]

RULE: Final = "strata-blocks"
RULE_VERSION: Final = 1
VALIDATION_SHARE: Final = 1 / 6  # of the people outside the test part; 15 to 20 % when rounded
EXTERNAL: Final = "external"
LEAVE_SITE_OUT: Final = "leave-site-out"

# (repeats, folds) of the protocols that deal people out.
_DEALT: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"3fold": (1, 3), "5fold": (1, 5), "5x5fold": (5, 5), FEW_LABEL: (1, 3)}
)
PROTOCOLS: Final = (*_DEALT, LEAVE_SITE_OUT, EXTERNAL)

TestFolds = list[tuple[str, ...]]


def make_split(cohort: Cohort, protocol: str, seed: int, train_cohort: str = "") -> Split:
    """Splits a cohort by a protocol.

    Args:
        cohort: The cohort; for ``external`` the one that is predicted.
        protocol: One of :data:`PROTOCOLS`.
        seed: Enters every hash; the same seed gives the same split on every machine.
        train_cohort: For ``external`` only: the cohort whose fold models predict.

    Returns:
        The split, with its manifest.

    Raises:
        UnknownNameError: No such protocol.
        SplitError: A class would be missing from a part of a fold, or the protocol does not fit.
    """
    return split_people(people_of(cohort.visits), cohort.name, protocol, seed, train_cohort)


def split_people(
    people: pd.DataFrame, cohort: str, protocol: str, seed: int, train_cohort: str = ""
) -> Split:
    """Splits a table of people; see :func:`make_split` for arguments and errors."""
    rows = fold_rows(people, cohort, protocol, seed, train_cohort)
    extra: dict[str, Any] = {}
    if protocol == EXTERNAL:
        extra["train_cohort"] = train_cohort
    if protocol == FEW_LABEL:
        extra["omitted"] = omitted_points(rows, persons_of(people))
    table = pd.DataFrame(rows, columns=columns_of(protocol))
    manifest = _manifest(rows, people, cohort, protocol, seed, extra)
    return Split(cohort, protocol, seed, table, manifest)


def fold_rows(
    people: pd.DataFrame, cohort: str, protocol: str, seed: int, train_cohort: str = ""
) -> list[Row]:
    """Returns the rows of the fold file alone; see :func:`split_people`."""
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS, "neurodx splits make --help")
    if people.empty:
        raise SplitError(f"cohort {cohort!r}: nobody in part {v.EVALUATE!r}, so nobody to split")
    persons = persons_of(people)
    if protocol == EXTERNAL:
        if not train_cohort or train_cohort == cohort:
            raise SplitError(
                f"{cohort}/external: expected the name of another cohort to train on, got "
                f"{train_cohort!r}; give it with `neurodx splits make --cohort {cohort} "
                "--protocol external --train-cohort NAME`"
            )
        rows = _rows(0, 0, {v.TEST: [person.participant_id for person in persons]})
    else:
        rows = _dealt_rows(persons, cohort, protocol, seed)
    if protocol == FEW_LABEL:
        shares = percents(rows, persons, seed)
        rows = [(*row, percent) for row, percent in zip(rows, shares, strict=True)]
    return rows


def _rows(repeat: int, fold: int, parts: Mapping[str, Collection[str]]) -> list[Row]:
    """The rows of one fold, in the order of the participants."""
    pairs = sorted((who, part) for part, ids in parts.items() for who in ids)
    return [(repeat, fold, who, part) for who, part in pairs]


def _dealt_rows(people: Sequence[Person], cohort: str, protocol: str, seed: int) -> list[Row]:
    repeats = _DEALT.get(protocol, (1, 0))[0]
    rows: list[Row] = []
    for repeat in range(repeats):
        for fold, test in enumerate(_test_folds(people, cohort, protocol, seed, repeat)):
            tested = set(test)
            outside = [person for person in people if person.participant_id not in tested]
            key = f"{seed}/{repeat}/{fold}/validation"
            validation = pick_share(outside, VALIDATION_SHARE, key)
            train = {person.participant_id for person in outside} - set(validation)
            parts = {v.TRAIN: train, v.VALIDATION: validation, v.TEST: test}
            _check_classes(people, parts, f"{cohort}/{protocol}: fold {fold}", protocol)
            rows += _rows(repeat, fold, parts)
    return rows


def _test_folds(
    people: Sequence[Person], cohort: str, protocol: str, seed: int, repeat: int
) -> TestFolds:
    if protocol == LEAVE_SITE_OUT:
        return _site_folds(people, cohort)
    n_folds = _DEALT[protocol][1]
    return deal_folds(people, n_folds, f"{seed}/{repeat}/{n_folds}-folds")


def _site_folds(people: Sequence[Person], cohort: str) -> TestFolds:
    """One fold per site, in the order of their names; a family goes with its first member."""
    site_of: dict[str, str] = {}
    ids_of: dict[str, list[str]] = {}
    for person in people:
        site = site_of.setdefault(person.unit, person.site_id)
        ids_of.setdefault(site, []).append(person.participant_id)
    if len(ids_of) < 2:
        raise SplitError(
            f"{cohort}/{LEAVE_SITE_OUT}: expected at least 2 sites, got {len(ids_of)} "
            f"({', '.join(sorted(ids_of))}); use `--protocol 5fold`"
        )
    return [tuple(ids_of[site]) for site in sorted(ids_of)]


def _check_classes(
    people: Sequence[Person], parts: Mapping[str, Collection[str]], where: str, protocol: str
) -> None:
    """Every class must be in every part (a left-out site may lack one)."""
    for place in range(2):  # of the class and the outcome in a stratum
        class_of = {person.participant_id: person.stratum[place] for person in people}
        totals = Counter(name for name in class_of.values() if name)
        for part, ids in parts.items():
            absent = sorted(set(totals) - {class_of[who] for who in ids})
            if absent and (protocol != LEAVE_SITE_OUT or part != v.TEST):
                raise SplitError(
                    f"{where}: nobody of class {absent[0]!r} in part {part!r}; the cohort has "
                    f"{totals[absent[0]]} such people, and each fold needs one for train, "
                    "validation and test; use a protocol with fewer folds "
                    "(`neurodx splits make --protocol 3fold`), or leave the class out of the cohort"
                )


def _counts(rows: Sequence[Row], people: Sequence[Person]) -> list[dict[str, Any]]:
    stratum_of = {person.participant_id: person.stratum for person in people}
    tallies: dict[tuple[int, int, str], list[tuple[str, str]]] = {}
    for repeat, fold, who, part, *_ in rows:
        tallies.setdefault((repeat, fold, part), []).append(stratum_of[who])
    return [
        {
            **dict(zip((REPEAT, FOLD, v.PART), key, strict=True)),
            "n": len(strata),
            CLASS: dict(Counter(name for name, _ in strata if name)),
            OUTCOME: dict(Counter(name for _, name in strata if name)),
        }
        for key, strata in sorted(tallies.items())
    ]


def _parameters(protocol: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if protocol in _DEALT:
        parameters.update(zip(("repeats", "folds"), _DEALT[protocol], strict=True))
    if protocol != EXTERNAL:
        parameters["validation_share"] = round(VALIDATION_SHARE, 6)
        parameters["strata"] = [CLASS, OUTCOME, v.SEX, "age_band", v.SITE_ID]
    if protocol == FEW_LABEL:
        parameters["percents"] = list(FEW_LABEL_PERCENTS)
    return parameters


def _manifest(
    rows: Sequence[Row],
    people: pd.DataFrame,
    cohort: str,
    protocol: str,
    seed: int,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "cohort": cohort,
        "protocol": protocol,
        "rule": {"name": RULE, "version": RULE_VERSION, "parameters": _parameters(protocol)},
        "seed": seed,
        "n_people": len(people),
        "counts": _counts(rows, persons_of(people)),
        "people_sha256": people_sha256(people),
        "sha256": text_sha256(fold_text(columns_of(protocol), rows)),
        **extra,
    }
