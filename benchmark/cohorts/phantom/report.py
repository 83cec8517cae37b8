"""Words a report: statements in varied phrasing that carries no information of its own."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from benchmark.cohorts.phantom.report_items import items_of

__all__ = ["MTA_PHRASES", "write_report"]

_OPENING: Final = (
    "Seen with a companion.",
    "Attended the clinic for assessment.",
    "Interviewed at the visit.",
    "History taken from the participant.",
)
_GIVEN: Final = (
    "Reports {}.",
    "There is {}.",
    "The companion describes {}.",
    "Notes {} over the past year.",
)
_DENIED: Final = (
    "Denies {}.",
    "No {}.",
    "There is no mention of {} by the companion, and on asking it is denied.",
    "Asked about {}, answers that there is none.",
)
_FAMILY: Final = {
    1: ("A first-degree relative was affected.", "Family history is positive in a parent."),
    0: ("No affected first-degree relative.", "Family history is unremarkable."),
}
MTA_PHRASES: Final = (
    ("The medial temporal lobes look full.", "Visual read of medial temporal atrophy: 0 of 4."),
    (
        "The choroid fissure is slightly wide (medial temporal read 1 of 4).",
        "Visual read of medial temporal atrophy: 1 of 4.",
    ),
    (
        "Mild loss of hippocampal height (medial temporal read 2 of 4).",
        "Visual read of medial temporal atrophy: 2 of 4.",
    ),
    (
        "Moderate loss of hippocampal height (medial temporal read 3 of 4).",
        "Visual read of medial temporal atrophy: 3 of 4.",
    ),
    (
        "Severe loss of hippocampal volume (medial temporal read 4 of 4).",
        "Visual read of medial temporal atrophy: 4 of 4.",
    ),
)
_MMSE: Final = ("MMSE {} of 30.", "Scored {} of 30 on the Mini-Mental State Examination.")


def _choose(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def write_report(axis: str, latents: pd.Series, rng: np.random.Generator) -> tuple[str, str]:
    """Writes one person's report.

    Args:
        axis: Latent axis of the cohort, which decides the items.
        latents: The person's row of latents.
        rng: The person's report stream; decides order and phrasing only.

    Returns:
        (text, the same text with an MMSE sentence where the score is known). Neither names a
        diagnosis or a dementia rating.
    """
    sentences = []
    for k, item in enumerate(items_of(axis)):
        state = int(latents[f"item_{k}"])
        template = _choose(_GIVEN if state == 1 else _DENIED, rng)
        if state >= 0:
            sentences.append(template.format(item.phrase))
    sentences = [sentences[i] for i in rng.permutation(len(sentences))]
    family = _choose(_FAMILY[int(latents["family"])], rng)
    if latents["has_family"]:
        sentences.append(family)
    sentences.append(_choose(MTA_PHRASES[int(latents["mta"])], rng))
    text = " ".join([_choose(_OPENING, rng), *sentences])
    score = _choose(_MMSE, rng).format(int(latents["mmse"]))
    return text, f"{text} {score}" if latents["has_mmse"] else text
