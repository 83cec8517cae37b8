"""A fold is explained once, from a fit that equals the run, and scored against the truth."""

import dataclasses
import importlib.metadata
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from process_caches import forget
from tiny_cohort import GRID, TINY
from visit_tables import tune_on_a_training_person

from benchmark.cli.compose import compose_request
from benchmark.cli.explain import _own_settings, _request
from benchmark.config import Profile
from benchmark.errors import ConfigError, LeakageError, MethodError, ResultError, UnknownNameError
from benchmark.runs.execute import execute
from benchmark.runs.identity import run_id
from benchmark.runs.job import Job, Workspace
from benchmark.runs.rows import resolve_row
from benchmark.saliency import study
from benchmark.saliency.fold import Point, job_of
from benchmark.saliency.maps import MapSettings
from benchmark.saliency.sanity import verdict
from benchmark.saliency.study import Request, explain_fold
from benchmark.store import Cohort, CohortWriter

POINT = Point(TINY, "dx3", 0)
SMALL = {
    "width": 2,
    "stem_stride": 1,
    "max_pool": False,
    "trainer": {"epochs": 1, "warmup": 0.5},
}
QUICK = Request(
    people=6, sanity_people=3, settings=MapSettings(steps=4, window_mm=60.0, stride_mm=60.0)
)


@pytest.fixture
def workspace(fresh_workspace: Workspace) -> Workspace:
    """With a truth: the first voxels change in everybody."""
    forget()
    cohort = Cohort(fresh_workspace.data / TINY)
    index = cohort.index_visits
    n = len(cohort.array("t1w"))
    writer = CohortWriter(fresh_workspace.truth / TINY, {"n": n})
    change = writer.array("change_maps", (n, *GRID), "float16")
    change[:, :2, :2, :2] = -0.2
    change.flush()
    latents = index[["participant_id"]].assign(change_map_row=index["t1w_row"])
    writer.table("latents", latents.reset_index(drop=True))
    facts = dict.fromkeys(("title", "source", "licence", "preparation"), "made up for tests")
    writer.finish({**facts, "name": TINY, "synthetic": True, "spacing_mm": 20.0})
    return fresh_workspace


@pytest.fixture
def job(workspace: Workspace, tiny_profile: Profile) -> Job:
    return job_of(resolve_row("resnet3d", tiny_profile, SMALL), tiny_profile, workspace, POINT)


def test_a_fold_is_explained_beside_its_run(workspace: Workspace, job: Job) -> None:
    identity = run_id(job, workspace)
    execute(job, identity, workspace)
    log = workspace.runs / job.row / "evaluations.jsonl"
    assert [json.loads(line)["by"] for line in log.read_text().splitlines()] == ["run"]
    steps: list[str] = []
    folder, fresh = explain_fold(job, POINT, QUICK, workspace)
    assert fresh
    assert folder == workspace.root / "explanations/resnet3d/tiny__dx3__fold0"
    facts = json.loads((folder / "explanation.json").read_text())
    assert facts["verified"]
    assert facts["run_id"] == identity
    assert facts["explained"] == "log odds of MCI or AD against CN"
    assert set(facts["kinds"]) == {"gradcam", "integrated_gradients", "occlusion"}
    assert set(facts["refused"]) == {"own", "rollout"}
    assert facts["kinds"]["integrated_gradients"]["sanity"]["most_spearman"] == 0.5
    people = pd.read_parquet(folder / "people.parquet")
    assert people["group"].tolist() == ["CN", "MCI", "AD", "CN", "MCI", "AD"]
    stored = Cohort(workspace.data / TINY).array("t1w")
    assert np.array_equal(np.load(folder / "t1w.npy"), stored[people["t1w_row"].to_numpy()])
    for kind in facts["kinds"]:
        maps = np.load(folder / f"{kind}.npy")
        assert maps.shape == (6, *GRID)
        assert maps.dtype == np.float16
        assert np.abs(maps).max() == pytest.approx(1.0, abs=1e-3)
    # Evidence is that of the ledger, without the mirrored view that its answer averages.
    assert np.isfinite(people["evidence"]).all()
    agreement = pd.read_parquet(folder / "agreement.parquet")
    assert len(agreement) == 6 * 7 * 2
    grid = agreement[agreement["region"] == "grid"]
    assert grid["prevalence"].to_numpy() == pytest.approx(8 / np.prod(GRID))
    assert set(pd.read_parquet(folder / "summary.parquet")["group"]) == {
        "everybody", "CN", "MCI", "AD",
    }  # fmt: skip
    sanity = pd.read_parquet(folder / "sanity.parquet")
    assert set(sanity["stage"]) == {"top", "half", "all", "other person"}
    assert not [p for p in folder.parent.iterdir() if p.name.startswith(".")]

    again, fresh = explain_fold(job, POINT, QUICK, workspace)
    assert (again, fresh, steps) == (folder, False, [])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["run_id"], line["by"]) for line in lines] == [
        (identity, "run"),
        (identity, "explain"),
    ]


