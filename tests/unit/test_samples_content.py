"""What a method can and cannot find in its samples."""

from __future__ import annotations

import gc
import pickle
import struct
import subprocess
import sys
from types import FunctionType, ModuleType

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import EXTERNAL, GRID, SNPS, TINY

from benchmark.errors import SampleError
from benchmark.runs.job import Workspace
from benchmark.samples import LazyRows, Samples, build_samples
from benchmark.samples.align import align_samples
from benchmark.samples.build import modality_mask, seen_mask
from benchmark.samples.concat import concat_samples
from benchmark.store import Cohort
from benchmark.tasks import get_task, labels_for
from benchmark.tracks import TRACKS, get_track


@pytest.fixture(scope="module")
def cohort(tiny_workspace: Workspace) -> Cohort:
    return Cohort(tiny_workspace.data / TINY)


def build(cohort: Cohort, track: str, *tasks: str, people: int = 48, labels: bool = False, **more):
    ids = list(cohort.index_visits["participant_id"][:people])
    known = [get_task(t) for t in tasks]
    return build_samples(cohort, ids, get_track(track), known, with_labels=labels, **more)


def reachable(root: object) -> list[object]:
    """Every object that references from ``root`` lead to; of functions, what they enclose."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, (type, ModuleType)):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FunctionType):
            waiting += [thing.__closure__, thing.__defaults__]
        elif isinstance(thing, np.ndarray):  # its references are invisible to the collector
            waiting += [thing.base, thing.tolist() if thing.dtype == object else None]
        else:
            waiting += gc.get_referents(thing)
    return list(seen.values())


def numbers_in(root: object) -> set[float]:
    found: set[float] = set()
    for thing in reachable(root):
        if isinstance(thing, np.ndarray) and thing.dtype.kind in "fiu":
            found |= set(thing.astype(float).ravel().tolist())
        elif isinstance(thing, float):
            found.add(thing)
    return found


@pytest.mark.parametrize("track", ["t1w", "all", "confound"])
def test_no_path_leads_from_test_samples_to_their_labels(cohort: Cohort, track: str) -> None:
    ages = set(cohort.index_visits["age_years"])
    hidden = build(cohort, track, "brain_age")
    shown = build(cohort, track, "brain_age", labels=True)
    assert ages & numbers_in(shown), "the walk does not find labels that are there"
    assert not ages & numbers_in(hidden)
    assert not ages & numbers_in(shown.without_labels())
    age = struct.pack("<d", cohort.index_visits["age_years"][4])
    assert age in pickle.dumps(shown)
    assert age not in pickle.dumps(hidden)


@pytest.mark.parametrize("track", sorted(TRACKS))
def test_samples_hold_no_identifiers_diagnoses_or_ratings(cohort: Cohort, track: str) -> None:
    samples = build(cohort, track, "dx3", labels=True)
    content = pickle.dumps(samples)
    for secret in (b"sub-00", b"ses-M0", b"MCI", b"cdr", b"CDR", b"diagnosis", b"pretrain"):
        assert secret not in content, secret


def test_test_samples_refuse_labels_and_targets(cohort: Cohort) -> None:
    samples = build(cohort, "t1w", "dx3")
    assert not samples.has_labels
    with pytest.raises(SampleError, match="never in predict"):
        samples.labels("dx3")
    with pytest.raises(SampleError, match="hippocampus_mask"):
        samples.targets("hippocampus_mask")


def test_labels_carry_the_rule_and_its_mask(cohort: Cohort) -> None:
    samples = build(cohort, "t1w", "dx3", "conversion", labels=True, people=20)
    expected = labels_for(get_task("conversion"), cohort.visits)
    values, mask = samples.labels("conversion")
    np.testing.assert_array_equal(mask, expected.mask[:20])
    np.testing.assert_array_equal(values, expected.values[:20])
    with pytest.raises(SampleError, match="did you mean 'dx3'"):
        samples.labels("dx")


COLUMNS = {
    "none": set(),
    "demographic": {"age_years", "sex", "education_years"},
    "confound": {"age_years", "sex", "education_years", "head_size_mm3", "site_id"},
    "t1w": {"hippocampus_mm3", "head_size_mm3"},
    "t1w+site": {"hippocampus_mm3", "head_size_mm3", "site_id"},
    "fmri": set(),
    "genetic": {"apoe_e4"},
    "biomarker": {"tau", "abeta"},
    "clinical": {"age_years", "sex", "education_years", "family_history"},
    "clinical+mmse": {"age_years", "sex", "education_years", "family_history", "mmse"},
    "report": set(),
    "report+mmse": {"mmse"},
    "clinical+report": {"age_years", "sex", "education_years", "family_history"},
    "t1w+clinical+report": {
        *("age_years", "sex", "education_years", "family_history"),
        *("hippocampus_mm3", "head_size_mm3"),
    },
    "t1w+clinical": {
        *("age_years", "sex", "education_years", "family_history"),
        *("hippocampus_mm3", "head_size_mm3"),
    },
    "t1w+report": {"hippocampus_mm3", "head_size_mm3"},
    "t1w+fmri": {"hippocampus_mm3", "head_size_mm3"},
    "clinical+genetic": {"age_years", "sex", "education_years", "family_history", "apoe_e4"},
    "all": {
        *("age_years", "sex", "education_years", "family_history", "apoe_e4"),
        *("hippocampus_mm3", "head_size_mm3", "tau", "abeta"),
    },
}
ARRAYS = {"t1w": "t1w", "fmri": "fmri", "genetic": "snps"}


def test_every_track_is_tested_here() -> None:
    assert set(COLUMNS) == set(TRACKS)


@pytest.mark.parametrize("track", sorted(COLUMNS))
def test_a_track_opens_its_columns_and_arrays_and_nothing_else(cohort: Cohort, track: str) -> None:
    samples = build(cohort, track, "dx3")
    assert set(samples.frame().columns) == COLUMNS[track]
    parts = {"t1w", "fmri", "genetic"} if track == "all" else set(track.split("+"))
    assert set(samples.arrays) == {ARRAYS[p] for p in parts & set(ARRAYS)}
    assert set(samples.texts) == ({"report"} if parts & {"report"} or track == "all" else set())
    closed = {"t1w", "fmri", "genetic", "clinical", "report", "biomarker"} - parts
    if track != "all":
        assert not any(samples.has(modality).any() for modality in closed)


def test_forbidden_inputs_are_removed_whatever_the_track(cohort: Cohort) -> None:
    assert "age_years" not in build(cohort, "all", "brain_age").frame()
    assert (
        "age_years" not in build(cohort, "all", "dx3", also_fitted=[get_task("brain_age")]).frame()
    )
    assert "report" not in build(cohort, "all", "brain_age").texts
    assert "cdr_global" not in build(cohort, "clinical+mmse", "impaired").frame()


def test_the_score_enters_the_report_only_in_its_own_track(cohort: Cohort) -> None:
    assert not any("MMSE" in text for text in build(cohort, "report", "dx3").reports())
    assert any("MMSE" in text for text in build(cohort, "report+mmse", "dx3").reports())


def test_what_is_missing_is_marked_and_never_made_up(cohort: Cohort) -> None:
    samples = build(cohort, "all", "dx3")
    assert (~samples.has("t1w")).sum() == 4
    assert not samples.volumes()[~samples.has("t1w")].any()
    assert samples.volumes(np.array([3, 1])).shape == (2, *GRID)
    np.testing.assert_array_equal(
        samples.volumes(np.arange(48) == 3), samples.volumes(np.array([3]))
    )
    dosage = samples.array("snps")
    called = samples.arrays["snps"].available
    assert np.isnan(dosage[~called]).all()
    assert set(np.unique(dosage[called][~np.isnan(dosage[called])])) == {0.0, 1.0, 2.0}
    assert np.isnan(dosage[called]).any()
    assert samples.frame("t1w")["hippocampus_mm3"].isna().sum() == 4
    assert samples.reports()[4] == ""


def test_people_keep_the_order_that_was_asked_for(cohort: Cohort) -> None:
    ids = ["sub-0009", "sub-0002", "sub-0030"]
    samples = build_samples(cohort, ids, get_track("all"), [get_task("dx3")], with_labels=True)
    rows = [9, 2, 30]
    np.testing.assert_array_equal(
        samples.frame("demographics")["age_years"], cohort.index_visits["age_years"][rows]
    )
    stored = cohort.array("t1w")[cohort.index_visits["t1w_row"][rows]]
    np.testing.assert_array_equal(samples.volumes(), stored.astype("float32"))
    np.testing.assert_array_equal(samples.labels("dx3")[0], [1, 1, 1])


def test_an_unknown_participant_is_named(cohort: Cohort) -> None:
    with pytest.raises(SampleError, match=r"no participant sub-9999.*splits verify"):
        build_samples(cohort, ["sub-9999"], get_track("t1w"), [], with_labels=False)


def test_opening_reads_no_volume(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a volume was read")

    monkeypatch.setattr(np.memmap, "__getitem__", refuse)
    monkeypatch.setattr(LazyRows, "take", refuse)
    samples = build(cohort, "all", "dx3", labels=True)
    assert len(samples.subset(np.arange(5))) == 5
    assert len(concat_samples([samples, samples])) == 96


READ = """
import sys
from pathlib import Path
from benchmark.samples import Samples
samples = Samples.read(Path(sys.argv[1]))
samples.write(Path(sys.argv[2]))
assert "torch" not in sys.modules
"""


def test_samples_cross_a_process_boundary_whole(cohort: Cohort, tmp_path) -> None:
    samples = build(cohort, "all", "dx3", "conversion", labels=True)
    samples.write(tmp_path / "there")
    command = [sys.executable, "-W", "error", "-c", READ, tmp_path / "there", tmp_path / "back"]
    subprocess.run(command, check=True)
    back = Samples.read(tmp_path / "back")
    pd.testing.assert_frame_equal(back.frame(), samples.frame())
    for name, rows in samples.arrays.items():
        np.testing.assert_array_equal(back.array(name), samples.array(name))
        np.testing.assert_array_equal(back.arrays[name].available, rows.available)
        assert back.arrays[name].dtype == rows.dtype
    for task in ("dx3", "conversion"):
        np.testing.assert_array_equal(back.labels(task), samples.labels(task))
    everyone = np.arange(48)
    masks = samples.targets("hippocampus_mask").take(everyone)
    np.testing.assert_array_equal(back.targets("hippocampus_mask").take(everyone), masks)
    assert list(back.reports()) == list(samples.reports())
    assert back.names["snps"] == SNPS
    assert set(back.available) == set(samples.available)
    for modality in samples.available:
        np.testing.assert_array_equal(back.has(modality), samples.has(modality))
    hidden = samples.without_labels()
    hidden.write(tmp_path / "hidden")
    assert not Samples.read(tmp_path / "hidden").has_labels
    assert not list((tmp_path / "hidden").glob("label*"))


def test_another_cohort_gets_the_columns_of_training(
    cohort: Cohort, tiny_workspace: Workspace
) -> None:
    other = Cohort(tiny_workspace.data / EXTERNAL)
    train = build(cohort, "all", "dx3", labels=True)
    ids = list(other.index_visits["participant_id"])
    raw = build_samples(other, ids, get_track("all"), [get_task("dx3")], with_labels=False)
    assert "snps" not in raw.arrays
    aligned = align_samples(raw, like=train)
    assert list(aligned.frame().columns) == list(train.frame().columns)
    assert aligned.frame()["education_years"].isna().all()
    assert not aligned.has("genetic").any()
    assert np.isnan(aligned.array("snps")).all()
    np.testing.assert_array_equal(aligned.volumes(), raw.volumes())
    assert not aligned.has_labels
    pd.testing.assert_frame_equal(align_samples(train, like=train).frame(), train.frame())


def test_samples_of_unequal_length_are_refused() -> None:
    with pytest.raises(SampleError, match="samples of 3 people: report has 2 rows"):
        Samples(n=3, texts={"report": ["", ""]})


def test_arrays_of_another_grid_are_refused() -> None:
    def of(shape: tuple[int, ...], spacing: float) -> Samples:
        rows = LazyRows([np.zeros((1, *shape))], np.zeros(1, int), np.zeros(1, int))
        return Samples(n=1, arrays={"t1w": rows}, spacing_mm=spacing)

    with pytest.raises(SampleError, match="share a grid"):
        concat_samples([of((2, 2, 2), 4.0), of((3, 2, 2), 4.0)])
    with pytest.raises(SampleError, match=r"voxel size; got \[4.0, 5.0\]"):
        concat_samples([of((2, 2, 2), 4.0), of((2, 2, 2), 5.0)])
    with pytest.raises(SampleError, match="voxels of 5 mm, training had 4 mm"):
        align_samples(of((2, 2, 2), 5.0), like=of((2, 2, 2), 4.0))


def test_whoever_lacks_all_that_a_track_opens_has_nothing_to_see(cohort: Cohort) -> None:
    image, report = modality_mask(cohort, "t1w"), modality_mask(cohort, "report")
    assert not (image | report).all()
    assert (image != report).any()
    np.testing.assert_array_equal(seen_mask(cohort, get_track("t1w")), image)
    np.testing.assert_array_equal(seen_mask(cohort, get_track("t1w+report")), image | report)
    for track in ("t1w+clinical", "demographic", "none"):  # age and sex are there for everybody
        assert seen_mask(cohort, get_track(track)).all()


def test_measurements_without_a_head_size_open_no_such_column(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = cohort.table
    assert "head_size_mm3" in build(cohort, "confound", "dx3").tables["head_size"]
    monkeypatch.setattr(
        cohort, "table", lambda name: table(name).drop(columns="head_size_mm3", errors="ignore")
    )
    assert "head_size" not in build(cohort, "confound", "dx3").tables
