"""The cohort store: whole or not there, resumable, checked by hash."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import EXTERNAL, TINY, visit_table, write_cohort

from benchmark import vocabulary as v
from benchmark.errors import CohortError
from benchmark.runs.job import Workspace
from benchmark.samples.build import modality_mask
from benchmark.store import Cohort, CohortWriter, store_names, tree_sha256

CARD = {
    "name": "c",
    "title": "t",
    "source": "s",
    "licence": "l",
    "synthetic": True,
    "preparation": "p",
}


class Interrupted(Exception):  # noqa: N818 - an event
    """Stands for a kill between two chunks."""


def prepare(folder: Path, stop_before: int = 99, recipe: int = 1) -> list[int]:
    """Fills an array chunk by chunk, as every source does; returns the chunks that it computed."""
    visits = visit_table(4, 0).assign(t1w_row=-1)
    visits.loc[visits["is_index"], "t1w_row"] = np.arange(4)
    computed = []
    with CohortWriter(folder, {"recipe": recipe}) as writer:
        array = writer.array("t1w", (4, 3, 3, 3), "float16")
        for chunk in range(4):
            if str(chunk) in writer.done:
                continue
            if chunk == stop_before:
                raise Interrupted
            array[chunk] = np.random.default_rng(chunk).normal(size=(3, 3, 3))
            array.flush()
            writer.mark_done(str(chunk))
            computed.append(chunk)
        writer.table("participants", visits)
        writer.finish(CARD)
    return computed


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_preparation_resumes_and_gives_the_same_bytes(tmp_path: Path) -> None:
    assert prepare(tmp_path / "straight" / "c") == [0, 1, 2, 3]
    folder = tmp_path / "broken" / "c"
    with pytest.raises(Interrupted):
        prepare(folder, stop_before=2)
    assert not folder.exists()
    with pytest.raises(CohortError, match=r"was interrupted \(no cohort.json\); run `neurodx prep"):
        Cohort(folder)
    assert prepare(folder) == [2, 3]
    assert contents(folder) == contents(tmp_path / "straight" / "c")
    assert [p.name for p in folder.parent.iterdir()] == ["c"]


def test_another_recipe_starts_afresh(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        prepare(tmp_path / "c", stop_before=2)
    assert prepare(tmp_path / "c", recipe=2) == [0, 1, 2, 3]


def test_a_finished_store_is_replaced_only_when_its_successor_is_whole(tmp_path: Path) -> None:
    prepare(tmp_path / "c")
    before = contents(tmp_path / "c")
    with pytest.raises(Interrupted):
        prepare(tmp_path / "c", stop_before=1, recipe=2)
    assert contents(tmp_path / "c") == before
    Cohort(tmp_path / "c").verify()


def test_a_damaged_partial_array_is_named(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        prepare(tmp_path / "c", stop_before=2)
    part = tmp_path / "c.partial" / "t1w.npy"
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(CohortError, match=r"t1w.npy: left by an interrupted preparation.*remove"):
        prepare(tmp_path / "c")


def test_a_second_writer_of_one_store_is_refused_and_the_first_is_unharmed(tmp_path: Path) -> None:
    first = CohortWriter(tmp_path / "c", {})
    array = first.array("fmri", (2, 3), "float16")
    first.mark_done("1")
    for recipe in ({}, {"another": 1}):
        with pytest.raises(CohortError, match=r"c.partial: locked; another process is preparing"):
            CohortWriter(tmp_path / "c", recipe)
    array[:] = 1
    first.finish(CARD)
    Cohort(tmp_path / "c").verify()
    np.testing.assert_array_equal(Cohort(tmp_path / "c").array("fmri"), np.ones((2, 3)))
    CohortWriter(tmp_path / "c", {}).close()  # the lock went with the work


def test_a_writer_that_is_dropped_lets_the_next_one_in(tmp_path: Path) -> None:
    first = CohortWriter(tmp_path / "c", {})
    with pytest.raises(CohortError, match="locked"):
        CohortWriter(tmp_path / "c", {})
    del first
    CohortWriter(tmp_path / "c", {}).close()


def test_an_array_that_went_away_is_not_left_out_of_the_store(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "c", {})
    writer.array("t1w", (2, 2, 2, 2), "float16")
    writer.array("fmri", (2, 2), "float16")
    (writer.partial / "fmri.npy").unlink()
    with pytest.raises(CohortError, match=r"fmri.npy was begun and is gone.*neurodx prepare c`"):
        writer.finish(CARD)
    assert not (tmp_path / "c").exists()


def test_chunks_whose_array_went_away_are_made_again(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        prepare(tmp_path / "c", stop_before=2)
    (tmp_path / "c.partial" / "t1w.npy").unlink()
    assert prepare(tmp_path / "c") == [0, 1, 2, 3]


@pytest.mark.parametrize("new_stands", [True, False])
def test_a_kill_between_the_renames_costs_no_store(tmp_path: Path, new_stands: bool) -> None:
    prepare(tmp_path / "c")
    before = contents(tmp_path / "c")
    if new_stands:
        shutil.copytree(tmp_path / "c", tmp_path / ".c.old.partial")
    else:
        (tmp_path / "c").rename(tmp_path / ".c.old.partial")
    CohortWriter(tmp_path / "c", {}).close()
    assert contents(tmp_path / "c") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "c.partial"]


def test_leftovers_are_not_cohorts(tmp_path: Path) -> None:
    for name in ("c", "b", ".c.old.partial", "d.partial"):
        prepare(tmp_path / name)
    assert store_names(tmp_path) == ["b", "c"]


def test_the_datasheet_counts_who_has_what(tiny_workspace: Workspace) -> None:
    for name in (TINY, EXTERNAL):
        cohort = Cohort(tiny_workspace.data / name)
        counted = {m: int(modality_mask(cohort, m).sum()) for m in v.MODALITIES}
        assert cohort.card["availability"] == {"people": len(cohort.index_visits), **counted}
    assert counted["genetic"] == 0 < counted["t1w"] < len(cohort.index_visits)


def test_a_cohort_that_was_never_prepared_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"has not been prepared.*run `neurodx prepare c`"):
        Cohort(tmp_path / "c")


def test_a_datasheet_must_be_complete(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "c", {})
    with pytest.raises(CohortError, match="datasheet lacks licence, source"):
        writer.finish({k: v for k, v in CARD.items() if k not in ("licence", "source")})
    assert not (tmp_path / "c").exists()


@pytest.fixture
def copied(tiny_workspace: Workspace, tmp_path: Path) -> Path:
    shutil.copytree(tiny_workspace.data / TINY, tmp_path / TINY)
    return tmp_path / TINY


PARTS = (
    "t1w.npy",
    "fmri.npy",
    "snps.npy",
    "segmentations.npy",
    "participants.parquet",
    "regions.parquet",
    "biomarkers.parquet",
    "reports.parquet",
)


def test_every_part_is_hashed(copied: Path) -> None:
    cohort = Cohort(copied)
    assert set(cohort.card["sha256"]) == set(PARTS)
    assert {p.name for p in copied.iterdir()} == {*PARTS, "cohort.json"}
    cohort.verify()


@pytest.mark.parametrize("part", PARTS)
def test_one_flipped_byte_is_found_and_named(copied: Path, part: str) -> None:
    content = bytearray((copied / part).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / part).write_bytes(content)
    with pytest.raises(CohortError, match=rf"damaged: {part} .*neurodx prepare tiny --force"):
        Cohort(copied).verify()


def test_missing_and_truncated_parts_are_all_named(copied: Path) -> None:
    (copied / "fmri.npy").unlink()
    for part in ("t1w.npy", "reports.parquet", "participants.parquet"):
        content = (copied / part).read_bytes()
        (copied / part).write_bytes(content[: len(content) // 2])
    cohort = Cohort(copied)
    with pytest.raises(CohortError, match=r"fmri.npy, participants.*, reports.*, t1w.npy"):
        cohort.verify()
    with pytest.raises(CohortError, match=r"fmri.npy: missing; rebuild"):
        cohort.array("fmri")
    with pytest.raises(CohortError, match=r"t1w.npy: damaged.*rebuild"):
        cohort.array("t1w")
    with pytest.raises(CohortError, match=r"participants.parquet: damaged.*rebuild"):
        _ = cohort.visits
    (copied / "cohort.json").write_text('{"name": "tiny"')
    with pytest.raises(CohortError, match=r"cohort.json: damaged.*rebuild"):
        Cohort(copied)


def test_a_part_that_was_never_there_is_not_a_fault_of_the_disk(copied: Path) -> None:
    with pytest.raises(CohortError, match=r"has no pet.npy \(it has biomarkers.parquet"):
        Cohort(copied).array("pet")


def test_tables_are_aligned_to_people_and_cannot_be_changed_through_a_reader(copied: Path) -> None:
    cohort = Cohort(copied)
    table = cohort.table("regions")
    assert list(table["participant_id"]) == list(cohort.index_visits["participant_id"])
    assert table["hippocampus_mm3"].isna().sum() == 4
    table["hippocampus_mm3"] = 0.0
    assert (cohort.table("regions")["hippocampus_mm3"].dropna() > 0).all()


def test_a_visit_that_appears_twice_is_refused(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "c", {})
    visits = visit_table(3, 0)
    writer.table("participants", visits)
    twice = visits.loc[visits["is_index"], ["participant_id", "session_id"]]
    writer.table("regions", pd.concat([twice, twice.head(1)]).assign(hippocampus_mm3=1.0))
    writer.finish(CARD)
    with pytest.raises(CohortError, match=r"regions.parquet: 1 visit.s. appear twice.*sub-0000"):
        Cohort(tmp_path / "c").table("regions")


def test_the_content_hash_follows_the_content_alone(tmp_path: Path) -> None:
    visits = visit_table(8, 0)
    a = write_cohort(tmp_path / "a" / "c", visits).content_hash
    assert write_cohort(tmp_path / "b" / "c", visits).content_hash == a
    assert write_cohort(tmp_path / "d" / "c", visits, seed=7).content_hash != a
    older = visits.assign(age_years=visits["age_years"] + 1e-9)
    assert write_cohort(tmp_path / "e" / "c", older).content_hash != a


def test_opening_reads_the_datasheet_only(copied: Path) -> None:
    for part in PARTS:
        (copied / part).unlink()
    cohort = Cohort(copied)
    assert cohort.name == TINY
    assert cohort.has("t1w")


def test_the_hash_of_a_tree(tmp_path: Path) -> None:
    def tree(root: Path) -> Path:
        (root / "m" / "sub").mkdir(parents=True)
        (root / "m" / "model.py").write_text("x = 1\n")
        (root / "m" / "sub" / "weights.json").write_text("[1]")
        return root / "m"

    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    before = tree_sha256([one])
    assert tree_sha256([two]) == before
    (two / "README.md").write_text("a card")
    (two / "__pycache__").mkdir()
    (two / "__pycache__" / "model.pyc").write_bytes(b"0")
    (two / ".model.py.swp").write_bytes(b"0")
    assert tree_sha256([two]) == before
    (two / "sub" / "weights.json").write_text("[2]")
    changed = tree_sha256([two])
    (two / "sub" / "weights.json").rename(two / "sub" / "other.json")
    assert len({before, changed, tree_sha256([two])}) == 3
