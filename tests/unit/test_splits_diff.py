"""``neurodx splits diff``: a table that was released again, against labels and frozen folds."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from held_replicas import write_oasis1
from visit_tables import store, visit_table

from benchmark.cli import main
from benchmark.cli.splits_diff import _store_for
from benchmark.cohorts.held.add import add_cohort
from benchmark.cohorts.held.entry import CohortEntry
from benchmark.cohorts.held.sealed import write_sealed
from benchmark.config import CONFIGS
from benchmark.diff.folds import diff_folds
from benchmark.diff.people import diff_people
from benchmark.errors import ConfigError
from benchmark.splitting import make_split
from benchmark.store import Cohort

GONE = ("sub-0002", "sub-0009")  # AD, CN
CAME = ("sub-0060", "sub-0061", "sub-0062")  # CN, MCI that converts, AD
IDS = "sub-00"


def released_again() -> pd.DataFrame:
    """The table of 60 people once more: two vanish, three appear, three have another label."""
    visits = visit_table(63)
    visits = visits.loc[~visits["participant_id"].isin(GONE)].reset_index(drop=True)
    visits.loc[visits["participant_id"] == "sub-0003", "diagnosis"] = "MCI"  # was CN
    visits.loc[visits["participant_id"] == "sub-0006", "age_years"] += 0.5  # within its decade
    visits.loc[visits["participant_id"] == "sub-0010", "site_id"] = "site-0"  # was site-1
    censored = visits.loc[visits["participant_id"] == "sub-0005"].assign(
        session_id="ses-M048", visit_months=48, is_index=False
    )
    return pd.concat([visits, censored], ignore_index=True)


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two workspaces, ``old`` with folds and the current folder with the newer table."""
    monkeypatch.chdir(tmp_path)
    old = store(tmp_path / "old" / "data" / "toy", visit_table(60))
    make_split(old, "3fold", 0).write(tmp_path / "old" / "splits" / "toy")
    store(tmp_path / "data" / "toy", released_again())
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int) -> str:
    assert main(["splits", "diff", *arguments]) == status
    return capsys.readouterr().out


# People -----------------------------------------------------------------------------------------


def test_who_appeared_vanished_or_has_another_label() -> None:
    found = diff_people(visit_table(60), released_again())
    assert (found.appeared, found.vanished, len(found.stay)) == (CAME, GONE, 58)
    labels = {(c.kind, c.name): (c.old, c.new) for c in found.labels}
    assert labels == {
        ("dx3", "sub-0003"): ("CN", "MCI"),
        ("ad_cn", "sub-0003"): ("CN", "no label (diagnosis MCI)"),
        ("mci_cn", "sub-0003"): ("CN", "MCI"),
        ("ad_mci", "sub-0003"): ("no label (diagnosis CN)", "MCI"),
        ("brain_age", "sub-0003"): ("81.0", "no label (not healthy)"),
        ("brain_age", "sub-0006"): ("71.0", "71.5"),
        ("conversion", "sub-0005"): ("no label (censored before 36 months)", "sMCI"),
    }
    assert [(c.kind, c.name, c.old, c.new) for c in found.strata] == [
        ("site_id", "sub-0010", "site-1", "site-0")
    ]
    assert found.relabelled == {"sub-0003", "sub-0005", "sub-0006"}


def test_a_reason_alone_is_no_other_label() -> None:
    """Nobody has a label of ``pd_hc`` or, once a diagnosis is missing, loses one never had."""
    old, new = visit_table(60), visit_table(60)
    new.loc[new["participant_id"] == "sub-0002", "diagnosis"] = None  # was AD
    changed = {change.kind for change in diff_people(old, new).labels}
    assert changed == {"dx3", "ad_cn", "ad_mci"}, "neither mci_cn nor brain_age had one"


def test_a_task_that_one_table_cannot_answer_is_told() -> None:
    old, new = visit_table(60), visit_table(60)
    found = diff_people(old.drop(columns="age_years"), new)
    assert found.one_sided == {"brain_age": "new"}
    assert not found.same
    assert diff_people(old, new.sample(frac=1, random_state=0)).same, "order changes nothing"


