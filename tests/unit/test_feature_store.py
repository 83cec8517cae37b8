"""Features of frozen encoders are shared by equal code alone, and written whole."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from process_caches import forget
from tiny_cohort import TINY

from benchmark.config import Profile
from benchmark.encoders import FeatureStore
from benchmark.runs import identity
from benchmark.runs.beside import write_exposed
from benchmark.runs.identity import feature_folder
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.planning import plan_jobs
from benchmark.runs.rows import resolve_row


@pytest.fixture
def job(probe_site: Path) -> Job:
    parts = (Part(TINY, ("dx3",)),)
    return Job("probe", "probe", "t1w", parts, "3fold", 0, 0, "tiny", {"shift": 0.0})


@pytest.mark.parametrize(
    "change",
    [
        {"row": "probe_shifted"},
        {"track": "all"},
        {"fold": 1},
        {"seed": 1},
        {"config": {"shift": 0.1}},
        {"tuned": True},
        {"percent": 10},
    ],
    ids=lambda change: next(iter(change)),
)
def test_folds_seeds_variants_and_trials_of_a_method_share(job: Job, change: dict) -> None:
    other = dataclasses.replace(job, **change)
    assert feature_folder(other, Workspace()) == feature_folder(job, Workspace())
    assert feature_folder(job, Workspace()).parent == Workspace().features


@pytest.mark.parametrize("change", [{"device": "cuda"}, {"precision": "amp"}])
def test_another_device_or_precision_does_not(job: Job, change: dict) -> None:
    other = dataclasses.replace(job, **change)
    assert feature_folder(other, Workspace()) != feature_folder(job, Workspace())


def test_other_code_does_not(job: Job, probe_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = feature_folder(job, Workspace())
    with (probe_site / "model.py").open("a") as model:
        model.write("# one more line\n")
    forget()
    mine = feature_folder(job, Workspace())
    assert mine != before
    assert feature_folder(dataclasses.replace(job, method="age_sex"), Workspace()) != mine
    versions = {**identity.library_versions(), "torch": "0"}
    with monkeypatch.context() as patch:
        patch.setattr(identity, "library_versions", lambda: versions)
        assert feature_folder(job, Workspace()) != mine
    with monkeypatch.context() as patch:
        patch.setattr(identity, "core_hash", lambda: "another core")
        assert feature_folder(job, Workspace()) != mine
    assert feature_folder(job, Workspace()) == mine


def test_a_run_and_a_trial_are_given_that_folder(
    fresh_workspace: Workspace, tiny_profile: Profile, probe_site: Path, tmp_path: Path
) -> None:
    from benchmark.runs.execute import execute
    from benchmark.sweeps.evaluate import evaluate

    model = probe_site / "model.py"
    writes = '(run.features / "seen").mkdir(parents=True)\n        threads ='
    model.write_text(model.read_text().replace("threads =", writes, 1))
    forget()
    tiny_profile.plan[TINY].fit = ["dx3"]
    job = plan_jobs(resolve_row("probe", tiny_profile), tiny_profile, fresh_workspace)[0]
    seen = feature_folder(job, fresh_workspace) / "seen"
    execute(job, identity.run_id(job, fresh_workspace), fresh_workspace)
    seen.rmdir()
    evaluate(job, fresh_workspace, tmp_path / "trials")
    assert seen.is_dir()
    assert list(fresh_workspace.features.iterdir()) == [seen.parent]


def test_features_are_kept_whole_and_may_be_read_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), fsync(handle))[0])
    store = FeatureStore(tmp_path)
    key = "ab" * 32
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert store.get(key, lambda: value) is value
    (path,) = tmp_path.rglob("*.*")
    assert path == tmp_path / "ab" / f"{key}.npy"
    assert path.stat().st_mode & 0o777 == 0o644
    write_exposed(tmp_path / "exposed" / "tiny.npz", ("sub-01", "sub-02"), {"gate": value})
    assert len(synced) == 2
    assert [p.name for p in (tmp_path / "exposed").iterdir()] == ["tiny.npz"]
    again = FeatureStore(tmp_path).get(key, lambda: pytest.fail("it is there"))
    np.testing.assert_array_equal(again, value)


def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file, value) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        FeatureStore(tmp_path).get("ab" * 32, lambda: np.zeros(3))
    assert not list(tmp_path.rglob("*.*"))
