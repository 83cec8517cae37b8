"""A mapping with time series and genotypes becomes a store, a profile and samples of both."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from held_arrays import write_bed, write_clinic_with_arrays, write_series

from benchmark.cli import main
from benchmark.cohorts.catalogue import all_cohorts
from benchmark.cohorts.held.add import Added, add_cohort
from benchmark.cohorts.held.arrays import GenotypeRule, SeriesRule
from benchmark.cohorts.held.build import build_store
from benchmark.cohorts.held.entry import CohortEntry, load_entry, read_held
from benchmark.cohorts.held.external import external_profile
from benchmark.config import CONFIGS, Profile
from benchmark.errors import CohortError, ConfigError
from benchmark.runs.pipeline import pipeline_text
from benchmark.runs.rows import resolve_row
from benchmark.samples.build import build_samples
from benchmark.store import Cohort
from benchmark.tracks import get_track


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "configs" / "profile").mkdir(parents=True)
    shutil.copy(CONFIGS / "cohort_profile.yaml", root / "configs")
    return root


def add(root: Path, mapping: Path, name: str = "mine", **parts: object) -> Added:
    entry = CohortEntry(str(mapping), str(mapping.parent), synthetic=True, **parts)

    def pipeline(profile: Profile) -> str:
        return pipeline_text(profile, all_cohorts(root / "configs"))

    return add_cohort(name, entry, pipeline, root)


def test_a_mapping_brings_both(root: Path, tmp_path: Path) -> None:
    added = add(root, write_clinic_with_arrays(tmp_path / "clinic"))
    cohort = added.cohort
    have = cohort.card["availability"]
    assert (have["people"], have["fmri"], have["genetic"]) == (60, 58, 57)
    assert cohort.array("fmri").shape == (58, 30, 5)
    assert cohort.array("fmri").dtype == np.float16
    assert cohort.array("snps").shape == (57, 2)
    assert cohort.card["snp_names"] == ["rs1_A", "rs2_G"]
    assert cohort.card["fmri"]["region_names"] == list("ABCDE")
    index = cohort.index_visits
    assert index["fmri_row"].tolist() == [*range(58), -1, -1]
    assert index["snps_row"].tolist() == [-1, -1, -1, *range(57)]
    assert {"clinical_genetic", "qformer_fmri"} <= set(added.profile.methods)
    assert not resolve_row("qformer_fmri", added.profile).pretrained
    people = index["participant_id"].tolist()
    samples = build_samples(cohort, people, get_track("all"), [], with_labels=False)
    assert np.isnan(samples.array("snps")[:3]).all()
    assert not samples.array("fmri")[58:].any()
    assert samples.has("fmri").sum() == 58
    entry = load_entry("mine", root / "configs")
    assert "panel.bed" in entry.files
    again = tmp_path / "again"
    build_store("mine", entry, read_held("mine", entry), again)
    for part in ("fmri", "snps"):
        np.testing.assert_array_equal(Cohort(again).array(part), cohort.array(part))
    write_bed(tmp_path / "clinic" / "panel.bed", [[0, 1, 2]] * 57, [f"P{k:03d}" for k in range(57)])
    with pytest.raises(CohortError, match=re.escape("panel.bed, panel.fam: expected the files")):
        read_held("mine", entry)


def test_options_go_before_the_mapping(root: Path, tmp_path: Path) -> None:
    mapping = write_clinic_with_arrays(tmp_path / "clinic")
    values = np.random.default_rng(0).standard_normal((12, 2))
    write_series(tmp_path / "other", "sub-P005", values, "XY")
    snps = GenotypeRule(str(tmp_path / "clinic" / "panel.bed"), ["rs3"])
    added = add(root, mapping, fmri=SeriesRule(str(tmp_path / "other")), snps=snps)
    assert added.cohort.array("fmri").shape == (1, 12, 2)
    assert not {"connectivity_linear", "qformer_fmri"} & set(added.profile.methods), (
        "one is too few"
    )
    assert added.cohort.card["snp_names"] == ["rs3_A"]


def test_series_predict_series_of_the_same_regions_only(root: Path, tmp_path: Path) -> None:
    add(root, write_clinic_with_arrays(tmp_path / "train", 64), "train")
    methods = {}
    for name in ("same", "other", "shorter", "none"):
        mapping = write_clinic_with_arrays(tmp_path / name, 64)
        text = mapping.read_text()
        if name == "other":  # an atlas of as many regions
            for path in (tmp_path / name / "xcp_d").rglob("*.tsv"):
                path.write_text(path.read_text().replace("A\tB", "X\tB", 1))
        if name == "shorter":
            mapping.write_text(text.replace("frames: 30", "frames: 20"))
        if name == "none":
            mapping.write_text(text.partition("fmri:")[0] + "snps:" + text.partition("snps:")[2])
        add(root, mapping, name)
        methods[name] = external_profile("x", "train", [name], root).methods
    rows = {"connectivity_linear", "qformer_fmri"}
    assert rows <= set(methods["same"])
    for name in ("other", "shorter", "none"):
        assert not rows & set(methods[name]), name
        assert "clinical_genetic" in methods[name], name


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    mapping = write_clinic_with_arrays(tmp_path / "clinic")
    table = tmp_path / "clinic" / "visits.csv"
    table.write_text(table.read_text().replace("P004,64,F,CN", "P004,640,F,CN"))
    path = next((tmp_path / "clinic" / "xcp_d").rglob("sub-P007*.tsv"))
    path.write_text(path.read_text().replace("A\tB", "A\tX", 1))
    mapping.write_text(mapping.read_text().replace("rs2 G", "rs2 T"))
    with pytest.raises(CohortError) as caught:
        read_held("mine", CohortEntry(str(mapping), str(mapping.parent)))
    text = str(caught.value)
    assert "break 3 rule(s)" in text
    assert "(line 6: '640')" in text
    assert "differing in B, X" in text
    assert "allele T is to be counted, the file has A and G" in text


def test_mistakes_of_mapping_and_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = write_clinic_with_arrays(tmp_path / "clinic")
    text = mapping.read_text()
    mapping.write_text(text.replace("  folder: xcp_d\n", "").replace("  file: panel.bed\n", ""))
    with pytest.raises(
        ConfigError, match=r"(?s)fmri: `folder` is missing.*snps: `file` is missing"
    ):
        read_held("mine", CohortEntry(str(mapping), str(mapping.parent)))
    mapping.write_text(text)
    command = ["cohort", "check", str(mapping), "--root", str(mapping.parent)]
    assert main([*command, "--frames", "20"]) == 1
    assert "add `--fmri FOLDER`" in capsys.readouterr().err
    assert main([*command, "--keep-snps", "x"]) == 1
    assert "add `--snps FILE`" in capsys.readouterr().err
    folder = str(tmp_path / "clinic" / "xcp_d")
    assert main([*command, "--fmri", folder, "--frames", "20"]) == 0
    out = capsys.readouterr().out
    assert "fmri: 58 of 60 people, 20 x 5 frames x regions" in out
    assert "snps: 57 of 60 people, 2 SNPs" in out
