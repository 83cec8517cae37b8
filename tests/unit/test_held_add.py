"""Adding a cohort: to a store, folds, a profile and a pipeline, or to nothing at all."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import yaml
from held_replicas import write_ixi, write_oasis1, write_oasis2
from held_replicas_gated import write_adni, write_aibl, write_oasis3, write_ppmi, write_ukb

from benchmark.cli import main
from benchmark.cohorts.catalogue import all_cohorts
from benchmark.cohorts.held.add import Added, add_cohort, remove_cohort
from benchmark.cohorts.held.entry import (
    CohortEntry,
    added_profiles,
    check_name,
    held_names,
    load_entry,
    read_held,
)
from benchmark.cohorts.held.external import pair_cohorts
from benchmark.cohorts.held.plan import rows_for
from benchmark.config import CONFIGS, Profile, load_profile
from benchmark.errors import CohortError, ConfigError, UnknownNameError
from benchmark.registry import ROOT
from benchmark.runs.pipeline import pipeline_text
from benchmark.runs.rows import resolve_row
from benchmark.samples.build import build_samples
from benchmark.splitting import read_split
from benchmark.store import Cohort
from benchmark.tasks import get_task
from benchmark.tracks import get_track


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository's configs, and git's rules of what to ignore."""
    root = tmp_path / "repository"
    (root / "configs" / "profile").mkdir(parents=True)
    shutil.copy(CONFIGS / "cohort_profile.yaml", root / "configs")
    shutil.copy(ROOT / ".gitignore", root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def add(name: str, source: str, files: Path, root: Path, **options: str) -> Added:
    entry = CohortEntry(source=source, root=str(files), options=options, synthetic=True)

    def pipeline(profile: Profile) -> str:
        return pipeline_text(profile, all_cohorts(root / "configs"))

    return add_cohort(name, entry, pipeline, root)


def everything(root: Path) -> set[str]:
    found = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".git"}


def test_a_cohort_comes_to_a_store_folds_a_profile_and_a_pipeline(
    repository: Path, tmp_path: Path
) -> None:
    files = write_oasis1(tmp_path / "oasis1")
    added = add("mine", "oasis1", files, repository)
    home = repository / "profiles" / "mine"
    cohort = Cohort(home / "data" / "mine")
    cohort.verify()
    assert cohort.card["synthetic"] is True
    assert cohort.card["availability"]["t1w"] == 80
    assert set(cohort.card["label_rules"]) == {"impaired", "brain_age"}
    profile = load_profile("mine", repository / "configs")
    assert profile == added.profile
    assert (profile.protocol, profile.plan["mine"].fit) == ("3fold", ["impaired", "brain_age"])
    assert set(yaml.safe_load((repository / "configs/profile/mine.yaml").read_text())) == {
        entry.name for entry in fields(Profile)
    }
    split = read_split(home / "splits" / "mine", "3fold")
    assert split.content_hash == added.split.content_hash
    stages = yaml.safe_load((home / "dvc.yaml").read_text())["stages"]
    assert list(stages)[:3] == ["prepare-mine", "split-mine", "verify"]
    assert "../../configs/held/mine.yaml" in stages["prepare-mine"]["deps"]
    assert "code/benchmark/cohorts/held" in stages["prepare-mine"]["deps"]
    assert str(files) not in (home / "dvc.yaml").read_text()


def test_git_sees_nothing_of_it(repository: Path, tmp_path: Path) -> None:
    before = subprocess.check_output(["git", "status", "--porcelain"], cwd=repository)
    add("mine", "oasis2", write_oasis2(tmp_path / "files"), repository)
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=repository) == before


def test_shipped_profiles_are_not_ignored() -> None:
    shipped = [p for p in (CONFIGS / "profile").glob("*.yaml") if p.stem not in added_profiles()]
    for path in shipped:
        done = subprocess.run(["git", "check-ignore", "-q", str(path)], cwd=ROOT, check=False)
        assert done.returncode == 1, path


def test_rows_are_chosen_by_what_the_cohort_holds(repository: Path, tmp_path: Path) -> None:
    regional = ["regional_linear", "clinical_linear", "regional_clinical_linear"]
    add("one", "oasis1", write_oasis1(tmp_path / "1"), repository)
    add("three", "ixi", write_ixi(tmp_path / "3"), repository)
    add("ants", "ixi", tmp_path / "3", repository, features="ants")
    methods = {n: load_profile(n, repository / "configs").methods for n in ("one", "three", "ants")}
    assert methods["one"] == ["chance", "age_sex", *regional]  # one site: no row on confounds
    regional.insert(1, "regional_harmonised_linear")  # several sites
    assert methods["three"] == ["chance", "confound", *regional]
    assert methods["ants"] == ["chance", *regional]  # no head size


