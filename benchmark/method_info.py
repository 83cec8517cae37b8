"""What a method says of itself, light enough to list a hundred methods in an instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmark.errors import MethodError

__all__ = ["BY_CLASS", "EMBEDDING", "ROUTING", "MethodInfo", "Shown"]

BY_CLASS: Final = "by_class"
ROUTING: Final = "routing"
EMBEDDING: Final = "embedding"


@dataclass(frozen=True)
class Shown:
    """An array of :meth:`Method.expose` that readers are shown, and how it is summed up.

    Attributes:
        array: Its name; for ``embedding`` what comes before the number of the epoch.
        kind: ``by_class``, (N,) or (N, M): means by class. ``routing``, (N, T, E): tasks of the fit
            by experts. ``embedding``, (N, d) for each epoch: maps with classes.
        title: How readers see it.
        names: Of its M columns.
        names_by_track: The same for rows whose track shows fewer.
        about: One sentence on how to read it.

    Raises:
        MethodError: The kind is none of the three.
    """

    array: str
    kind: str
    title: str
    names: tuple[str, ...] = ()
    names_by_track: dict[str, tuple[str, ...]] = field(default_factory=dict)
    about: str = ""

    def __post_init__(self) -> None:
        kinds = (BY_CLASS, ROUTING, EMBEDDING)
        if self.kind not in kinds:
            raise MethodError(
                f"exposes: {self.array!r} has kind {self.kind!r}, expected one of {kinds}"
            )

    def names_on(self, track: str) -> tuple[str, ...]:
        """Names of the columns for rows of a track; empty where they have none."""
        return self.names_by_track.get(track, self.names)


@dataclass(frozen=True)
class MethodInfo:
    """The facts of a method; lives in its ``info.py``, which imports nothing heavy.

    Attributes:
        name: Its name in commands and on the board; equal to its folder's name.
        title: How readers see it.
        summary: One sentence: what it does.
        model: ``"module:Class"`` of the :class:`Method` in its folder: ``"model:Chance"``.
        tasks: Tasks it can be fitted for.
        tracks: Tracks it can run in; the first is its default.
        requires: Modalities without which it cannot predict a person; such people are left out of
            its rows.
        copes_with_missing: Whether it can be fitted where a cohort lacks some sources of its track
            (``requires`` excepted). If not, it is simply not entered there. Whoever lacks all that
            a track opens is left out of its rows.
        multitask: Whether one fit serves all tasks of a cohort, or of a suite, at once.
        suite: Name of the cohorts and tasks that one fit spans (``configs/suite``); empty: each
            cohort by itself.
        config: Dataclass of its settings with their defaults, or None.
        scales: Settings at other scales than the default one: name -> what makes them, such as
            ``{"paper": paper_config}``.
        variants: Further board rows of the same method: row name -> settings that differ; the
            keys ``track``, ``title``, ``suite``, ``multitask`` and ``tasks`` set those of the row.
        paper: Citation.
        doi: DOI of the paper.
        bibtex: BibTeX entry.
        pretraining: Cohort parts that its weights saw, e.g. ``"phantom-population:pretrain"``.
        licence: Licence of the method's code and weights.
        contact: Whom to ask.
        exposes: Arrays of ``expose()`` that ``neurodx ablate`` sums up for readers.
    """

    name: str
    title: str
    summary: str
    model: str
    tasks: tuple[str, ...]
    tracks: tuple[str, ...]
    requires: tuple[str, ...] = ()
    copes_with_missing: bool = False
    multitask: bool = False
    suite: str = ""
    config: type | None = None
    scales: dict[str, Callable[[], object]] = field(default_factory=dict)
    variants: dict[str, dict[str, object]] = field(default_factory=dict)
    paper: str = ""
    doi: str = ""
    bibtex: str = ""
    pretraining: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    contact: str = ""
    exposes: tuple[Shown, ...] = ()
    package: str = ""
    folder: Path | None = None
