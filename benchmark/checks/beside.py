"""Rules about what every run does beside its ledger: fewer modalities, and what is exposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.checks.outcome import ContractError
from benchmark.method_info import EMBEDDING, Shown
from benchmark.runs.beside import shown_by
from benchmark.samples.hide import hide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmark.checks.bench import Bench
    from benchmark.method_info import MethodInfo
    from benchmark.samples import Samples

__all__ = ["copes_with_missing", "shows_rows_of_people"]

_RTOL, _ATOL = 1e-4, 1e-5  # float32 sums in another order


def copes_with_missing(bench: Bench) -> str:
    """Answers people without one modality, with one alone, and with half of them without one."""
    info = bench.row.info
    if not info.copes_with_missing:
        return "needs all that its track opens: it is asked with nothing missing"
    n_ways = 0
    for group in bench.main:
        method, samples = bench.fitted(group), bench.unseen(group)
        for way, hidden in _ways(info, samples).items():
            try:
                bench.answers(method, hide(samples, hidden), group)
            except Exception as error:
                raise ContractError(
                    f"{way}: {type(error).__name__}: {error}. A method that says "
                    "copes_with_missing=True answers with any of its modalities missing but those "
                    "in `requires`; look at samples.has(modality)"
                ) from error
            n_ways += 1
    return f"{n_ways} ways" if n_ways else "sees fewer than two modalities"


def _ways(info: MethodInfo, samples: Samples) -> dict[str, dict[str, np.ndarray]]:
    """From whom which modality is taken, by what it is called; none where there is but one."""
    everybody = np.ones(samples.n, dtype=bool)
    measured = [m for m, has in samples.available.items() if has.any()]
    optional = [m for m in measured if m not in info.requires]
    if len(optional) + len(info.requires) < 2:
        return {}
    ways = {f"without {m}": {m: everybody} for m in optional}
    ways |= {f"half without {m}": {m: np.arange(samples.n) % 2 == 0} for m in optional}
    alone = {m: {other: everybody for other in optional if other != m} for m in optional}
    return ways | {f"{m} alone": hidden for m, hidden in alone.items()}


def shows_rows_of_people(bench: Bench) -> str:
    """What is shown has one row a person, in their order, finite; what the card promises is there.

    A method that copes with missing modalities shows the same arrays whatever is missing. A variant
    may show less than the method's own row.
    """
    info = bench.row.info
    names: set[str] = set()
    for group in bench.main:
        method, samples = bench.fitted(group), bench.unseen(group)
        order = np.random.default_rng(3).permutation(samples.n)
        shown = shown_by(method, samples, bench.name)
        turned = shown_by(method, samples.subset(order), bench.name)
        for name, values in shown.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ContractError(f"expose() or embed() gave {name!r} with NaN or infinity")
            if not _equal(values[order], turned[name]):
                raise ContractError(
                    f"expose() or embed() gave {name!r} whose rows do not follow the people: in "
                    "another order, or among others, a person has another row"
                )
        names |= shown.keys()
        for way, hidden in _ways(info, samples).items() if info.copes_with_missing else ():
            _shows_the_same(way, shown, shown_by(method, hide(samples, hidden), bench.name))
        if bench.name == info.name:
            _keeps_promises(info.exposes, bench.row.track, shown)
    return ", ".join(sorted(names)) or "shows nothing of its inner workings"


def _shows_the_same(
    way: str, whole: Mapping[str, np.ndarray], fewer: Mapping[str, np.ndarray]
) -> None:
    for name in sorted({*whole, *fewer}):
        one, two = whole.get(name), fewer.get(name)
        if one is None or two is None or one.shape != two.shape:
            found = [str(x.shape) if x is not None else "nothing" for x in (one, two)]
            raise ContractError(
                f"{way}: expose() or embed() gave {name!r} as {found[1]}, with everything there as "
                f"{found[0]}; give zeros for what is missing, since a batch may hold nobody who "
                "has it"
            )


def _keeps_promises(promised: Sequence[Shown], track: str, shown: Mapping[str, np.ndarray]) -> None:
    for one in promised:
        by_epoch = one.kind == EMBEDDING
        found = [n for n in shown if (n.startswith(one.array) if by_epoch else n == one.array)]
        if not found:
            raise ContractError(
                f"info.exposes promises {one.array!r}, which expose() does not give; it gives "
                f"{', '.join(sorted(shown)) or 'nothing'}"
            )
        columns, names = [shown[name][0].size for name in found], one.names_on(track)
        if names and len(names) not in columns:
            raise ContractError(
                f"info.exposes names {len(names)} columns of {one.array!r}, which has {columns[0]}"
            )


def _equal(one: np.ndarray, two: np.ndarray) -> bool:
    if one.shape != two.shape or one.dtype.kind not in "fiu":
        return np.array_equal(one, two)
    return np.allclose(one, two, rtol=_RTOL, atol=_ATOL)