def test_the_unknown_site_is_no_second_one(repository: Path, tmp_path: Path) -> None:
    files = write_ukb(tmp_path / "files")
    (path,) = files.glob("ukb*.csv")
    table = pd.read_csv(path, dtype=str)
    table["54-2.0"] = table["54-2.0"].where(table["54-2.0"] == "11025")
    table.to_csv(path, index=False)
    add("mine", "ukb", files, repository)
    index = Cohort(repository / "profiles" / "mine" / "data" / "mine").index_visits
    assert set(index["site_id"]) == {"11025", "unknown"}
    methods = load_profile("mine", repository / "configs").methods
    assert "regional_linear" in methods
    assert not {"regional_harmonised_linear", "confound"} & set(methods)


@pytest.mark.parametrize(
    ("source", "write", "tasks", "rows"),
    [
        ("adni", write_adni, {"dx3", "conversion", "brain_age"}, {"confound", "clinical_boosting"}),
        ("aibl", write_aibl, {"dx3", "conversion"}, {"clinical_genetic"}),
        ("oasis3", write_oasis3, {"impaired", "brain_age"}, {"regional_linear"}),
        ("ppmi", write_ppmi, {"pd_hc"}, {"regional_clinical_linear"}),
        ("ukb", write_ukb, {"brain_age"}, {"confound", "regional_linear"}),
    ],
)
def test_gated_studies_come_as_far(
    source: str, write, tasks: set[str], rows: set[str], repository: Path, tmp_path: Path
) -> None:
    added = add("mine", source, write(tmp_path / "files"), repository)
    assert set(added.profile.plan["mine"].fit) == tasks
    assert rows < set(added.profile.methods)
    assert ("dx3" in tasks) == bool(added.profile.plan["mine"].derive)


def test_every_row_of_the_template_is_known() -> None:
    template = yaml.safe_load((CONFIGS / "cohort_profile.yaml").read_text())
    names = [*template["tables"], *template["volumes"]]
    assert [resolve_row(name, Profile(name="x")).name for name in names] == names


def test_what_defines_the_label_is_no_input(repository: Path, tmp_path: Path) -> None:
    add("mine", "oasis1", write_oasis1(tmp_path / "files"), repository)
    cohort = Cohort(repository / "profiles" / "mine" / "data" / "mine")
    people = cohort.index_visits["participant_id"].tolist()
    task = get_task("impaired")
    for row in rows_for(cohort, ["impaired"]):
        track = get_track(resolve_row(row, Profile(name="x")).track)
        samples = build_samples(cohort, people, track, [task], with_labels=False)
        columns = {c for table in samples.tables.values() for c in table}
        assert not columns & {"cdr_global", "mmse", "impaired", "diagnosis"}


def test_a_cohort_that_breaks_a_rule_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    files = write_oasis1(tmp_path / "files")
    path = files / "oasis_cross-sectional.csv"
    path.write_text(path.read_text().replace(",R,", ",R,x", 3))
    before = everything(repository)
    with pytest.raises(CohortError, match=r"'Age': expected a number.*line 2.*line 3.*line 4"):
        add("mine", "oasis1", files, repository)
    assert everything(repository) == before


def test_too_few_people_are_refused_with_their_number(repository: Path, tmp_path: Path) -> None:
    files = write_oasis1(tmp_path / "files", n_old=12, n_young=4)
    with pytest.raises(CohortError, match="impaired: 6 control, 6 impaired; brain_age: 10 people"):
        add("mine", "oasis1", files, repository)
    assert not held_names(repository / "configs")
    assert not list((repository / "configs" / "profile").iterdir())


def test_a_failure_at_the_end_takes_the_entry_back(repository: Path, tmp_path: Path) -> None:
    def broken(_: Profile) -> str:
        raise OSError("no space")

    entry = CohortEntry(source="oasis2", root=str(write_oasis2(tmp_path / "files")))
    with pytest.raises(OSError, match="no space"):
        add_cohort("mine", entry, broken, repository)
    assert not held_names(repository / "configs")
    assert not list((repository / "configs" / "profile").iterdir())