def test_the_same_fold_gives_the_same_maps(workspace: Workspace, job: Job) -> None:
    request = dataclasses.replace(QUICK, kinds=("gradcam",), without_run=True)
    folder, _ = explain_fold(job, POINT, request, workspace)
    first = (folder / "gradcam.npy").read_bytes()
    facts = json.loads((folder / "explanation.json").read_text())
    assert not facts["verified"]
    (folder / "explanation.json").unlink()
    explain_fold(job, POINT, request, workspace)
    assert (folder / "gradcam.npy").read_bytes() == first


def test_an_explanation_rests_on_the_code_and_libraries_that_make_and_score_it(
    workspace: Workspace, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("saliency", "stats", "metrics"):
        shutil.copytree(study.PACKAGE / part, tmp_path / part)
    monkeypatch.setattr(study, "PACKAGE", tmp_path)

    def identity() -> str:
        return study._identity(job, POINT, QUICK, workspace)

    found = [identity()]
    for name in ("saliency/sanity.py", "stats/bootstrap.py", "metrics/probabilities.py"):
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        found.append(identity())
    with (tmp_path / "saliency/figure.py").open("a") as file:
        file.write("# changed\n")
    assert identity() == found[-1], "a drawing is no part of it"
    real = importlib.metadata.version
    for library in ("captum", "monai", "scikit-learn", "scipy"):
        with monkeypatch.context() as patch:
            patch.setattr(
                importlib.metadata, "version", lambda n, w=library: "0" if n == w else real(n)
            )
            found.append(identity())
    assert len(set(found)) == len(found)


def test_without_its_run_a_fold_is_refused_with_the_command(workspace: Workspace, job: Job) -> None:
    with pytest.raises(ResultError, match=r"run `neurodx run method=resnet3d profile=tiny cohort="):
        explain_fold(job, POINT, QUICK, workspace)


def test_a_fit_that_predicts_something_else_is_refused(workspace: Workspace, job: Job) -> None:
    identity = run_id(job, workspace)
    execute(job, identity, workspace)
    path = workspace.runs / job.row / identity / "predictions.parquet"
    ledger = pd.read_parquet(path)
    chosen = ledger.index[ledger["part"] == "test"][0]
    ledger.loc[chosen, "prob_0"] = np.nextafter(ledger.loc[chosen, "prob_0"], 1.0)
    ledger.to_parquet(path)
    with pytest.raises(ResultError, match=r"1 of \d+ people differ.*neurodx run method=resnet3d"):
        explain_fold(job, POINT, QUICK, workspace)
    assert not (workspace.explanations / "resnet3d/tiny__dx3__fold0").exists()


def test_what_was_asked_for_and_cannot_be_given_is_an_error(workspace: Workspace, job: Job) -> None:
    request = dataclasses.replace(QUICK, kinds=("rollout",), without_run=True)
    with pytest.raises(MethodError, match=r"no map 'rollout'"):
        explain_fold(job, POINT, request, workspace)
    with pytest.raises(UnknownNameError, match="kind of map 'rolout'"):
        explain_fold(job, POINT, dataclasses.replace(QUICK, kinds=("rolout",)), workspace)


def test_a_row_without_volumes_has_nothing_to_draw_on(
    workspace: Workspace, tiny_profile: Profile
) -> None:
    job = job_of(resolve_row("age_sex", tiny_profile), tiny_profile, workspace, POINT)
    with pytest.raises(MethodError, match="shows no volumes"):
        explain_fold(job, POINT, dataclasses.replace(QUICK, without_run=True), workspace)


def test_a_derived_task_names_the_one_it_comes_from(
    workspace: Workspace, tiny_profile: Profile
) -> None:
    row = resolve_row("resnet3d", tiny_profile, SMALL)
    with pytest.raises(ConfigError, match="explain task=dx3"):
        job_of(row, tiny_profile, workspace, Point(TINY, "ad_cn", 0))
    with pytest.raises(ConfigError, match="does not fit 'brain_age'"):
        job_of(row, tiny_profile, workspace, Point(TINY, "brain_age", 0))


def test_the_verbs_own_keys_are_taken_out_of_the_overrides() -> None:
    words = ["method=resnet3d", "maps=gradcam,occlusion", "people=0", "window_mm=20", "fold=1"]
    own, others = _own_settings(words)
    assert others == ["method=resnet3d", "fold=1"]
    assert compose_request(others).fold == 1
    request = _request(own, without_run=True)
    assert request.kinds == ("gradcam", "occlusion")
    assert (request.people, request.settings.window_mm, request.without_run) == (0, 20.0, True)
    for wrong in ("people=many", "steps=0", "people=-1"):
        with pytest.raises(ConfigError, match=wrong):
            _own_settings([wrong])


def test_options_and_overrides_come_in_any_order_and_what_is_not_given_is_told(
    workspace: Workspace,
    tiny_profile: Profile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 1 if what was asked for by name is not given, and the rest is there."""
    from types import SimpleNamespace

    from benchmark.cli import compose, main
    from benchmark.runs import workspace as places

    def composed(overrides: list[str]) -> SimpleNamespace:
        assert sorted(overrides) == ["cohort=tiny", "fold=0", "method=resnet3d", "task=dx3"]
        return SimpleNamespace(
            method="resnet3d", profile=tiny_profile, config=SMALL, track=None, cohort=TINY,
            task="dx3", fold=0, seed=None, protocol=None, scale=None,
        )  # fmt: skip

    monkeypatch.setattr(compose, "compose_request", composed)
    monkeypatch.setattr(places, "workspace_of", lambda _: workspace)
    first = ["method=resnet3d", f"cohort={TINY}", "--without-run", "task=dx3", "people=3"]
    last = ["fold=0", "window_mm=60", "stride_mm=60"]
    for expected, kinds in ((1, "maps=rollout,occlusion"), (0, "maps=occlusion")):
        assert main(["explain", *first, kinds, *last]) == expected
        shown = capsys.readouterr()
        assert ("not given: rollout: no module" in shown.out) == bool(expected)
        assert ("asked for and not given: rollout" in shown.err) == bool(expected)
        folder = workspace.explanations / "resnet3d/tiny__dx3__fold0"
        facts = json.loads((folder / "explanation.json").read_text())
        assert (set(facts["kinds"]), set(facts["refused"])) == (
            {"occlusion"}, {"rollout"} if expected else set(),
        )  # fmt: skip
        assert (folder / "occlusion.npy").is_file()
        assert not facts["hippocampus_map"]
    assert main(["explain", *first, "maps=rollout", *last]) == 1
    assert "no map 'rollout': no module" in capsys.readouterr().err


def test_the_table_names_maps_controls_and_checks(
    workspace: Workspace, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from benchmark.cli.explain_table import show

    request = dataclasses.replace(QUICK, kinds=("gradcam",), without_run=True)
    folder, _ = explain_fold(job, POINT, request, workspace)
    show(Path(folder), Console(width=160))
    shown = capsys.readouterr().out
    for text in ("no run vouches", "synthetic cohort tiny", "gradcam", "group_t (control)"):
        assert text in shown
    assert "randomisation check" in shown


def test_a_check_without_verdict_is_printed_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from benchmark.cli.explain_table import show

    rows = [("all", f"sub-{i}", np.nan, np.nan) for i in range(3)]
    check = verdict(
        pd.DataFrame(
            [*rows, ("other person", "sub-1", 0.1, 0.2)],
            columns=["stage", "participant_id", "spearman", "ssim"],
        )
    )
    facts = {
        "explained": "age", "verified": True, "refused": {}, "hippocampus_map": False,
        "kinds": {"gradcam": {"sanity": check}}, "truth": {"known": False},
    }  # fmt: skip
    (tmp_path / "explanation.json").write_text(json.dumps(study._plain(facts), allow_nan=False))
    show(tmp_path, Console(width=200))
    shown = capsys.readouterr().out
    assert "randomisation check without verdict: gradcam: for 3 of 3 people the map" in shown


def test_a_figure_is_drawn_of_a_synthetic_cohort(
    workspace: Workspace, job: Job, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    from benchmark.saliency.figure import draw

    request = dataclasses.replace(QUICK, kinds=("gradcam",), without_run=True)
    folder, _ = explain_fold(job, POINT, request, workspace)
    draw(folder, tmp_path / "maps.png", "AD")
    assert (tmp_path / "maps.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ResultError, match="nobody is of class 'PD'; there are CN, MCI, AD"):
        draw(folder, tmp_path / "maps.png", "PD")
    (folder / "true_change.npy").unlink()
    with pytest.raises(ResultError, match="explain a phantom cohort"):
        draw(folder, tmp_path / "maps.png")


def test_a_fit_on_folds_that_leak_is_not_explained(workspace: Workspace, job: Job) -> None:
    who = tune_on_a_training_person(workspace.splits / TINY)
    forget()
    with pytest.raises(LeakageError, match=who):
        explain_fold(job, POINT, dataclasses.replace(QUICK, without_run=True), workspace)
