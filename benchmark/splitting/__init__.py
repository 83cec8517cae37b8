"""Frozen folds: made by a stateless rule, written with a manifest, verified when read."""

from benchmark.splitting.files import read_split, write_split
from benchmark.splitting.people import people_of, people_sha256
from benchmark.splitting.protocols import PROTOCOLS, make_split, split_people
from benchmark.splitting.split import FEW_LABEL_PERCENTS, Fold, Split

__all__ = [
    "FEW_LABEL_PERCENTS",
    "PROTOCOLS",
    "Fold",
    "Split",
    "make_split",
    "people_of",
    "people_sha256",
    "read_split",
    "split_people",
    "write_split",
]
