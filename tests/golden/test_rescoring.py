"""Any metric on stored predictions, on all people or on those of a condition."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, people, write_workspace

from benchmark.cli import main
from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS, registry
from benchmark.results import score_workspace
from benchmark.results.people import Background, people_table, read_people, select_people
from benchmark.results.rescore import RESCORED, Request, rescore

METHODS = [
    FakeMethod("age_sex", skill=1.5, external={"external": ("dx3",)}),
    FakeMethod("chance", skill=0.3, missing_share=0.1),
    FakeMethod("confound", status={1: "failed"}),
]


def visits(cohort: str, n: int) -> pd.DataFrame:
    """A visit table: women are the even people; every person has a later visit too."""
    ids = people(cohort, "dx3", n)["participant_id"]
    index = pd.DataFrame(
        {
            "participant_id": ids,
            "is_index": True,
            "sex": np.where(np.arange(n) % 2, "M", "F"),
            "age_years": 50.0 + np.arange(n) % 40,
            "apoe_e4": np.where(np.arange(n) % 5 == 4, np.nan, np.arange(n) % 3),
            "site_id": [f"s{i % 2}" for i in range(n)],
        }
    )
    return pd.concat([index, index.assign(is_index=False, sex="F", age_years=99.0)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_workspace(tmp_path_factory.mktemp("rescoring"), METHODS)


@pytest.fixture(scope="module")
def known():
    return {name: people_table(visits(name, n)) for name, n in (("memory", 240), ("external", 90))}


def test_without_a_condition_every_number_is_the_boards(runs, tmp_path):
    board = score_workspace(runs, tmp_path / "scores", n_resamples=60)
    names = ("roc_auc", "mcc", "brier_score", "ece")
    ours = rescore(runs, Request(metrics=names, n_resamples=60), {})
    ours = ours[ours["status"] == "done"]
    keys = ["cohort", "task", "track", "protocol", "method", "derived_from", "metric"]
    both = ours.merge(board, on=keys, suffixes=("", "_board"))
    assert len(both) == len(ours) == 4 * 6
    for name in ("score", "ci_low", "ci_high", "n", "ci_method"):
        pd.testing.assert_series_equal(both[name], both[f"{name}_board"], check_names=False)


def test_one_method_alone_has_the_numbers_it_has_among_all(runs):
    request = Request(metrics=("macro_f1",), n_resamples=60)
    everybody = rescore(runs, request, {})
    alone = rescore(runs, Request(metrics=("macro_f1",), methods=["chance"], n_resamples=60), {})
    expected = everybody[everybody["method"] == "chance"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)


def test_a_condition_keeps_the_same_people_as_by_hand(runs, known):
    request = Request(("balanced_accuracy",), 'sex == "F" and age_years < 70', n_resamples=60)
    table = rescore(runs, request, known)
    row = table[
        (table["method"] == "age_sex") & (table["task"] == "dx3") & (table["protocol"] == "3fold")
    ].iloc[0]
    frames = [
        pd.read_parquet(runs / "age_sex" / f"memory-{k}-0/predictions.parquet") for k in (0, 1, 2)
    ]
    ledger = pd.concat(frames)
    ledger = ledger[(ledger["part"] == "test") & (ledger["task"] == "dx3")]
    person = ledger["participant_id"].str[-4:].astype(int)
    kept = ledger[(person % 2 == 0) & (50 + person % 40 < 70)]
    decided = kept[["prob_0", "prob_1", "prob_2"]].to_numpy().argmax(axis=1)
    assert row["n"] == len(kept) == 60
    assert row["score"] == pytest.approx(balanced_accuracy_score(kept["y_true"], decided))
    assert row["ci_low"] < row["score"] < row["ci_high"]
    assert row["n_smallest_class"] == kept["y_true"].value_counts().min()


def test_the_primary_metric_where_none_is_named(runs, known):
    table = rescore(runs, Request(where="apoe_e4_carrier == 1", n_resamples=40), known)
    assert list(table.columns) == list(RESCORED)
    assert set(table["metric"]) == {"roc_auc"}
    assert set(table.loc[table["status"] == "done", "method"]) == {"age_sex", "chance"}


def test_a_failed_row_stays_failed(runs):
    table = rescore(runs, Request(("accuracy",), tasks=["dx3"], n_resamples=40), {})
    row = table[table["method"] == "confound"].iloc[0]
    assert (row["status"], row["note"]) == ("failed", "Boom: it broke")
    assert np.isnan(row["score"])


@pytest.mark.parametrize(
    ("where", "note"),
    [
        ("age_years > 200", "the condition keeps nobody here"),
        ("age_years < 55", "people in the smallest class, fewer than 10"),
    ],
)
def test_few_people_are_suppressed(runs, known, where, note):
    table = rescore(runs, Request(where=where, tasks=["dx3"], n_resamples=40), known)
    table = table[table["method"] != "confound"]
    assert set(table["status"]) == {"suppressed"}
    assert table["note"].str.contains(note).all()
    assert table[["score", "ci_low", "ci_high"]].isna().all().all()


def test_a_metric_that_fits_no_task_and_one_that_fits_some(runs):
    with pytest.raises(ResultError, match=r"mae fits none of these tasks .*the task is a class"):
        rescore(runs, Request(("mae",)), {})
    table = rescore(runs, Request(("sensitivity",), n_resamples=40, methods=["age_sex"]), {})
    by_task = table.groupby("task")["status"].agg(set)
    assert by_task["dx3"] == {"undefined"}
    assert by_task["ad_cn"] == {"done"}
    assert "the task has 3" in table.loc[table["task"] == "dx3", "note"].iloc[0]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(("balanced_acuracy",)), "metric 'balanced_acuracy'. Did you mean 'balanced_acc"),
        (Request(where="agee_years > 60"), "column 'agee_years'. Did you mean 'age_years'"),
        (Request(cohorts=["memry"]), "cohort 'memry'. Did you mean 'memory'"),
        (Request(methods=["chanse"]), "method 'chanse'. Did you mean 'chance'"),
        (Request(tasks=["dx4"]), "task 'dx4'. Did you mean 'dx3'"),
    ],
)
def test_unknown_names_suggest_the_nearest(runs, known, request_, message):
    with pytest.raises(UnknownNameError, match=message):
        rescore(runs, request_, known)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("sex ==", "cannot be read .*expected comparisons of columns"),
        ("age_years + 1", "gives float64, expected true or false"),
        ("1 + 1", "expected true or false for each person"),
    ],
)
def test_a_condition_that_is_none(runs, known, where, message):
    with pytest.raises(ResultError, match=message):
        rescore(runs, Request(where=where), known)


def test_people_that_are_not_there(runs, known):
    with pytest.raises(ResultError, match="neurodx prepare external"):
        rescore(runs, Request(where="age_years > 60"), {"memory": known["memory"]})


def test_a_column_that_one_cohort_lacks_keeps_nobody_of_it(runs, known):
    lacking = {**known, "external": known["external"].drop(columns="sex")}
    table = rescore(runs, Request(where='sex == "F"', n_resamples=40), lacking)
    assert set(table.loc[table["cohort"] == "external", "status"]) == {"suppressed"}


def test_derived_columns_and_missing_values():
    table = people_table(visits("memory", 10))
    assert table["age_band"].tolist() == ["50-59"] * 10
    assert table["apoe_e4_carrier"].isna().sum() == 2
    carriers = select_people(table, "apoe_e4_carrier == 1")
    assert [int(i[-1]) for i in carriers] == [1, 2, 5, 7, 8]
    rounded = people_table(visits("memory", 1).assign(age_years=59.96))
    assert rounded["age_band"].tolist() == ["60-69"]
    unknown = people_table(visits("memory", 1).assign(age_years=np.nan))
    assert unknown["age_band"].isna().all()


def test_the_verb_prints_writes_and_leaves_the_scores_alone(tmp_path, monkeypatch, capsys):
    methods = [FakeMethod(m.name, tasks={"phantom-memory": ("dx3",)}) for m in METHODS[:2]]
    write_workspace(tmp_path, methods, {"phantom-memory": 120})
    (tmp_path / "data" / "phantom-memory").mkdir(parents=True)
    table = visits("phantom-memory", 120)
    table.to_parquet(tmp_path / "data" / "phantom-memory" / "participants.parquet")
    assert list(read_people(tmp_path / "data", ["phantom-memory", "absent"])) == ["phantom-memory"]
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "scores.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    asked = ["score", "--profile", "smoke", "--metric", "mcc", "--where", 'sex == "F"']
    assert main([*asked, "--csv", "out/a.csv", "--json", "a.json", "--resamples", "40"]) == 0
    shown = capsys.readouterr().out
    assert "phantom-memory / dx3 / 3fold" in shown
    assert "scores/ is as it was" in shown
    csv = pd.read_csv("out/a.csv")
    assert set(csv["where"]) == {'sex == "F"'}
    stored = json.loads(Path("a.json").read_text())
    assert stored["rows"][0]["score"] == pytest.approx(csv.loc[0, "score"])
    assert [p.name for p in Path("scores").iterdir()] == ["scores.json"]
    assert main([*asked[:3], "--where", "age_years < 55"]) == 0
    assert "cells are suppressed" in capsys.readouterr().out


OWN = """
import numpy as np
from benchmark.metrics import confusion, register_metric


