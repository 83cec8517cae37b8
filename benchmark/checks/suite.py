"""All rules of the contract, in the order in which they are checked."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Final

from benchmark.checks import behaviour, beside, card
from benchmark.checks.bench import Bench
from benchmark.checks.outcome import Outcome, Rule
from benchmark.checks.tiny_fit import tiny_fit
from benchmark.errors import BenchmarkError

__all__ = ["RULES", "rules_for", "run_rule"]

_TRACE_LINES = 12

RULES: Final = (
    Rule("names", "declared tasks, tracks, modalities, suites exist", card.names_known, fits=False),
    Rule("card", "the method card is complete", card.card_complete, fits=False),
    Rule("light", "info.py imports nothing heavy", card.info_light, fits=False),
    Rule("rows", "every variant resolves in every profile", card.rows_resolve, fits=False),
    Rule("space", "space.py suggests known settings", card.space_fits, fits=False),
    Rule("answers", "fits and answers each task and track", behaviour.every_task_and_track),
    Rule("labels", "the samples of test people have no labels", behaviour.labels_unreachable),
    Rule("seed", "same seed, same answer, to the bit", behaviour.same_seed_same_answer),
    Rule("order", "the order of people is irrelevant", behaviour.order_irrelevant),
    Rule("others", "other people are irrelevant", behaviour.others_irrelevant),
    Rule("saved", "saved and loaded are equal, to the bit", behaviour.saved_equals_loaded),
    Rule("boundary", "samples read from disk give the same", behaviour.crosses_process_boundary),
    Rule("unfitted", "an unfitted task is refused by name", behaviour.unfitted_task_refused),
    Rule("grid", "another volume shape is refused by name", behaviour.other_grid_refused),
    Rule("missing", "answers when modalities are missing", beside.copes_with_missing),
    Rule("shows", "what it shows has one row a person", beside.shows_rows_of_people),
    Rule("run", "a tiny real run leaves a whole record", tiny_fit),
)


def rules_for(row: str, method: str) -> tuple[Rule, ...]:
    """Rules of one board row: a variant shares its method's card, so only fits are checked."""
    return RULES if row == method else tuple(rule for rule in RULES if rule.fits)


def run_rule(rule: Rule, bench: Bench) -> Outcome:
    """Checks one rule; whatever the method raises becomes part of the outcome."""
    started = time.perf_counter()
    message = remark = trace = ""
    try:
        remark = rule.check(bench)
    except BenchmarkError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001 - a stranger's method may raise anything
        message = f"{type(error).__name__}: {error}"
        trace = _end(traceback.format_exc(), bench.row.info.folder)
    seconds = time.perf_counter() - started
    return Outcome(rule.name, rule.title, seconds, message or "", remark, trace)


def _end(trace: str, folder: Path | None) -> str:
    """The end of a traceback, from the first frame in the method's own folder if there is one."""
    lines = trace.rstrip().splitlines()
    own = [i for i, line in enumerate(lines) if folder and f'"{folder}/' in line]
    start = own[0] if own else 0
    return "\n".join(lines[max(start, len(lines) - _TRACE_LINES) :])
