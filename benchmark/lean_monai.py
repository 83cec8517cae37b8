"""MONAI without what it imports for its own sake.

``import monai`` loads all of MONAI, and one of its networks, TransCheX, all of ``transformers``:
half of the seconds that each worker process needs before it can train. MONAI treats the library as
optional, so it is told, while it loads, that there is none; everyone else finds it as usual.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["lean_monai"]


class _NotForMonai:
    """A finder that refuses ``transformers`` to MONAI's own import and has nothing else to say."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds nothing, and raises where MONAI asks for ``transformers`` while it loads."""
        spec = getattr(sys.modules.get("monai"), "__spec__", None)
        if name == "transformers" and getattr(spec, "_initializing", False):
            raise ModuleNotFoundError(
                "transformers is kept from MONAI's import, which it would double; for monai's "
                "TransCheX, import transformers before monai",
                name=name,
            )
        return None


def lean_monai() -> None:
    """Keeps ``transformers`` out of a later ``import monai`` in this process."""
    if not any(finder is _NotForMonai for finder in sys.meta_path):
        sys.meta_path.insert(0, _NotForMonai)
