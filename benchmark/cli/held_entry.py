"""Where a cohort lies, from the arguments of ``neurodx cohort``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.cohorts.held.arrays import GenotypeRule, SeriesRule
    from benchmark.cohorts.held.entry import CohortEntry

__all__ = ["add_sources", "entry_of", "named"]


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Declares the folders and files of a cohort."""
    parser.add_argument("--root", type=Path, help="folder of the download")
    parser.add_argument(
        "--volumes",
        type=Path,
        metavar="FOLDER",
        help="add, check: T1w volumes of these people, as `neurodx volumes` wrote them",
    )
    parser.add_argument(
        "--fmri",
        type=Path,
        metavar="FOLDER",
        help="add, check: ROI time series, as XCP-D or `neurodx timeseries` wrote them",
    )
    parser.add_argument(
        "--fmri-files", default="", metavar="GLOB", help="which of them, such as '*seg-4S156*'"
    )
    parser.add_argument(
        "--frames", type=int, default=0, help="cut them to this length, leave shorter ones out"
    )
    parser.add_argument(
        "--snps", type=Path, metavar="FILE", help="add, check: genotypes, plink's .bed or .raw"
    )
    parser.add_argument(
        "--keep-snps", type=Path, metavar="FILE", help="which of them, `ID` or `ID ALLELE` a line"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of the adapter"
    )


def named(args: argparse.Namespace) -> str:
    """The study, cohort or mapping.

    Raises:
        ConfigError: None was given.
    """
    from benchmark.errors import ConfigError

    if not args.name:
        raise ConfigError(f"say which: `neurodx cohort {args.action} NAME`; `neurodx cohort list`")
    return str(args.name)


def entry_of(args: argparse.Namespace) -> CohortEntry:
    """The entry that the arguments describe; its hashes are empty.

    Raises:
        ConfigError: An argument is missing or malformed.
        UnknownNameError: No such study.
    """
    from benchmark.cohorts.held.entry import CohortEntry, adapter_of
    from benchmark.errors import ConfigError

    source = named(args)
    if source.endswith((".yaml", ".yml")):
        source = str(Path(source).expanduser().resolve())
    adapter_of(source)  # an unknown study is told before a missing folder
    if args.root is None:
        raise ConfigError(
            f"say where the files are: `neurodx cohort {args.action} {source} --root FOLDER`; what "
            f"they are: `neurodx cohort show {source}`"
        )
    options = {}
    for given in args.option:
        key, equals, value = given.partition("=")
        if not equals:
            raise ConfigError(f"--option {given!r}: expected KEY=VALUE, e.g. features=ants")
        options[key] = value
    root = str(args.root.expanduser().resolve())
    return CohortEntry(
        source=source,
        root=root,
        title=args.title,
        options=options,
        synthetic=args.synthetic,
        volumes=_absolute(args.volumes),
        fmri=_series_rule(args),
        snps=_genotype_rule(args),
    )


def _absolute(path: Path | None) -> str:
    return str(path.expanduser().resolve()) if path else ""


def _series_rule(args: argparse.Namespace) -> SeriesRule | None:
    from benchmark.cohorts.held.arrays import SeriesRule
    from benchmark.errors import ConfigError

    if args.fmri:
        return SeriesRule(_absolute(args.fmri), args.fmri_files, args.frames)
    if args.fmri_files or args.frames:
        raise ConfigError("--fmri-files and --frames are about time series: add `--fmri FOLDER`")
    return None


def _genotype_rule(args: argparse.Namespace) -> GenotypeRule | None:
    from benchmark.cohorts.held.arrays import GenotypeRule
    from benchmark.errors import ConfigError

    if args.snps:
        return GenotypeRule(_absolute(args.snps), [], _absolute(args.keep_snps))
    if args.keep_snps:
        raise ConfigError("--keep-snps is about genotypes: add `--snps FILE`")
    return None
