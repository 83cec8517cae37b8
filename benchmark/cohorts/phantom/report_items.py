"""What a written report may state: symptom and function items, and the visual read of atrophy.

Each item is present with a probability that depends on severity, and mentioned with one that does
not. The medial temporal read (0 to 4) is an ordinal, noisy reading of the realised hippocampal
change; the noise gives a reliability of about 0.75 in a memory cohort, as published.

References:
    Scheltens et al. 1995, J Neurol, 10.1007/BF00868807: inter-rater weighted kappa of the medial
    temporal read about 0.6 to 0.8.
    Items after the functional questionnaire of Pfeffer et al. 1982, 10.1093/geronj/37.3.323, and
    the MDS clinical criteria of Postuma et al. 2015, 10.1002/mds.26424.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MOST_ITEMS", "MTA_CUTS", "MTA_NOISE_SD", "Item", "items_of"]

MTA_CUTS: Final = (-0.02, 0.12, 0.25, 0.38)  # on hippocampal log shrinkage
MTA_NOISE_SD: Final = 0.10


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a report may state as given or denied.

    Attributes:
        name: Short name.
        phrase: Noun phrase.
        intercept: Log odds of being present at severity 0.
        mention: Probability of being mentioned at all.
    """

    name: str
    phrase: str
    intercept: float
    mention: float


_MEMORY: Final = (
    Item("forgets", "forgetting recent conversations", 0.2, 0.65),
    Item("repeats", "repeating questions", -0.8, 0.55),
    Item("words", "word-finding difficulty", -0.4, 0.55),
    Item("lost", "getting lost in familiar places", -1.8, 0.50),
    Item("apathy", "loss of initiative", -1.0, 0.45),
    Item("finances", "trouble managing money", -1.3, 0.55),
    Item("medicines", "trouble keeping track of medicines", -1.4, 0.45),
    Item("driving", "difficulty driving or using transport", -1.6, 0.45),
    Item("sleep", "restless sleep", -0.9, 0.35),
    Item("mood", "low mood", -0.9, 0.45),
)
_MOVEMENT: Final = (
    Item("tremor", "shaking of a hand at rest", -1.6, 0.60),
    Item("slowness", "slowness of movement", -1.3, 0.60),
    Item("stiffness", "stiffness of an arm or leg", -1.0, 0.50),
    Item("smell", "reduced sense of smell", -0.9, 0.45),
    Item("dreams", "acting out dreams", -1.4, 0.45),
    Item("writing", "handwriting becoming smaller", -1.6, 0.40),
    Item("walking", "shuffling when walking", -1.8, 0.45),
    Item("dressing", "trouble with buttons and dressing", -1.8, 0.45),
    Item("constipation", "constipation", -0.9, 0.35),
    Item("mood", "low mood", -0.9, 0.45),
)
MOST_ITEMS: Final = max(len(_MEMORY), len(_MOVEMENT))


def items_of(axis: str) -> tuple[Item, ...]:
    """Items of the reports on an axis: "pd" has its own, the others share the memory items."""
    return _MOVEMENT if axis == "pd" else _MEMORY
