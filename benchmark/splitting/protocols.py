"""The protocols: which folds a cohort is cut into."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import SplitError, UnknownNameError
from benchmark.splitting.deal import deal_folds, pick_share
from benchmark.splitting.few_label import omitted_points, percents
from benchmark.splitting.people import CLASS, OUTCOME, UNIT, people_of, people_sha256
from benchmark.splitting.split import (
    FEW_LABEL,
    FEW_LABEL_PERCENTS,
    FOLD,
    PERCENT,
    REPEAT,
    Split,
    columns_of,
)
from benchmark.store.cohort import Cohort

__all__ = ["PROTOCOLS", "make_split", "split_people"]

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
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS, "neurodx splits make --help")
    if people.empty:
        raise SplitError(f"cohort {cohort!r}: nobody in part {v.EVALUATE!r}, so nobody to split")
    extra: dict[str, Any] = {}
    if protocol == EXTERNAL:
        if not train_cohort or train_cohort == cohort:
            raise SplitError(
                f"{cohort}/external: expected the name of another cohort to train on, got "
                f"{train_cohort!r}; give it with `neurodx splits make --cohort {cohort} "
                "--protocol external --train-cohort NAME`"
            )
        extra["train_cohort"] = train_cohort
        table = _rows(0, 0, {v.TEST: tuple(people[v.PARTICIPANT_ID])})
    else:
        table = _table(people, cohort, protocol, seed)
    if protocol == FEW_LABEL:
        table[PERCENT] = percents(table, people, seed)
        extra["omitted"] = omitted_points(table, people)
    table = _canonical(table, protocol)
    return Split(
        cohort, protocol, seed, table, _manifest(table, people, cohort, protocol, seed, extra)
    )


def _canonical(table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    by = [REPEAT, FOLD, v.PARTICIPANT_ID]
    return table[columns_of(protocol)].sort_values(by).reset_index(drop=True)


def _rows(repeat: int, fold: int, parts: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    pairs = [(who, part) for part, ids in parts.items() for who in ids]
    frame = pd.DataFrame(pairs, columns=[v.PARTICIPANT_ID, v.PART])
    return frame.assign(**{REPEAT: repeat, FOLD: fold})


def _table(people: pd.DataFrame, cohort: str, protocol: str, seed: int) -> pd.DataFrame:
    repeats = _DEALT.get(protocol, (1, 0))[0]
    frames = []
    for repeat in range(repeats):
        for fold, test in enumerate(_test_folds(people, cohort, protocol, seed, repeat)):
            outside = people.loc[~people[v.PARTICIPANT_ID].isin(test)]
            key = f"{seed}/{repeat}/{fold}/validation"
            validation = pick_share(outside, VALIDATION_SHARE, key)
            train = tuple(sorted(set(outside[v.PARTICIPANT_ID].tolist()) - set(validation)))
            parts = {v.TRAIN: train, v.VALIDATION: validation, v.TEST: test}
            _check_classes(people, parts, f"{cohort}/{protocol}: fold {fold}", protocol)
            frames.append(_rows(repeat, fold, parts))
    return pd.concat(frames, ignore_index=True)


def _test_folds(
    people: pd.DataFrame, cohort: str, protocol: str, seed: int, repeat: int
) -> TestFolds:
    if protocol == LEAVE_SITE_OUT:
        return _site_folds(people, cohort)
    n_folds = _DEALT[protocol][1]
    return deal_folds(people, n_folds, f"{seed}/{repeat}/{n_folds}-folds")


def _site_folds(people: pd.DataFrame, cohort: str) -> TestFolds:
    """One fold per site, in the order of their names; a family goes with its first member."""
    site = people.groupby(UNIT)[v.SITE_ID].transform("first")
    folds = [tuple(ids) for _, ids in people.groupby(site, sort=True)[v.PARTICIPANT_ID]]
    if len(folds) < 2:
        raise SplitError(
            f"{cohort}/{LEAVE_SITE_OUT}: expected at least 2 sites, got {len(folds)} "
            f"({', '.join(sorted(set(site)))}); use `--protocol 5fold`"
        )
    return folds


def _check_classes(
    people: pd.DataFrame, parts: Mapping[str, tuple[str, ...]], where: str, protocol: str
) -> None:
    """Every class must be in every part (a left-out site may lack one)."""
    for column in (CLASS, OUTCOME):
        named = zip(people[v.PARTICIPANT_ID].tolist(), people[column].tolist(), strict=True)
        class_of = dict(named)
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


def _counts(table: pd.DataFrame, people: pd.DataFrame) -> list[dict[str, Any]]:
    strata = zip(people[CLASS].tolist(), people[OUTCOME].tolist(), strict=True)
    stratum_of = dict(zip(people[v.PARTICIPANT_ID].tolist(), strata, strict=True))
    tallies: dict[tuple[int, int, str], list[tuple[str, str]]] = {}
    columns = (table[c].tolist() for c in (REPEAT, FOLD, v.PART, v.PARTICIPANT_ID))
    for repeat, fold, part, who in zip(*columns, strict=True):
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
    table: pd.DataFrame,
    people: pd.DataFrame,
    cohort: str,
    protocol: str,
    seed: int,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    text = table.to_csv(index=False, lineterminator="\n")
    return {
        "schema_version": 1,
        "cohort": cohort,
        "protocol": protocol,
        "rule": {"name": RULE, "version": RULE_VERSION, "parameters": _parameters(protocol)},
        "seed": seed,
        "n_people": len(people),
        "counts": _counts(table, people),
        "people_sha256": people_sha256(people),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        **extra,
    }
