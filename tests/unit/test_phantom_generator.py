"""A phantom participant is the same however it is made, and is what its latents say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import vocabulary as v
from benchmark.cohorts.catalogue import COHORTS, get_cohort
from benchmark.cohorts.phantom import PhantomConfig
from benchmark.cohorts.phantom.participant import make_one
from benchmark.cohorts.phantom.people import sample_people
from benchmark.cohorts.phantom.prepare import prepare_cohort
from benchmark.cohorts.phantom.seeds import generator_seed
from benchmark.cohorts.phantom.timeseries import NETWORKS, couplings, make_series
from benchmark.config import PhantomScale, Profile
from benchmark.errors import CohortError, ConfigError, UnknownNameError
from benchmark.imaging.regions import measure_regions
from benchmark.processes import Answer
from benchmark.samples.build import modality_mask
from benchmark.store.cohort import Cohort
from benchmark.tasks import get_task, labels_for

NOTICE = " ".join((Path(__file__).resolve().parents[2] / "NOTICE").read_text().split())
SMALL = PhantomConfig("phantom-memory", "memory", 5, 5, 10.0)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    prepare_cohort(SMALL, root / "data" / SMALL.name, root / "truth" / SMALL.name, workers=1)
    return root


def test_alone_equals_in_the_cohort_bit_for_bit(prepared: Path) -> None:
    store = Cohort(prepared / "data" / SMALL.name)
    index = store.index_visits
    reports = store.table("reports")
    change = np.load(prepared / "truth" / SMALL.name / "change_maps.npy", mmap_mode="r")
    seen = 0
    for number in (4, 2):  # another order than the cohort's
        person = make_one(SMALL, number)
        row = index.iloc[number - 1]
        assert (person.volume is not None) == (row["t1w_row"] >= 0)
        if person.volume is not None:
            seen += 1
            np.testing.assert_array_equal(store.array("t1w")[row["t1w_row"]], person.volume)
            np.testing.assert_array_equal(change[row["t1w_row"]], person.change)
            stored = store.array("segmentations")[row["t1w_row"]]
            np.testing.assert_array_equal(stored, person.segmentation)
        if person.fmri is not None:
            np.testing.assert_array_equal(store.array("fmri")[row["fmri_row"]], person.fmri)
        if person.report is not None:
            stored_text = reports.loc[number - 1, ["text", "text_mmse"]]
            assert tuple(stored_text) == person.report
    assert seen


def test_cohorts_are_made_one_after_the_other(tmp_path: Path) -> None:
    names = ["phantom-memory", "phantom-movement"]
    profile = Profile("tiny", PhantomScale(10.0, dict.fromkeys(names, 2)))
    for name in names:
        get_cohort(name).prepare(profile, tmp_path / name, tmp_path / "truth" / name, 1, None)
    assert [len(Cohort(tmp_path / name).index_visits) for name in names] == [2, 2]


def test_an_interrupted_prepare_resumes_to_the_same_bytes(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    module = importlib.import_module("benchmark.cohorts.phantom.prepare")
    monkeypatch.setattr(module, "_CHUNK", 2)
    made: list[int] = []
    original = module.make_one

    def counted(config: PhantomConfig, number: int) -> object:
        made.append(number)
        return original(config, number)

    monkeypatch.setattr(module, "make_one", counted)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    folders = tmp_path / "data" / SMALL.name, tmp_path / "truth" / SMALL.name
    with pytest.raises(KeyboardInterrupt):
        prepare_cohort(SMALL, *folders, workers=1, progress=stop)
    assert not folders[0].exists()
    prepare_cohort(SMALL, *folders, workers=1)
    assert sorted(made) == [1, 2, 3, 4, 5]
    whole = Cohort(prepared / "data" / SMALL.name)
    assert Cohort(folders[0]).content_hash == whole.content_hash


def test_what_older_code_made_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    module = importlib.import_module("benchmark.cohorts.phantom.prepare")
    monkeypatch.setattr(module, "_CHUNK", 1)
    two = PhantomConfig("phantom-memory", "memory", 2, 5, 10.0)
    folders = tmp_path / "data" / two.name, tmp_path / "truth" / two.name
    made: list[int] = []

    def stop(done: int, total: int) -> None:
        made.append(done)
        raise KeyboardInterrupt

    for state in ({"code": "old"}, {"code": "new"}, {"code": "new"}):
        monkeypatch.setattr(module, "generator_state", lambda state=state: state)
        with pytest.raises(KeyboardInterrupt):
            prepare_cohort(two, *folders, workers=1, progress=stop)
    assert made == [1, 1, 2]


def test_a_second_preparation_of_one_cohort_is_refused(tmp_path: Path) -> None:
    two = PhantomConfig("phantom-memory", "memory", 2, 5, 10.0)
    folders = tmp_path / "data" / two.name, tmp_path / "truth" / two.name
    refused: list[str] = []

    def second(done: int, total: int) -> None:
        with pytest.raises(CohortError, match="another process is preparing 'phantom-memory'") as e:
            prepare_cohort(two, *folders, workers=1)
        refused.append(str(e.value))

    prepare_cohort(two, *folders, workers=1, progress=second)
    assert refused
    for folder in folders:
        Cohort(folder).verify()
    assert {"t1w.npy", "fmri.npy", "segmentations.npy"} <= set(Cohort(folders[0]).card["sha256"])


@pytest.mark.parametrize("fault", ["raises", "refuses", "dies"])
def test_a_worker_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    import importlib

    module = importlib.import_module("benchmark.cohorts.phantom.prepare")
    said = {
        "raises": r"(?s)participants 7 to 9 could not be made.*Traceback.*ZeroDivisionError: why",
        "refuses": "^it would fold$",
        "dies": r"WorkerDied: ended; what is made so far is kept. Run `neurodx prepare phantom-mem",
    }

    def make_one(*_: object) -> None:
        raise ZeroDivisionError("why") if fault == "raises" else CohortError("it would fold")

    monkeypatch.setattr(module, "make_one", make_one)
    answer = Answer("1", module._answer((SMALL, [7, 8, 9])))
    if fault == "dies":
        answer = Answer("1", died="WorkerDied: ended")
    with pytest.raises(CohortError, match=said[fault]):
        module._people_of(answer, SMALL)


def test_every_cohort_and_twin_has_people_of_its_own() -> None:
    names = [name for name in COHORTS if name.startswith("phantom-")]
    seeds = {name: generator_seed(name) for name in names}
    assert len(set(seeds.values())) == len(names) == 11
    assert seeds["phantom-population"] == 2026  # the published ones
    assert seeds["phantom-memory"] == 102026
    assert seeds["phantom-movement"] == 202026
    assert seeds["phantom-external"] == 302026
    twins = [seeds[f"phantom-memory-dev{k}"] for k in ("", 2, 3, 4)]
    assert twins == [100007, 100077, 100177, 100277]


def test_another_seed_gives_other_people() -> None:
    twin = PhantomConfig("phantom-memory-dev", "memory", 5, 6, 10.0)
    one, other = sample_people(SMALL, [1]), sample_people(twin, [1])
    assert one["v"].item() != other["v"].item()


def test_store_columns_and_absence(prepared: Path) -> None:
    store = Cohort(prepared / "data" / SMALL.name)
    index = store.index_visits
    assert store.card["synthetic"] is True
    counted = {m: int(modality_mask(store, m).sum()) for m in v.MODALITIES}
    assert store.card["availability"] == {"people": 5, **counted}
    for card in (store.card, Cohort(prepared / "truth" / SMALL.name).card):
        assert "Permission to use, copy, modify, and distribute" in card["terms"]
        assert " ".join(card["terms"].split()) in NOTICE
    assert store.array("t1w").dtype == np.float16
    assert store.array("t1w").shape[1:] == (16, 20, 16)
    genotyped = index["snps_row"] >= 0
    assert index.loc[~genotyped, "apoe_e4"].isna().all()
    assert index.loc[genotyped, "apoe_e4"].notna().all()
    volumes = index["t1w_row"] >= 0
    assert index["head_size_mm3"].notna().equals(volumes)
    assert len(store.card["snp_names"]) == store.array("snps").shape[1] == 30


def test_labels_follow_from_the_visits(tmp_path: Path) -> None:
    from benchmark.cohorts.phantom.sites import make_sites
    from benchmark.cohorts.phantom.tables import visit_table

    config = PhantomConfig("phantom-memory", "memory", 300, 5, 10.0)
    latents = sample_people(config, range(1, 301))
    visits = visit_table(config, latents, make_sites(config), np.full(300, 1.5e6))
    labels = labels_for(get_task("conversion"), visits)
    mci = latents["grade"] == 1
    progressive = latents["conversion_months"] <= np.minimum(latents["last_months"], 36)
    stable = (latents["conversion_months"] > 36) & (latents["last_months"] >= 36)
    np.testing.assert_array_equal(labels.mask, mci & (progressive | stable))
    np.testing.assert_array_equal(labels.values[labels.mask], progressive[labels.mask])
    assert 0.3 < np.mean(labels.values[labels.mask]) < 0.5


@pytest.mark.parametrize("role", ["memory", "movement", "external"])
def test_reports_name_no_diagnosis_and_no_score(role: str) -> None:
    from benchmark.cohorts.phantom.participant import report_of

    config = PhantomConfig("x", role, 40, 1, 10.0)
    latents = sample_people(config, range(1, 41))
    forbidden = ("dementia", "alzheimer", "parkinson", "cdr", "mci", "healthy", "control", "mmse")
    for _, person in latents.iterrows():
        text, with_score = report_of(config, person)
        assert not [word for word in forbidden if word in text.lower()]
        assert with_score.startswith(text)
        assert (with_score != text) == bool(person["has_mmse"])


def test_wording_carries_no_information() -> None:
    """Two people who differ in severity only, all statements equal, get the same words."""
    from benchmark.cohorts.phantom.participant import report_of

    person = sample_people(SMALL, [1]).iloc[0]
    sicker = person.copy()
    sicker["v"], sicker["grade"] = 5.0, 2
    assert report_of(SMALL, person) == report_of(SMALL, sicker)


def test_series_realise_the_coupling() -> None:
    latent = np.array([0.8, -0.6])
    series = make_series(latent, np.random.default_rng(3)).astype(np.float64)
    correlation = np.corrcoef(series.T)
    start = 0
    for wanted, (_, size) in zip(couplings(latent), NETWORKS[:2], strict=True):
        block = correlation[start : start + size, start : start + size]
        assert block[np.triu_indices(size, 1)].mean() == pytest.approx(wanted, abs=2e-3)
        start += size
    np.testing.assert_allclose(series.std(axis=0), 1.0, atol=2e-3)


def test_measured_head_size_follows_the_true_one() -> None:
    config = PhantomConfig("x", "population", 40, 2, 10.0)
    latents = sample_people(config, range(1, 41))
    latents = latents.loc[latents["has_t1w"]].sort_values("head_log")
    small, large = latents.iloc[0], latents.iloc[-1]
    measured = []
    for person in (small, large):
        volume = make_one(config, int(person["number"])).volume
        assert volume is not None
        measured.append(measure_regions(volume, 10.0)["head_size_mm3"])
    true_ratio = np.exp(3 * (large["head_log"] - small["head_log"]))
    assert measured[1] / measured[0] == pytest.approx(true_ratio, rel=0.12)


def test_a_healthy_population_has_no_change_and_half_is_pretraining() -> None:
    config = PhantomConfig("x", "population", 10, 2, 10.0)
    latents = sample_people(config, range(1, 11))
    assert latents["pretrain"].sum() == 5
    assert (latents.filter(like="disease_") == 0).all().all()


def test_frequencies_of_alleles_and_absence() -> None:
    from benchmark.cohorts.phantom.genetics import PANEL

    config = PhantomConfig("x", "memory", 3000, 9, 10.0)
    latents = sample_people(config, range(1, 3001))
    frequency = latents.filter(like="snp_").to_numpy().mean(axis=0) / 2
    wanted = np.array([locus.frequency for locus in PANEL])
    error = np.sqrt(wanted * (1 - wanted) / 6000)
    assert (np.abs(frequency - wanted) < 4.5 * error).all()
    missing = 1 - latents[["has_t1w", "has_fmri", "has_genetic", "has_report"]].mean()
    np.testing.assert_allclose(missing, [0.03, 0.35, 0.15, 0.10], atol=0.03)


def test_effect_sizes_match_the_published_ones() -> None:
    """Shi 2009: AD -24 %, MCI -12 %; Nestor 2008: ventricles about +40 %."""
    config = PhantomConfig("x", "memory", 6000, 4, 10.0)
    latents = sample_people(config, range(1, 6001))
    mean = latents.groupby("grade")[["r_hippocampus", "r_lateral_ventricles"]].mean()
    percent = 100 * (np.exp(mean - mean.loc[0]) - 1)
    assert percent.loc[2, "r_hippocampus"] == pytest.approx(-23.5, abs=3)
    assert percent.loc[1, "r_hippocampus"] == pytest.approx(-12, abs=3)
    assert percent.loc[2, "r_lateral_ventricles"] == pytest.approx(40, abs=6)
    odds = pd.crosstab(latents["e4"] > 0, latents["grade"])
    ratio = odds.loc[True, 2] * odds.loc[False, 0] / (odds.loc[True, 0] * odds.loc[False, 2])
    assert 2.2 < ratio < 5.5  # Farrer 1997: carriers against non-carriers about 3 to 4


def test_refused_configurations() -> None:
    with pytest.raises(UnknownNameError, match="memroy"):
        PhantomConfig("x", "memroy", 10, 1)
    with pytest.raises(ConfigError, match="expected one of 10, 5, 4, 2"):
        PhantomConfig("x", "memory", 10, 1, 3.0)
    with pytest.raises(ConfigError, match="n is 0"):
        PhantomConfig("x", "memory", 0, 1)
    with pytest.raises(ConfigError, match="seed is -1"):
        PhantomConfig("x", "memory", 1, -1)
