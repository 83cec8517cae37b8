"""The leakage referee: refuses what would pass information from evaluation to training."""

from benchmark.leakage.images import ImageTwins, find_twins
from benchmark.leakage.inputs import check_fit_ids, check_inputs, check_reports
from benchmark.leakage.referee import (
    image_twins,
    shared_across,
    verify_external_images,
    verify_reports,
    verify_split,
)

__all__ = [
    "ImageTwins",
    "check_fit_ids",
    "check_inputs",
    "check_reports",
    "find_twins",
    "image_twins",
    "shared_across",
    "verify_external_images",
    "verify_reports",
    "verify_split",
]