def test_people_of_pretraining_are_not_compared() -> None:
    found = diff_people(visit_table(72, pretrain=12), visit_table(60))
    assert found.same


# Folds ------------------------------------------------------------------------------------------


def test_what_each_part_of_each_fold_loses(tmp_path: Path) -> None:
    """Against counts that pandas makes of the same tables."""
    old, new = visit_table(60), released_again()
    split = make_split(store(tmp_path / "toy", old), "5x5fold", 0)
    people = diff_people(old, new)
    for given in (people, None):
        found = diff_folds(split, new, given)
        assert (found.gone, found.outside, found.foreign) == (GONE, CAME, ())
        assert not found.fits
        assert len(found.parts) == 75
        for part in found.parts:
            fold = split.fold(part.fold, part.repeat)
            ids = set(getattr(fold, part.part))
            assert part.n == len(ids)
            assert part.gone == len(ids & set(GONE))
            assert part.relabelled == (
                None if given is None else len(ids & {"sub-0003", "sub-0005", "sub-0006"})
            )
            for visits, counts in ((old, part.before), (new, part.now)):
                rows = visits.loc[visits["is_index"] & visits["participant_id"].isin(ids)]
                diagnoses = {k: counts.get(k, 0) for k in ("AD", "CN", "MCI")}
                assert (
                    diagnoses
                    == rows["diagnosis"]
                    .value_counts()
                    .reindex(["AD", "CN", "MCI"], fill_value=0)
                    .to_dict()
                )


def test_how_many_new_folds_would_test_elsewhere(tmp_path: Path) -> None:
    old = make_split(store(tmp_path / "old" / "toy", visit_table(60)), "3fold", 0)
    new = make_split(store(tmp_path / "toy", released_again()), "3fold", 0)
    tests = [{who: k for k in range(3) for who in split.fold(k).test} for split in (old, new)]
    expected = sum(tests[0][who] != tests[1][who] for who in tests[0].keys() & tests[1].keys())
    assert diff_folds(old, released_again()).moved == expected == 35  # docs/splits.md
    assert diff_folds(old, visit_table(60)).moved == 0


def test_folds_that_could_not_be_made_anew_say_why(tmp_path: Path) -> None:
    split = make_split(store(tmp_path / "toy", visit_table(60)), "3fold", 0)
    visits = visit_table(60)
    first_ad = visits.index[visits["is_index"] & (visits["diagnosis"] == "AD")][1:]
    found = diff_folds(split, visits.drop(index=first_ad))
    assert "nobody of class 'AD'" in found.refusal
    assert found.moved is None


def test_folds_fit_while_people_and_strata_are_the_same(tmp_path: Path) -> None:
    split = make_split(store(tmp_path / "toy", visit_table(60)), "leave-site-out", 0)
    older = visit_table(60).assign(age_years=lambda t: t["age_years"] + 0.2)
    found = diff_folds(split, older, diff_people(visit_table(60), older))
    assert found.fits
    assert {part.before == part.now for part in found.parts} == {True}
    assert sum(part.relabelled or 0 for part in found.parts) == 3 * 20, "brain age of 20 healthy"


# The verb ---------------------------------------------------------------------------------------


def test_two_stores_and_the_folds_of_the_older(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys, "old/data/toy", "data/toy", status=1)
    assert out == said(capsys, "old/data/toy", status=1), "NEW is the workspace's own store"
    assert "appeared: 3 people (AD 1, CN 1, MCI 1, pMCI 1): sub-0060, sub-0061, sub-0062" in out
    assert "vanished: 2 people (AD 1, CN 1): sub-0002, sub-0009" in out
    assert "no label (censored before 36 months) -> sMCI: 1: sub-0005" in out
    assert "folds toy/3fold -> data/toy" in out
    assert "3 people are in no fold" in out
    assert "`neurodx splits verify` and `run` refuse them" in out
    assert "`neurodx splits make --cohort toy --protocol 3fold`; every row" in out


