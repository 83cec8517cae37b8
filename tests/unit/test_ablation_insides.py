"""What exposed arrays come down to, against tables made by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import vocabulary as v
from benchmark.ablations import insides as reading
from benchmark.ablations.claims import Arm, Claim
from benchmark.ablations.inside_figures import inside_figures
from benchmark.ablations.inside_report import insides_markdown
from benchmark.ablations.inside_tables import INSIDE_TABLES, INSIDES_COLUMNS, write_insides
from benchmark.ablations.insides import study_insides
from benchmark.ablations.report import publish
from benchmark.ablations.study import Study
from benchmark.ablations.summaries import class_means, layout, neighbours, overlaps, routing
from benchmark.api import MethodInfo, Shown
from benchmark.cli import main
from benchmark.errors import MethodError, ResultError
from benchmark.registry import get_method
from benchmark.runs.job import Job, Part, Workspace

COHORT = "memory"
CLASSES = ["CN", "MCI", "AD"]
SHOWN = (
    Shown("gate", kind="by_class", title="Gates", names=("left", "right"), about="Half each."),
    Shown("routing", kind="routing", title="Routing"),
    Shown("embedding_epoch_", kind="embedding", title="Embeddings"),
)
N = 24  # people, a third of each class, two folds


def test_means_count_a_person_once_and_lie_within_their_interval() -> None:
    values = np.array([[1.0], [3.0], [2.0], [6.0], [5.0], [5.0]])
    people = np.array(["a", "a", "b", "b", "c", "c"])
    classes = np.array(["AD", "AD", "AD", "AD", "CN", "CN"])
    table = class_means(values, people, classes, np.array([0, 1, 0, 1, 0, 1]), n_resamples=400)
    found = table.set_index("group")
    assert found["value"].to_dict() == {"AD": 3.0, "CN": 5.0}
    assert found["n"].to_dict() == {"AD": 2, "CN": 1}
    assert found.loc["AD", ["low", "high"]].tolist() == [2.0, 4.0], "one of the two, twice"
    assert found.loc["CN", ["low", "high"]].tolist() == [5.0, 5.0]


def test_the_interval_holds_the_spread_between_three_seeds() -> None:
    values = np.array([[1.0], [2.0], [3.0]] * 2)
    people, classes = np.repeat(["a", "b"], 3), np.repeat(["AD", "AD"], 3)
    (line,) = class_means(values, people, classes, np.array([0, 1, 2] * 2)).to_dict("records")
    assert line["value"] == 2.0
    assert line["high"] - 2.0 == pytest.approx(4.303 * 1.0 / 3**0.5, abs=1e-3), "Student's t"


def test_routing_is_averaged_and_overlap_is_the_shared_weight() -> None:
    weights = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]]])
    means, chosen = routing(weights)
    assert means.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert chosen.tolist() == [[1.0, 0.5], [0.5, 1.0]]
    assert overlaps(means).tolist() == [[1.0, 0.5], [0.5, 1.0]]


def test_neighbours_of_two_groups_on_a_line_are_counted() -> None:
    place = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1]])
    classes = np.array(["a", "a", "b", "b", "b", "b"])
    share, chance = neighbours(place, classes, nearest=2)
    assert share.tolist() == [0.5, 0.5, 0.0, 1.0, 1.0, 1.0]
    assert chance.tolist() == [0.2, 0.2, 0.6, 0.6, 0.6, 0.6]


def test_a_map_is_the_same_each_time_and_needs_people_and_two_directions() -> None:
    x = np.random.default_rng(0).normal(size=(12, 3))
    first, again = layout([x, x])
    assert first.shape == (12, 2)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() == 1.0
    with pytest.raises(ResultError, match="needs 8 people"):
        layout([x[:5]])
    with pytest.raises(ResultError, match="two directions"):
        layout([x[:, :1] @ np.ones((1, 4))])


def test_a_kind_that_nobody_sums_up_is_refused() -> None:
    with pytest.raises(MethodError, match="'by_sex'"):
        Shown("gate", kind="by_sex", title="Gates")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Study, Workspace]:
    """Two arms of one method over three seeds and two folds; ``bare``: no gate, one expert."""
    info = MethodInfo("toy", "Toy", "", "m:T", ("dx3",), ("all", "t1w"), exposes=SHOWN)
    monkeypatch.setattr(reading, "get_method", lambda _: info)
    workspace = Workspace(tmp_path)
    jobs, runs = {}, {}
    for arm in ("bare", "full"):
        for seed in range(3):
            for fold in range(2):
                parts = (Part(COHORT, ("dx3", "conversion")), Part("other", ("pd_hc",)))
                job = Job(arm, "toy", "all", parts, "2fold", fold, seed, "tiny")
                jobs[f"{arm}-{seed}-{fold}"] = job
                write_run(workspace.for_ablations().runs / arm / f"{arm}-{seed}-{fold}", job)
        runs["one", arm, "dx3"] = tuple(i for i in jobs if i.startswith(arm))
    arms = {"without": Arm("bare"), "with": Arm("full")}
    claim = Claim(title="One", source="-", cohort=COHORT, tasks=["dx3"], arms=arms)
    named = {("one", "with" if a == "full" else "without", t): r for (_, a, t), r in runs.items()}
    return Study({"one": claim}, jobs, named), workspace


def write_run(folder: Path, job: Job) -> None:
    own = np.arange(N) % 2 == job.fold
    code = np.arange(N) // 2 % 3
    people = np.array([f"p{k:02d}" for k in range(N)])
    rng = np.random.default_rng(job.seed)
    near = rng.normal(size=(N, 4))
    left = 0.25 * code + 0.01 * (job.seed - 1)
    routed = np.zeros((N, 3, 2))
    routed[:, 0, job.seed % 2] = routed[:, 1, 0] = routed[:, 2, 1] = 1.0
    arrays = {
        "gate": np.stack([left, 1 - left], axis=1),
        "routing": routed,
        "embedding_epoch_1": near,
        "embedding_epoch_10": near + 40 * np.eye(4)[code],
        "embedding": near,
    }
    if job.row == "bare":
        del arrays["gate"]
        arrays["routing"] = np.ones((N, 3, 1))
    (folder / "exposed").mkdir(parents=True)
    turned = np.flatnonzero(own)[::-1]
    kept = {name: values[turned].astype(np.float32) for name, values in arrays.items()}
    np.savez(folder / "exposed" / f"{COHORT}.npz", participant_id=people[turned], **kept)
    ledger = pd.DataFrame({v.PARTICIPANT_ID: people, "y_true": code.astype(float)})
    ledger = ledger[own].assign(cohort=COHORT, task="dx3", part="test")
    others = [ledger.assign(part="validation"), ledger.assign(task="conversion")]
    pd.concat([ledger, *others]).to_parquet(folder / "predictions.parquet")


def test_insides_follow_people_by_id_and_say_what_is_missing(study) -> None:
    insides, points = study_insides(study[0], ["one"], study[1], n_resamples=200)
    assert tuple(insides.columns) == INSIDES_COLUMNS
    gates = insides[(insides["array"] == "gate") & (insides["arm"] == "with")]
    assert gates["group"].tolist() == [name for name in CLASSES for _ in range(2)]
    assert gates["item"].tolist() == ["left", "right"] * 3
    np.testing.assert_allclose(gates["value"], [0, 1, 0.25, 0.75, 0.5, 0.5], atol=1e-7)
    half = 4.303 * 0.01 / 3**0.5
    np.testing.assert_allclose(gates["high"] - gates["value"], half, atol=1e-4)
    assert gates["n"].tolist() == [8] * 6, "each person once, whatever the folds and seeds"
    (without,) = insides[(insides["array"] == "gate") & (insides["arm"] == "without")]["note"]
    assert "'gate' is not exposed by these settings" in without

    (alone,) = insides[(insides["kind"] == "routing") & (insides["arm"] == "without")]["note"]
    assert alone == "one expert, so nothing is routed"
    routed = insides[(insides["kind"] == "routing") & (insides["arm"] == "with")]
    assert len(routed) == 3 * 2 * 3 * 2, "seeds, folds, tasks, experts"
    one = routed[(routed["seed"] == 1) & (routed["fold"] == 0)]
    assert one["group"].tolist() == ["dx3", "dx3", "conversion", "conversion", "pd_hc", "pd_hc"]
    assert one["value"].tolist() == [0, 1, 1, 0, 0, 1]
    assert one["chosen"].tolist() == [0, 1, 1, 0, 0, 1]
    shared = insides[(insides["kind"] == "overlap") & (insides["arm"] == "with")]
    assert shared["value"].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert shared[["low", "high"]].to_numpy().tolist() == [[0, 1], [0, 1], [0, 0]]

    near = insides[(insides["kind"] == "neighbours") & (insides["item"] == "epoch 10")]
    assert near["value"].tolist() == pytest.approx([0.3] * 6), "3 others of a class of 4, of 10"
    assert near["chance"].tolist() == pytest.approx([3 / 11] * 6)
    own = points[points["arm"] == "with"]
    assert own["epoch"].unique().tolist() == [1, 10]
    assert set(zip(own["seed"], own["fold"], strict=True)) == {(0, 0)}
    by_epoch = [rows[["person", "group"]].to_numpy().tolist() for _, rows in own.groupby("epoch")]
    assert by_epoch[0] == by_epoch[1]
    assert len(by_epoch[0]) == N / 2


def test_the_page_has_tables_figures_and_what_is_missing(study, tmp_path: Path) -> None:
    found = study_insides(study[0], ["one"], study[1], n_resamples=50)
    figures = inside_figures(*found)
    assert {array: figure.name for array, figure in figures.items()} == {
        "gate": "ablations_gate",
        "routing": "ablations_routing",
        "embedding_epoch_": "ablations_embedding_epoch",
    }
    for figure in figures.values():
        assert figure.standalone().startswith("<svg")
        assert len(figure.standalone()) < 40_000
    page = insides_markdown(found[0], figures, "figures")
    assert "(figures/ablations_gate.svg)" in page
    assert "| full (with), memory | dx3 | CN | 8 | 0.000 (" in page
    assert "| full (with), memory | seed 0, fold 0 | dx3 | 1.00 (100 %) | 0.00 (0 %) |" in page
    assert "| full (with), memory | dx3, conversion | 0.67 | 0.00 to 1.00 |" in page
    assert "- 'gate' is not exposed by these settings: bare (without), memory, dx3\n" in page
    assert "No arm that was judged" in insides_markdown(found[0].iloc[:0], {}, "figures")


def test_lines_of_other_claims_stay_and_reach_the_board(study, tmp_path: Path) -> None:
    found = study_insides(study[0], ["one"], study[1], n_resamples=50)
    folder, board = tmp_path / "ablations", tmp_path / "board"
    board.mkdir()
    write_insides(*found, ["one"], ["two", "one"], folder)
    second = [table.assign(claim="two") for table in found]
    both = write_insides(*second, ["two"], ["two", "one"], folder, board)
    assert [*dict.fromkeys(both[0]["claim"])] == ["two", "one"]
    assert len(both[1]) == 2 * len(found[1])
    gone = write_insides(found[0].iloc[:0], found[1].iloc[:0], ["two"], ["one", "two"], folder)
    assert set(gone[0]["claim"]) == {"one"}
    assert pd.read_parquet(board / INSIDE_TABLES[0]).shape == both[0].shape
    publish(folder, board)
    assert pd.read_parquet(board / INSIDE_TABLES[0]).shape == gone[0].shape


def test_a_claim_shared_by_two_is_shown_once_and_one_without_exposes_gives_no_line(
    study, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, workspace = study
    claims = {"one": plan.claims["one"], "two": plan.claims["one"]}
    runs = plan.runs | {("two", arm, task): ids for (_, arm, task), ids in plan.runs.items()}
    twice = dataclasses.replace(plan, claims=claims, runs=runs)
    insides, points = study_insides(twice, ["one", "two"], workspace, n_resamples=50)
    assert (insides["claim"] == "two").sum() * 2 == len(insides)
    page = insides_markdown(insides, inside_figures(insides, points), "figures")
    assert page.count("| full (with), memory | dx3 | CN |") == 2, "gates, and neighbours"
    bare = MethodInfo("toy", "Toy", "", "m:T", ("dx3",), ("all",))
    monkeypatch.setattr(reading, "get_method", lambda _: bare)
    assert not len(study_insides(plan, ["one"], workspace)[0])


def test_methods_of_the_project_declare_what_they_expose() -> None:
    kinds = {
        "neurobridge": "by_class",
        "anchored_qformer": "by_class",
        "denseformer_moe": "routing",
        "brain_adapter": "embedding",
    }
    assert {name: get_method(name).exposes[0].kind for name in kinds} == kinds


def test_the_verb_writes_tables_page_and_figures_and_names_what_is_missing(
    study, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    plan, workspace = study
    workspace.board.mkdir()
    line = {"claim": "one", "task": "dx3", "metric": "roc_auc", "cohort": COHORT, "kind": "order"}
    line |= {"seeds": 3, "lower": "without", "higher": "with", "score_lower": 0.6, "n": 24}
    line |= {"score_higher": 0.7, "difference": 0.1, "low": 0.02, "high": 0.18}
    line |= {"n_lower": 24, "n_higher": 24, "commit": ""}
    stand_ins = {
        "benchmark.ablations.claims.load_claims": lambda *_: plan.claims,
        "benchmark.ablations.study.plan_study": lambda *_: plan,
        "benchmark.ablations.study.run_study": lambda *_, **__: {},
        "benchmark.ablations.study.study_lines": lambda *_: [("one", [line])],
        "benchmark.runs.workspace.workspace_of": lambda _: workspace,
        "benchmark.registry.ROOT": workspace.root,
    }
    for name, value in stand_ins.items():
        monkeypatch.setattr(name, value)
    assert main(["ablate", "--profile", "mini"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "inside: 'gate' is not exposed by these settings: bare" in said
    page = (workspace.root / "docs" / "ablations.md").read_text()
    assert page.index("# Published claims") < page.index("## Inside the methods")
    drawn = sorted(path.name for path in (workspace.root / "docs" / "figures").iterdir())
    assert drawn == [
        *("ablations_embedding_epoch.svg", "ablations_gate.svg", "ablations_routing.svg")
    ]
    for folder in (workspace.ablations, workspace.board):
        assert {*INSIDE_TABLES, "ablations.parquet"} <= {path.name for path in folder.iterdir()}
