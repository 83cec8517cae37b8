"""Which rows of the board a page shows, in which order and under which names; no I/O."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from leaderboard.state import ANY, Selection

__all__ = [
    "CELL",
    "EXTERNAL",
    "FAILED",
    "MISSING",
    "ORACLE",
    "QUOTED",
    "REAL",
    "SYNTHETIC",
    "UNKNOWN",
    "UNSCORED",
    "chosen_rows",
    "cohort_origins",
    "in_display_order",
    "is_ranked",
    "is_scored",
    "keyed",
    "labelled",
    "records",
    "split_quoted",
    "transfer_rows",
]

# Values that the board's tables hold; a test checks each against the package that writes it.
ORACLE: Final = "oracle"
FAILED: Final = "failed"
MISSING: Final = "missing"
EXTERNAL: Final = "external"
QUOTED: Final = "quoted from paper"
AUTHOR_REPORTED: Final = "author-reported"
SYNTHETIC: Final = "synthetic"
REAL: Final = "real people"
UNKNOWN: Final = "origin not stated"
UNSCORED: Final = (FAILED, MISSING)
UNRANKED: Final = (QUOTED, AUTHOR_REPORTED)

CELL: Final = ["cohort", "task", "protocol"]


def chosen_rows(rows: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Returns the rows of one cell that the selection keeps, ranks untouched.

    Oracle rows stay unless another track is chosen; they are never ranked.
    """
    kept = (
        (rows["cohort"] == selection.cohort)
        & (rows["task"] == selection.task)
        & (rows["protocol"] == selection.protocol)
        & ~rows["method"].isin(selection.without)
    )
    if selection.track != ANY:
        kept &= rows["track"] == selection.track
    if selection.provenance != ANY:
        kept &= (rows["provenance"] == selection.provenance) | (rows["method"] == ORACLE)
    return rows.loc[kept].reset_index(drop=True)


def split_quoted(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns (rows of this board, rows quoted from papers); the latter are never ranked."""
    quoted = rows["provenance"] == QUOTED
    return rows.loc[~quoted].reset_index(drop=True), rows.loc[quoted].reset_index(drop=True)


def cohort_origins(rows: pd.DataFrame) -> dict[str, str]:
    """Whether each cohort is synthetic, of real people, or does not say; sorted by name."""
    return dict(sorted(zip(rows["cohort"], rows["origin"], strict=True)))


def records(rows: pd.DataFrame) -> list[Any]:
    """The rows as named tuples."""
    return list(rows.itertuples(index=False))


def is_scored(rows: pd.DataFrame) -> pd.Series[bool]:
    """True for rows that have a score; the others failed or never ran."""
    return ~rows["status"].isin(UNSCORED) & rows["score"].notna()


def is_ranked(rows: pd.DataFrame) -> pd.Series[bool]:
    """True for rows that take a rank: scored here, and no oracle."""
    ours = (rows["method"] != ORACLE) & ~rows["provenance"].isin(UNRANKED)
    return is_scored(rows) & ours


def keyed(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds ``key``, by which the board names a row within its cell."""
    return rows.assign(key=rows["method"] + "|" + rows["track"] + "|" + rows["derived_from"])


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds ``label``: the title, and what tells rows of one title apart.

    That is the track, then the task a row is derived from, and at last the method's name.
    """
    title = rows["title"].where(rows["title"] != "", rows["method"])
    for column, before in (("track", ""), ("derived_from", "from ")):
        different = rows[column].groupby(title).transform("nunique") > 1
        mark = " (" + before + rows[column] + ")"
        title = title.where(~different | (rows[column] == ""), title + mark)
    different = rows["method"].groupby(title).transform("nunique") > 1
    return rows.assign(label=title.where(~different, title + " (" + rows["method"] + ")"))


def transfer_rows(rows: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """In-domain and external rows of the methods that were trained on the one cohort.

    Args:
        rows: Scored rows with ``key`` and ``label``.
        lines: Lines of the table ``external_drop`` with ``key``, all of one cohort, task, protocol
            and external cohort: they alone know where an external row was trained.

    Returns:
        Two rows a method with ``where``, ordered by label; empty where none of the rows has both.
    """
    columns = ["task", "cohort", "protocol", "external_cohort"]
    task, cohort, protocol, elsewhere = map(str, lines[columns].iloc[0])
    scored = rows.loc[(rows["task"] == task) & is_scored(rows)]
    home = (scored["cohort"] == cohort) & (scored["protocol"] == protocol)
    abroad = (scored["cohort"] == elsewhere) & (scored["protocol"] == EXTERNAL)
    inside, outside = scored.loc[home], scored.loc[abroad]
    both = set(inside["key"]) & set(outside["key"]) & set(lines["key"])
    pairs = pd.concat([inside.assign(where="in-domain"), outside.assign(where="external")])
    return pairs.loc[pairs["key"].isin(both)].sort_values(["label", "where"]).reset_index(drop=True)


def in_display_order(rows: pd.DataFrame, sort: str, *, higher_is_better: bool) -> pd.DataFrame:
    """Orders rows: scored ones by the chosen column, then failed, then missing ones.

    By ``score`` means by ``shown_position``, which counts pairwise losses on common people, so that
    scores need not descend; a row that is not ranked stands before the first ranked one that scores
    worse. Where no row is ranked, and between equals, the score decides.
    """
    worse = rows["score"] * (-1.0 if higher_is_better else 1.0)
    keys = {
        "score": _places(rows["shown_position"], worse),
        "gain": -rows["floor_gain"],
        "cost": rows["cpu_seconds"].fillna(rows["fit_seconds"]),
        "name": rows["label"].str.lower(),
    }
    unscored = rows["status"].map({FAILED: 1, MISSING: 2}).fillna(0)
    by = {"_last": unscored, "_key": keys[sort], "_worse": worse, "_tie": rows["label"]}
    ordered = rows.assign(**by).sort_values([*by], na_position="last")
    return ordered.drop(columns=[*by]).reset_index(drop=True)


def _places(position: pd.Series[float], worse: pd.Series[float]) -> pd.Series[float]:
    """Positions; rows without one half a place before the first with one that scores worse."""
    before = [position[worse > value].min() - 0.5 for value in worse]  # NaN where there is none
    return position.fillna(pd.Series(before, index=position.index))
