"""A scan with NaN or infinity: refused when it is stored, and when a store holds one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_cohort import GRID, TINY, visit_table

from benchmark.cli import main
from benchmark.errors import CohortError
from benchmark.leakage import image_twins
from benchmark.runs.job import Workspace
from benchmark.store import Cohort, CohortWriter, file_sha256

CARD = {**dict.fromkeys(("title", "source", "licence", "preparation"), "-"), "synthetic": True}


def write(folder: Path, volumes: np.ndarray, series: np.ndarray) -> None:
    visits = visit_table(4, 0).assign(t1w_row=-1, fmri_row=-1)
    index = visits["is_index"]
    visits.loc[index, "t1w_row"] = [3, 2, 1, 0]
    visits.loc[index, "fmri_row"] = [0, -1, -1, 1]
    with CohortWriter(folder, {}) as writer:
        writer.array("t1w", volumes.shape, "float16")[:] = volumes
        writer.array("fmri", series.shape, "float16")[:] = series
        writer.table("participants", visits)
        writer.finish({**CARD, "name": folder.name})


@pytest.fixture
def scans() -> tuple[np.ndarray, np.ndarray]:
    return np.ones((4, *GRID)), np.ones((2, 5, 3))


def test_whole_and_partly_broken_scans_are_named_by_participant_and_row(
    tmp_path: Path, scans: tuple[np.ndarray, np.ndarray]
) -> None:
    volumes, series = scans
    volumes[1] = np.nan
    volumes[3, 0, 0, 0] = np.inf
    series[1, 2, 1] = np.nan
    with pytest.raises(CohortError, match="NaN or infinity in") as refusal:
        write(tmp_path / "c", volumes, series)
    said = str(refusal.value)
    voxels = np.prod(GRID)
    assert f"t1w.npy row 1 (participant sub-0002): {voxels} of {voxels} values" in said
    assert f"t1w.npy row 3 (participant sub-0000): 1 of {voxels} values" in said
    assert "fmri.npy row 1 (participant sub-0003): 1 of 15 values" in said
    assert said.count(" row ") == 3
    assert f"remove {tmp_path}/c.partial and run `neurodx prepare c` again" in said
    assert not (tmp_path / "c").exists()


def test_many_are_counted_and_the_first_ten_named(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", {}) as writer:
        writer.array("change_maps", (13, 2, 2, 2), "float16")[:] = np.nan
        with pytest.raises(CohortError, match=r"change_maps.npy row 9: 8 of 8 values and 3 more;"):
            writer.finish({**CARD, "name": "c"})


def test_finite_scans_pass(tmp_path: Path, scans: tuple[np.ndarray, np.ndarray]) -> None:
    write(tmp_path / "c", *scans)
    Cohort(tmp_path / "c").verify()


@pytest.mark.parametrize("voxel", [np.s_[2], np.s_[2, 1, 1, 1]])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_verify_names_the_participant_of_a_broken_volume_in_a_store(
    fresh_workspace: Workspace,
    voxel: tuple[int, ...],
    value: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = fresh_workspace.data / TINY
    volumes = np.load(folder / "t1w.npy")
    volumes[voxel] = value
    np.save(folder / "t1w.npy", volumes)
    card = json.loads((folder / "cohort.json").read_text())  # its hashes are right
    card["sha256"]["t1w.npy"] = file_sha256(folder / "t1w.npy")
    (folder / "cohort.json").write_text(json.dumps(card))
    visits = Cohort(folder).visits
    who = visits.loc[visits["t1w_row"] == 2, "participant_id"].item()
    with pytest.raises(
        CohortError, match=rf"1 volume\(s\): participant {who}, row 2; expected fin"
    ):
        image_twins(Cohort(folder))
    monkeypatch.chdir(fresh_workspace.root)
    assert main(["splits", "verify", "--cohort", TINY]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"refused {TINY}/3fold: data/{TINY}/t1w.npy: NaN or infinity" in said
    assert f"participant {who}, row 2" in said
    assert "`neurodx prepare --force`" in said