def test_adding_twice_gives_the_same_and_other_files_are_noticed(
    repository: Path, tmp_path: Path
) -> None:
    files = write_oasis2(tmp_path / "files")
    first = add("mine", "oasis2", files, repository)
    second = add("mine", "oasis2", files, repository)
    assert first.cohort.content_hash == second.cohort.content_hash
    table = pd.read_csv(files / "oasis_longitudinal.csv")
    table.assign(MMSE=30).to_csv(files / "oasis_longitudinal.csv", index=False)
    entry = load_entry("mine", repository / "configs")
    with pytest.raises(CohortError, match=r"oasis_longitudinal.csv: expected the files as they"):
        read_held("mine", entry)
    assert second.replaced == ""
    assert add("mine", "oasis2", files, repository).replaced == ""  # no fold depends on the MMSE
    read_held("mine", load_entry("mine", repository / "configs"))
    table.iloc[:-3].to_csv(files / "oasis_longitudinal.csv", index=False)
    assert add("mine", "oasis2", files, repository).replaced == first.split.content_hash
    with pytest.raises(ConfigError, match="'mine' was added from oasis2, not from oasis1"):
        add("mine", "oasis1", write_oasis1(tmp_path / "other"), repository)


def test_removing_keeps_what_was_computed(repository: Path, tmp_path: Path) -> None:
    add("mine", "oasis2", write_oasis2(tmp_path / "files"), repository)
    home = remove_cohort("mine", repository)
    assert not held_names(repository / "configs")
    assert Cohort(home / "data" / "mine").name == "mine"


@pytest.mark.parametrize("name", ["My", "a_b", "a--b", "-a", "a/../b", ""])
def test_a_name_that_is_no_folder_of_ours_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected lower-case letters"):
        check_name(name, set())


def test_the_command_says_what_to_do_next(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["cohort", "show", "oasis1"]) == 0
    assert "oasis_cross-sectional*.csv" in capsys.readouterr().out
    assert main(["cohort", "list"]) == 0
    assert "oasis2" in capsys.readouterr().out
    assert main(["cohort", "add", "oasis9", "--root", str(tmp_path)]) == 1
    assert "unknown cohort source 'oasis9'. Did you mean" in capsys.readouterr().err
    assert main(["cohort", "add", "oasis1"]) == 1
    assert "neurodx cohort add oasis1 --root FOLDER" in capsys.readouterr().err
    assert main(["cohort", "add", "ixi", "--root", str(tmp_path), "--as", "smoke"]) == 1
    assert "is taken" in capsys.readouterr().err
    report = tmp_path / "problems.csv"
    files = write_oasis1(tmp_path / "files")
    (files / "oasis_cross-sectional.csv").write_text("ID,Age\nx,1\n")
    command = ["cohort", "check", "oasis1", "--root", str(files), "--report", str(report)]
    assert main(command) == 1
    found = pd.read_csv(report)
    assert {"ID", "Age", "CDR"} <= set(found["column"])
    assert set(found["line"]) == {0, 2}


def test_a_study_must_be_added_before_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmark.config.CONFIGS", tmp_path)  # where nothing has been added
    assert main(["repro", "--profile", "oasis1"]) == 1
    assert "`neurodx cohort add oasis1 --root FOLDER` first" in capsys.readouterr().err
    assert "Known: none." in str(UnknownNameError("added cohort", "oasis1", []))


def test_models_of_one_cohort_predict_another(repository: Path, tmp_path: Path) -> None:
    add("one", "ixi", write_ixi(tmp_path / "1"), repository, features="ants")
    add("two", "oasis1", write_oasis1(tmp_path / "2"), repository)
    add("three", "oasis2", write_oasis2(tmp_path / "3"), repository)

    def pipeline(profile: Profile) -> str:
        return pipeline_text(profile, all_cohorts(repository / "configs"))

    profile = pair_cohorts("one-to-two", "one", ["two"], pipeline, repository)
    assert profile == load_profile("one-to-two", repository / "configs")
    assert profile.plan["one"].external == {"two": ["brain_age"]}
    assert profile.methods == load_profile("one", repository / "configs").methods
    assert "regional_harmonised_linear" in profile.methods  # though the other cohort has one site
    stages = yaml.safe_load((repository / "profiles/one-to-two/dvc.yaml").read_text())["stages"]
    assert "--protocol external --train-cohort one" in stages["split-two"]["cmd"]
    assert added_profiles(repository / "configs") == {"one", "two", "three", "one-to-two"}
    with pytest.raises(CohortError, match="'one' and 'three' have no task in common"):
        pair_cohorts("x", "one", ["three"], pipeline, repository)
    assert not (repository / "profiles" / "x").exists()


def test_a_page_of_results_needs_boards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    assert main(["cohort", "results", "nobody", "--out", str(page)]) == 1
    assert "unknown added cohort 'nobody'" in capsys.readouterr().err
    assert main(["cohort", "results"]) == 1
    assert not page.exists()
