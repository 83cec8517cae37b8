"""Which tasks a board row answers."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.errors import ConfigError
from benchmark.method_info import MethodInfo
from benchmark.runs.rows import is_open, tasks_of_row


def made(**variants: dict[str, object]) -> MethodInfo:
    return MethodInfo(
        name="toy",
        title="T",
        summary="S",
        model="model:M",
        tasks=("dx3", "conversion"),
        tracks=("t1w",),
        variants=variants,
    )


def test_a_row_answers_its_own_tasks_or_those_of_its_method() -> None:
    info = made(toy_age={"tasks": ["brain_age"]}, toy_wide={"width": 8})
    assert tasks_of_row(info, "toy") == ("dx3", "conversion")
    assert tasks_of_row(info, "toy_wide") == ("dx3", "conversion")
    assert tasks_of_row(info, "toy_age") == ("brain_age",)


@pytest.mark.parametrize("wrong", ["dx3", 3])
def test_one_name_in_place_of_several_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match="row 'toy_age': tasks must be several names"):
        tasks_of_row(made(toy_age={"tasks": wrong}), "toy_age")


def test_a_task_that_closes_sources_needs_one_that_is_left_and_a_method_that_copes() -> None:
    needy = made()
    coping = dataclasses.replace(needy, copes_with_missing=True)
    for track, by_needy, by_coping in (
        ("t1w", True, True),
        ("t1w+report", False, True),
        ("report", False, False),
    ):
        assert is_open(needy, "brain_age", track) is by_needy
        assert is_open(coping, "brain_age", track) is by_coping
        assert is_open(needy, "dx3", track)