def test_folds_against_the_store_that_is_there_now(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sides in (["old/splits/toy/3fold.csv", "data/toy"], ["old/splits/toy", "data/toy"]):
        out = said(capsys, *sides, status=1)
        assert "of the folds, not in the table: 2 people: sub-0002, sub-0009" in out
        assert "of the table, in no fold: 3 people: sub-0060, sub-0061, sub-0062" in out
        assert "whose label or stratum changed is not in the manifest" in out
    assert "fit this table as they are" in said(capsys, "old/splits/toy/3fold.csv", status=0)


def test_no_side_is_every_fold_file_of_the_workspace(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["splits", "make", "--protocol", "3fold", "--protocol", "5fold"]) == 0
    capsys.readouterr()
    out = said(capsys, status=0)
    assert "folds toy/3fold" in out
    assert "folds toy/5fold" in out
    assert "nothing changed" in out
    assert "toy/3fold" not in said(capsys, "--protocol", "5fold", status=0)


def test_verify_names_the_command_that_says_who(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (releases / "splits").mkdir()
    (releases / "old" / "splits" / "toy").rename(releases / "splits" / "toy")
    assert main(["splits", "verify"]) == 1
    assert "`neurodx splits diff --cohort toy --protocol 3fold`" in capsys.readouterr().out
    out = said(capsys, "--cohort", "toy", "--protocol", "3fold", status=1)
    assert "not in the table: 2 people: sub-0002, sub-0009" in out


def test_labels_alone_leave_the_folds_and_still_count(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visits = visit_table(60)
    visits.loc[visits["participant_id"] == "sub-0006", "age_years"] += 0.5
    store(releases / "ages" / "data" / "toy", visits)
    out = said(capsys, "old/data/toy", "ages/data/toy", status=1)
    assert "the folds fit this table as they are" in out
    assert "labels of brain_age changed: even with the same folds, scores are not" in out


def test_strata_alone_are_told_as_such(releases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visits = visit_table(60)
    visits.loc[visits["participant_id"] == "sub-0010", "site_id"] = "site-0"
    store(releases / "sites" / "data" / "toy", visits)
    out = said(capsys, "old/data/toy", "sites/data/toy", status=1)
    assert "strata, site_id: 1 changed" in out
    assert "the people are the same; class, outcome, sex, age band, site or family changed" in out


def test_a_report_holds_counts_and_no_identifier(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "old/data/toy", "data/toy", "--report", "diff.json", "--all", status=1)
    text = (releases / "diff.json").read_text()
    assert IDS not in text
    (found,) = json.loads(text)["compared"]
    assert found["people"] == {"appeared": 3, "vanished": 2, "stay": 58}
    assert found["labels"]["conversion"] == 1
    assert [part["gone"] for part in found["splits"][0]["parts"] if part["part"] == "test"]
    written = {path for path in releases.rglob("*") if path.suffix in (".json", ".csv")}
    assert {p.relative_to(releases).as_posix() for p in written} == {
        "diff.json",
        "data/toy/cohort.json",
        "old/data/toy/cohort.json",
        "old/splits/toy/3fold.csv",
        "old/splits/toy/3fold.json",
    }


def test_long_lists_are_cut_unless_asked_for(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(releases / "half" / "data" / "toy", visit_table(30))
    sides = ("old/data/toy", "half/data/toy")
    out = said(capsys, *sides, status=1)
    assert "sub-0039 and 20 more (all of them with --all)" in out
    assert "sub-0059" not in out
    assert "sub-0059" in said(capsys, *sides, "--all", status=1)


def test_sealed_folds_open_with_the_list_that_they_were_sealed_under(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Cohort(releases / "old" / "data" / "toy")
    split = make_split(old, "3fold", 0)
    sealed = write_sealed(split, old.visits["participant_id"], releases / "shared")
    plain = said(capsys, "old/data/toy", "data/toy", status=1)
    assert said(capsys, "old/data/toy", "data/toy", "--splits", "shared", status=1) == plain
    assert "fit this table" in said(capsys, str(sealed), "old/data/toy", status=0)
    assert main(["splits", "diff", str(sealed), "data/toy"]) == 1
    error = capsys.readouterr().err
    assert "sealed under another list of participants than that of data/toy" in error
    assert f"`neurodx splits diff OLD_STORE NEW_STORE --splits {sealed.parent}`" in error


def test_sealed_folds_of_the_same_people_with_other_strata_do_not_fit(
    releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Cohort(releases / "old" / "data" / "toy")
    sealed = write_sealed(
        make_split(old, "3fold", 0), old.visits["participant_id"], releases / "shared"
    )
    visits = visit_table(60)
    visits.loc[visits["participant_id"] == "sub-0003", "diagnosis"] = "AD"
    store(releases / "other" / "data" / "toy", visits)
    assert "do not fit this table" in said(capsys, str(sealed), "other/data/toy", status=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "nowhere"], "nowhere: expected a cohort store .* a fold file or a folder"),
        (
            ["diff", "nowhere.csv"],
            "nowhere.csv: expected a cohort store .* a fold file or a folder",
        ),
        (["diff", "alone.csv"], "alone.csv: expected the cohort store .* alone.csv STORE`"),
        (
            ["diff", "old/data/toy", "--cohort", "toy"],
            "expected paths or --cohort, got old/data/toy and --cohort toy",
        ),
        (["diff", "old/data/toy", "data/toy", "more"], "expected OLD and NEW, got 3 paths"),
        (["diff", "old/data/toy", "nowhere"], "nowhere: this cohort has not been prepared"),
        (["verify", "data/toy"], "`neurodx splits verify` takes no paths, got data/toy"),
    ],
)
def test_what_cannot_be_compared_is_told(
    releases: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    shutil.copy("old/splits/toy/3fold.csv", "alone.csv")
    assert main(["splits", *arguments]) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("file", ["/q.csv", "/folder/q.csv"])
def test_folds_at_the_root_of_the_disk_have_no_store_beside_them(tmp_path: Path, file: str) -> None:
    args = argparse.Namespace(sides=[Path(file)], data=tmp_path)
    with pytest.raises(ConfigError, match=f"{file}: expected the cohort store of these folds in /"):
        _store_for(Path(file), args)


def test_who_holds_a_cohort_is_told_to_add_it(
    releases: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.cohorts.held.entry.held_names", lambda: ["toy"])
    out = said(capsys, "old/data/toy", "data/toy", status=1)
    assert "to take the new table: `neurodx cohort add`, once more or under another name" in out


def test_the_two_comparisons_point_to_each_other() -> None:
    from benchmark.cli import protocol, splits

    assert "`neurodx splits diff`" in protocol.EPILOG
    assert "`neurodx protocol diff`" in splits.EPILOG


def test_two_releases_of_a_study_that_one_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Added beside each other; nothing is written, so no identifier leaves the workspaces."""
    root = tmp_path / "repository"
    (root / "configs" / "profile").mkdir(parents=True)
    shutil.copy(CONFIGS / "cohort_profile.yaml", root / "configs")
    for name, n_old in (("mine", 60), ("mine-2026", 64)):
        files = write_oasis1(tmp_path / name, n_old=n_old)
        entry = CohortEntry(source="oasis1", root=str(files), synthetic=True)
        add_cohort(name, entry, lambda _: "", root)
    stores = [root / "profiles" / name / "data" / name for name in ("mine", "mine-2026")]
    people = [set(Cohort(folder).visits["participant_id"]) for folder in stores]
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    out = said(capsys, *map(str, stores), "--all", status=1)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    came = sorted(people[1] - people[0])
    assert came
    assert f"appeared: {len(came)} people" in out
    assert ", ".join(came) in out
    assert "folds mine/3fold" in out
    assert f"of the table, in no fold: {len(came)} people" in out
