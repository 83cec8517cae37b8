"""``neurodx new-method``: starts a method from the template."""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
from pathlib import Path

HELP = "Start a method from the template: writes methods/NAME/, ready to be checked."
EPILOG = """\
examples:
  neurodx new-method my_boosting            (a scikit-learn estimator)
  neurodx new-method my_network --torch     (a network that the shared loop trains)
"""
_SNAKE = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="snake_case; becomes the folder and the row")
    parser.add_argument("--torch", action="store_true", help="start from TorchMethod")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from benchmark.registry import ROOT

    folder = new_method(args.name, ROOT / "methods", torch=args.torch)
    print(  # noqa: T201
        f"wrote {folder.relative_to(ROOT)}/: info.py, model.py, space.py, README.md\n"
        "It runs as it is; fill in what is marked TODO. Next:\n"
        f"  $EDITOR methods/{args.name}/model.py    write your class; then info.py, README.md\n"
        f"  neurodx check {args.name}\n"
        "  make repro PROFILE=smoke        once: makes the data of profile smoke, in 3 minutes\n"
        f"  neurodx run method={args.name} profile=smoke"
    )
    return 0


def new_method(name: str, methods: Path, *, torch: bool = False) -> Path:
    """Copies a template with the name filled in.

    Args:
        name: The method's name, snake_case.
        methods: The folder that holds methods and templates.
        torch: Whether to start from ``TorchMethod`` instead of the scikit-learn adapter.

    Returns:
        The new folder.

    Raises:
        MethodError: The name is malformed or taken; nothing is written.
    """
    from benchmark.errors import MethodError
    from benchmark.registry import registry

    if not re.fullmatch(_SNAKE, name) or keyword.iskeyword(name):
        parts = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
        better = re.sub(r"^[0-9_]+", "", "_".join(parts))
        usable = bool(better) and not keyword.iskeyword(better)
        hint = f" Try {better!r}." if usable else ""
        raise MethodError(
            f"{name!r} cannot name a method: expected snake_case letters and digits, such as "
            f"'my_network'.{hint}"
        )
    taken = {r: i for i in registry().methods.values() for r in (i.name, *i.variants)}
    if name in taken:
        raise MethodError(f"{name!r} is taken by {taken[name].folder}; choose another name")
    folder = methods / name
    if folder.exists():
        raise MethodError(f"{folder} exists already; choose another name or remove it")
    template = methods / ("_template_torch" if torch else "_template")
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns("__pycache__"))
    words = {
        "template_method": name,
        "Template method": name.replace("_", " ").capitalize(),
        "TemplateMethod": "".join(part.capitalize() for part in name.split("_")),
    }
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        for placeholder, word in words.items():
            text = text.replace(placeholder, word)
        path.write_text(text, encoding="utf-8")
    return folder
