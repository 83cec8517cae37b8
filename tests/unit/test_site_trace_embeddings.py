"""The trace of the site in embeddings: against scikit-learn, and what must not count as a trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB

from benchmark.results import Ledger, RowKey
from benchmark.results.embeddings import Embedding, Embeddings, read_embeddings
from benchmark.results.people import Background, people_table
from benchmark.results.planned import Workspace
from benchmark.results.robustness import write_robustness
from benchmark.results.scoring import score_workspace

N = 150
PLACE = np.arange(N)
IDS = np.array([f"sub-{i:03d}" for i in PLACE])
SITE = PLACE // 2 % 3
FITS = PLACE.reshape(3, 50)  # test people of each fold
Y = PLACE % 2
AGE = 60.0 + 5.0 * SITE + PLACE % 7  # people of later sites are older


def ledger(fits, task="ad_cn"):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"participant_id": IDS, "fold": PLACE // 50, "seed": 0})
    if task == "brain_age":
        frame = frame.assign(y_true=AGE, y_pred=AGE + rng.normal(size=N))
    else:
        p1 = (rng.random(N) + 0.4 * Y) / 1.4
        frame = frame.assign(y_true=Y, prob_0=1 - p1, prob_1=p1)
    embeddings = fits if isinstance(fits, Embeddings) else Embeddings(tuple(fits))
    return Ledger(RowKey("memory", task, "t1w", "3fold", "cnn"), frame, embeddings=embeddings)


def fits_of(values):
    """By fold, in another order than the people's."""
    return [Embedding(IDS[own[::-1]], values[own[::-1]].astype(np.float32)) for own in FITS]


def lines_of(root, one):
    visits = pd.DataFrame({"participant_id": IDS, "is_index": True, "age_years": AGE})
    known = people_table(visits.assign(sex="F", site_id=[f"site-{k}" for k in SITE]))
    runs = Workspace(with_validation=True)
    score_workspace(runs, root / "scores", extra=[one], n_resamples=20)
    write_robustness(runs, root / "scores", Background({"memory": known}), extra=[one])
    table = pd.read_parquet(root / "scores" / "robustness" / "site_trace.parquet")
    return table.set_index("told_from")


def vectors(seed=0, width=16):
    return np.random.default_rng(seed).normal(size=(N, width)) * np.linspace(3, 1, width)


def test_the_guess_is_made_within_each_fit_as_by_scikit_learn(tmp_path):
    values = vectors() + 0.8 * SITE[:, None]
    guesses = np.empty(N, dtype=int)
    for inside in FITS:
        features = PCA(10).fit_transform(values[inside].astype(np.float32).astype(float))
        dealt = np.empty(50, dtype=int)
        for label in (0, 1):
            of_class = np.flatnonzero(Y[inside] == label)
            dealt[of_class] = np.arange(len(of_class)) % 5
        for part in range(5):
            train = dealt != part
            model = GaussianNB(priors=np.full(3, 1 / 3)).fit(features[train], SITE[inside][train])
            guesses[inside[~train]] = model.predict(features[~train])
    line = lines_of(tmp_path, ledger(fits_of(values))).loc["embedding"]
    assert line["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(SITE, guesses))
    assert (line["n"], line["sites"], line["chance"]) == (N, 3, pytest.approx(1 / 3))
    assert line["balanced_accuracy"] > line["null_high"]
    assert line["p_value"] == pytest.approx(1 / 201)


def test_fits_are_never_compared_with_each_other(tmp_path):
    """Another basis and another origin in each fit change nothing: only the guess within counts."""
    values, moved = vectors(), vectors()
    for k, inside in enumerate(FITS):
        rng = np.random.default_rng(k)
        turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
        moved[inside] = values[inside] @ turn + 100 * k
    found = [lines_of(tmp_path, ledger(fits_of(x))).loc["embedding"] for x in (values, moved)]
    assert found[0]["balanced_accuracy"] == pytest.approx(found[1]["balanced_accuracy"])
    assert found[0]["p_value"] > 0.05
    assert found[0]["null_low"] <= found[0]["balanced_accuracy"] <= found[0]["null_high"]


def test_age_in_an_embedding_of_age_is_no_trace(tmp_path):
    """Sites differ in age: a vector of age alone would give them away."""
    values = AGE[:, None] * np.linspace(1, 2, 4) + np.random.default_rng(3).normal(size=(N, 4))
    line = lines_of(tmp_path, ledger(fits_of(values), "brain_age")).loc["embedding"]
    assert line["p_value"] > 0.05


def test_outputs_stand_alone_where_no_embedding_is_shown(tmp_path):
    assert lines_of(tmp_path, ledger([])).index.tolist() == ["outputs"]


def test_embeddings_of_some_people_or_runs_only_are_not_looked_at(tmp_path):
    few = fits_of(vectors())
    few[1] = replace(few[1], participant_ids=few[1].participant_ids[1:], values=few[1].values[1:])
    line = lines_of(tmp_path, ledger(few)).loc["embedding"]
    assert (line["status"], line["note"]) == (
        "undefined",
        "the fits do not show everybody's embedding",
    )
    line = lines_of(tmp_path, ledger(Embeddings(note="2 of 3 runs show an embedding")))
    assert line.loc["embedding", "status"] == "missing"
    assert np.isnan(line.loc["embedding", "balanced_accuracy"])


@pytest.fixture
def runs(tmp_path):
    """Three runs that show two people each."""
    folders = [tmp_path / f"run-{k}" for k in range(3)]
    for k, folder in enumerate(folders):
        (folder / "exposed").mkdir(parents=True)
        values = np.full((2, 3), k, dtype=np.float32)
        np.savez(folder / "exposed" / "memory.npz", participant_id=IDS[:2], embedding=values)
    return folders


def test_embeddings_of_runs_are_read_whole(runs):
    found = read_embeddings(runs, "memory")
    assert [fit.values[0, 0] for fit in found.fits] == [0, 1, 2]
    assert found.fits[2].participant_ids.tolist() == ["sub-000", "sub-001"]
    assert read_embeddings(runs, "elsewhere") == Embeddings()


@pytest.mark.parametrize("fault", ["absent", "another array", "damaged", "NaN", "one row less"])
def test_a_run_without_a_sound_embedding_is_said(runs, fault):
    path = runs[1] / "exposed" / "memory.npz"
    values = np.ones((2, 3))
    if fault == "absent":
        path.unlink()
    elif fault == "another array":
        np.savez(path, participant_id=IDS[:2], gates=values)
    elif fault == "damaged":
        path.write_bytes(path.read_bytes()[:60])
    elif fault == "NaN":
        np.savez(path, participant_id=IDS[:2], embedding=values * np.nan)
    else:
        np.savez(path, participant_id=IDS[:2], embedding=values[1:])
    found = read_embeddings(runs, "memory")
    assert not found.fits
    if fault in ("absent", "another array"):
        assert found.note == "2 of 3 runs show an embedding"
    else:
        assert found.note.startswith("run-1/exposed/memory.npz cannot be read (")
        assert found.note.endswith("rerun with `neurodx run`")
