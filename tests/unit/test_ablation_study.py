"""From a claim to its fits and back; on a tiny cohort, with a probe for a method."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from tiny_cohort import EXTERNAL, TINY

from benchmark.ablations.claims import Arm, Claim, load_claims
from benchmark.ablations.report import markdown, publish, read_lines, write_lines
from benchmark.ablations.study import plan_study, run_study, standing, study_lines, unjudged
from benchmark.config import Profile
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.registry import registry
from benchmark.runs.job import Job, Workspace
from benchmark.runs.watch import Watch


class Counted(Watch):
    """Notes how many jobs each call has to run, and how many are there."""

    def __init__(self, calls: list[tuple[int, int]]) -> None:
        self.calls = calls

    def start(self, jobs: Mapping[str, Job], cached: int) -> None:
        self.calls.append((len(jobs), cached))


def claim(**changes) -> Claim:
    facts = {
        "title": "More is better",
        "source": "nobody",
        "cohort": TINY,
        "tasks": ["dx3", "ad_cn"],
        "arms": {"low": Arm("probe"), "high": Arm("probe", {"shift": 0.5})},
    }
    made = Claim(**(facts | changes))
    made.check("one")
    return made


@pytest.mark.e2e
@pytest.mark.usefixtures("probe_site")
def test_a_claim_is_fitted_once_and_judged(
    fresh_workspace: Workspace, tiny_profile: Profile
) -> None:
    claims = {
        "one": claim(contrast=["ad_cn", "dx3"]),
        "two": claim(kind="transfer", external=EXTERNAL, tasks=["dx3"], arms={"a": Arm("probe")}),
        "three": claim(kind="confidence", tasks=["ad_cn"], arms={"a": Arm("probe")}),
    }
    study = plan_study(claims, tiny_profile, fresh_workspace)
    assert len(study.jobs) == 2 * 3 * 3, "two settings, three seeds, three folds; arms are shared"
    started = []
    assert standing("one", claims["one"], tiny_profile, fresh_workspace) == "18 runs, 0 done"
    failed = run_study(
        study,
        tiny_profile,
        fresh_workspace,
        Counted(started),
    )
    assert not failed
    assert not fresh_workspace.runs.exists(), "outputs of the methods' stages stay as they are"
    run_study(
        study,
        tiny_profile,
        fresh_workspace,
        Counted(started),
    )
    assert started == [(18, 0), (0, 18)], "the second call finds everything"
    assert standing("one", claims["one"], tiny_profile, fresh_workspace) == "18 runs, 18 done"
    assert standing("x", claim(cohort="nowhere"), tiny_profile, fresh_workspace).startswith(
        "not ready: "
    ), "a claim that cannot be tested yet does not hide the others"
    found = dict(study_lines(study, tiny_profile, fresh_workspace))
    assert [(x["task"], x["lower"], x["higher"]) for x in found["one"]] == [
        ("dx3", "low", "high"),
        ("ad_cn", "low", "high"),
        ("ad_cn - dx3", "gain on dx3", "gain on ad_cn"),
    ]
    assert found["one"][-1]["kind"] == "contrast"
    commits = {
        json.loads(path.read_text())["commit"]
        for path in fresh_workspace.for_ablations().runs.rglob("result.json")
    }
    (commit,) = commits
    assert found["one"][0]["commit"] == commit[:10] + commit[40:]
    assert found["two"][0]["lower"] == EXTERNAL
    assert found["three"][0]["metric"] == "accuracy"


@pytest.mark.usefixtures("probe_site")
def test_a_claim_without_its_runs_names_the_command(
    fresh_workspace: Workspace, tiny_profile: Profile
) -> None:
    study = plan_study({"one": claim()}, tiny_profile, fresh_workspace)
    ((name, why),) = study_lines(study, tiny_profile, fresh_workspace)
    assert name == "one"
    assert "neurodx ablate --only one" in why


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [0, 1]}, "at least 3 different seeds"),
        ({"contrast": ["dx3", "mci_cn"]}, "names two of the tasks"),
        ({"seeds": [0, 1, 1]}, "at least 3 different seeds"),
        ({"arms": {"a": Arm("probe")}}, "two arms or more"),
        ({"kind": "transfer"}, "one arm"),
        ({"external": EXTERNAL}, "belongs to 'transfer'"),
        ({"tasks": []}, "name its tasks"),
    ],
)
def test_a_claim_that_cannot_be_tested_is_refused(changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        claim(**changes)


def test_a_misspelt_kind_or_claim_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'order'"):
        claim(kind="ordr")
    with pytest.raises(UnknownNameError):
        load_claims("no_such_claim_at_all")


@pytest.mark.usefixtures("probe_site")
def test_where_twins_stand_in_a_claim_is_tested_on_them(
    fresh_workspace: Workspace, tiny_profile: Profile
) -> None:
    claims = {
        "one": claim(
            cohort="phantom-memory",
            kind="transfer",
            external=EXTERNAL,
            tasks=["dx3"],
            arms={"a": Arm("probe")},
        )
    }
    profile = dataclasses.replace(tiny_profile, stand_ins={"phantom-memory": TINY})
    study = plan_study(claims, profile, fresh_workspace)
    assert study.claims["one"].cohort == TINY
    assert {part.cohort for job in study.jobs.values() for part in job.parts} == {TINY}
    assert study.claims["one"].external == EXTERNAL


def test_every_claim_of_the_project_names_rows_that_exist() -> None:
    rows = {row for info in registry().methods.values() for row in (info.name, *info.variants)}
    for name, one in load_claims().items():
        assert {arm.row for arm in one.arms.values()} <= rows, name


def test_lines_of_other_claims_stay_and_pages_say_what_is_missing(tmp_path: Path) -> None:
    claims = {"one": claim(), "two": claim(title="Less is more")}
    line = {
        "claim": "two", "task": "dx3", "metric": "roc_auc", "cohort": TINY, "kind": "order",
        "seeds": 3, "lower": "low", "higher": "high", "score_lower": 0.6, "score_higher": 0.7,
        "difference": 0.1, "low": 0.02, "high": 0.18, "n": 40, "n_lower": 40, "n_higher": 40,
        "commit": "abc1234567",
    }  # fmt: skip
    write_lines([line], claims, tmp_path / "a")
    table = write_lines([line | {"claim": "one"}], claims, tmp_path / "a", tmp_path / "board")
    assert table["claim"].tolist() == ["one", "two"]
    pd.testing.assert_frame_equal(read_lines(tmp_path / "board"), table)
    again = write_lines([line | {"claim": "one", "low": -0.1}], claims, tmp_path / "a")
    assert again["verdict"].tolist() == ["not shown", "shown"]
    page = markdown(again, claims | {"three": claim(title="Not yet")}, "mini")
    assert "+0.100 | +0.020 to +0.180 | 40 | shown |" in page
    assert f"{TINY}, 3 seeds, fitted by the code of abc1234567." in page
    assert "2 differences, and nothing is corrected" in page
    assert "Not run yet: `neurodx ablate --only three`" in page
    publish(tmp_path / "a", tmp_path / "board")
    assert read_lines(tmp_path / "board")["verdict"].tolist() == ["not shown", "shown"]
    gone = write_lines(unjudged("two", claims["two"], "a run failed"), claims, tmp_path / "a")
    assert gone["verdict"].tolist() == ["not shown", "not judged", "not judged"]
    assert "|  | not judged: a run failed |" in markdown(gone, claims, "mini")
    gone.drop(columns="note").to_parquet(tmp_path / "board" / "ablations.parquet")
    assert read_lines(tmp_path / "board").empty
