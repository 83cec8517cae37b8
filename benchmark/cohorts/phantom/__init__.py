"""Synthetic cohorts with real anatomy and a known truth."""

from __future__ import annotations

from benchmark.cohorts.phantom.config import ROLES, PhantomConfig

__all__ = ["ROLES", "PhantomConfig"]
