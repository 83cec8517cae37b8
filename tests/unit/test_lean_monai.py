"""MONAI loads without transformers, and nobody else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmark.registry import ROOT

MONAI = """\
try:
    import transformers
except ImportError as error:
    has_transformers, why = False, str(error)
else:
    has_transformers, why = True, ""
"""


def found(folder: Path, code: str) -> str:
    """What a new process prints, with a small ``monai`` and ``transformers`` to import."""
    for name, text in {"monai": MONAI, "transformers": "there = True\n"}.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text(text)
    path = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]; "
    done = subprocess.run(
        [sys.executable, "-I", "-c", path + code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_what_an_author_imports_keeps_transformers_out_of_monai_alone(tmp_path: Path) -> None:
    for module in ("benchmark.api", "benchmark.encoders"):
        code = f"import {module}, monai, transformers; print(monai.why, '|', transformers.there)"
        why, _, there = found(tmp_path, code).partition(" | ")
        assert "import transformers before monai" in why
        assert there == "True"


def test_monai_finds_transformers_that_are_imported_before_it(tmp_path: Path) -> None:
    code = "import benchmark.api, transformers, monai; print(monai.has_transformers)"
    assert found(tmp_path, code) == "True"
