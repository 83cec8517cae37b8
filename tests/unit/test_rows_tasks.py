"""Which tasks a board row answers."""

from __future__ import annotations

import pytest

from benchmark.errors import ConfigError
from benchmark.method_info import MethodInfo
from benchmark.runs.rows import tasks_of_row


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