@register_metric("right_of_all", "Share decided rightly", higher_is_better=True)
def right_of_all(y_true, y_prob, folds, weights):
    table = confusion(y_true, y_prob, weights)
    return np.einsum("kkb->b", table) / table.sum((0, 1))
"""


@pytest.fixture
def clean_imports(monkeypatch):
    """Metrics, modules and the search path as they were."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    metrics, modules = {*METRICS}, {*sys.modules}
    yield
    for name in {*METRICS} - metrics:
        del registry._registered[name]
    for name in {"own_metric_module", "empty_metric_module", "broken_metric_module"} - modules:
        sys.modules.pop(name, None)


def test_a_metric_of_a_users_own_module(tmp_path, monkeypatch, capsys, clean_imports):
    methods = [FakeMethod(m.name, tasks={"phantom-memory": ("dx3",)}) for m in METHODS[:2]]
    write_workspace(tmp_path, methods, {"phantom-memory": 120})
    monkeypatch.chdir(tmp_path)
    Path("own_metric_module.py").write_text(OWN)
    Path("empty_metric_module.py").write_text("")
    Path("broken_metric_module.py").write_text("import no_such_package_at_all")
    asked = ["score", "--profile", "smoke", "--resamples", "40", "--csv", "a.csv"]
    both = ["--metric", "right_of_all", "--metric", "accuracy"]
    assert main([*asked, "--import", "own_metric_module", *both]) == 0
    table = pd.read_csv("a.csv").set_index("metric")
    assert len(table.loc["right_of_all"]) == len(table.loc["accuracy"]) > 0
    for column in ("score", "ci_low", "ci_high"):
        assert table.loc["right_of_all", column].notna().all()
        np.testing.assert_allclose(
            table.loc["right_of_all", column], table.loc["accuracy", column], rtol=1e-5
        )
    assert main([*asked, "--import", "own_metric_module", *both]) == 0  # once more
    capsys.readouterr()
    for module, said in (
        ("own_metric_modul", "there is no such module"),
        ("empty_metric_module", "registers no metric; put one function under @register_metric"),
    ):
        assert main([*asked, "--import", module, *both]) == 1
        assert said in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match="no_such_package_at_all"):
        main([*asked, "--import", "broken_metric_module", *both])
    assert main(["score", "--import", "own_metric_module"]) == 1
    assert "name the metric that it registers with --metric" in capsys.readouterr().err


def test_damaged_tables_of_people_are_named(tmp_path):
    path = tmp_path / "data" / "memory" / "participants.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ResultError, match=r"participants.parquet: cannot be read .*prepare memory"):
        read_people(tmp_path / "data", ["memory"])
    pd.DataFrame({"sex": ["F"]}).to_parquet(path)
    with pytest.raises(ResultError, match=r"columns \['participant_id', 'is_index'\] are missing"):
        read_people(tmp_path / "data", ["memory"])
    manifest = tmp_path / "splits" / "memory" / "few-label.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{")
    path.unlink()
    with pytest.raises(ResultError, match=r"not a manifest .*git checkout"):
        Background.read(tmp_path / "data", tmp_path / "splits", ["memory"])


def test_a_damaged_ledger_fails_its_row_alone(tmp_path):
    runs = write_workspace(tmp_path, METHODS[:2])
    (runs / "chance" / "memory-1-0" / "predictions.parquet").write_bytes(b"no parquet")
    table = rescore(runs, Request(("accuracy",), tasks=["dx3"], n_resamples=40), {})
    status = table.groupby("method")["status"].agg(set)
    assert status["chance"] == {"failed"}
    assert status["age_sex"] == {"done"}
    assert "rerun with `neurodx run`" in table.loc[table["method"] == "chance", "note"].iloc[0]


def test_two_index_visits_of_one_person_are_refused():
    table = visits("memory", 3).assign(is_index=True)
    with pytest.raises(ResultError, match="one index visit per person, got several for 3 people"):
        people_table(table)
