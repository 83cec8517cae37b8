"""Released encoders as anchors: weights of the right names and shapes, at tiny sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from released_names import CASES, SMALL_JEPA, V1, VOCABULARY, filled, jepa, write
from training_toy import toy_people

from benchmark.api import MethodError, RunContext, Samples, TrainerConfig
from benchmark.encoders import PrepareVolumes
from benchmark.encoders.released import NucleotideTransformer
from benchmark.samples import LazyRows
from benchmark.tasks import get_task
from methods.anchored_qformer.info import (
    AnchoredConfig,
    FusionConfig,
    GeneticsConfig,
    SeriesConfig,
    StageConfig,
    VolumeConfig,
)
from methods.anchored_qformer.modalities import make_readers
from methods.anchored_qformer.model import AnchoredQFormer
from methods.anchored_qformer.released import GRADIENTS, SEQUENCES

TASK = get_task("dx3")
JEPA = {**SMALL_JEPA, "width": 16, "depth": 2, "heads": 2}
SHAPE = (8, 8, 8)
SNPS = ["rs1_A", "rs2_C"]
DNA = {
    "rs1_A": ("TTTTTT", "ACGTAC"),
    "rs2_C": ("GGGGGGACGTAC", "TTTTTTACGTAC"),
    "apoe_e4": ("GGGGGG", "ACGTAC"),
}


def people(n: int = 12, seed: int = 0, regions: int = 3) -> Samples:
    """Volumes, series of 8 frames, two SNPs and APOE e4; every fourth has no genotypes."""
    g = np.random.default_rng(seed)
    toy = toy_people(n, seed, SHAPE)
    has = np.arange(n) % 4 != 3

    def rows(array: np.ndarray, there: np.ndarray) -> LazyRows:
        return LazyRows([array], np.zeros(n, dtype=int), np.where(there, np.arange(n), -1))

    everyone = np.ones(n, dtype=bool)
    series = g.normal(size=(n, 8, regions)).astype(np.float32)
    snps = g.integers(0, 3, (n, len(SNPS))).astype(np.int8)
    apoe = np.where(has, g.integers(0, 3, n), np.nan)
    return replace(
        toy,
        tables={"genetic": pd.DataFrame({"apoe_e4": apoe})},
        arrays={**toy.arrays, "fmri": rows(series, everyone), "snps": rows(snps, has)},
        available={**toy.available, "fmri": everyone, "genetic": has},
        names={"snps": SNPS},
    )


def jepa_folder(folder: Path) -> Path:
    folder.mkdir()
    file = write(folder, filled(jepa(3, 2, 4, 5, 16, 2)), ("target_encoder",))
    file.rename(folder / "jepa-ep300.pth.tar")
    np.savetxt(folder / GRADIENTS, np.random.default_rng(0).normal(size=(3, 5)), delimiter=",")
    return folder


def dna_folder(folder: Path, lines: dict[str, tuple[str, str]] | None = None) -> Path:
    from transformers import EsmConfig, EsmForMaskedLM

    folder.mkdir()
    torch.manual_seed(0)
    reference = EsmForMaskedLM(EsmConfig(**V1, tie_word_embeddings=False))
    torch.save(reference.state_dict(), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(V1))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    table = pd.DataFrame(DNA if lines is None else lines, index=["counted", "other"]).T
    table.rename_axis("snp").to_csv(folder / SEQUENCES)
    return folder


def config(**parts: object) -> AnchoredConfig:
    trainer = TrainerConfig(epochs=1, batch_size=6, lr=1e-3)
    made = AnchoredConfig(
        smri=VolumeConfig(settings={"patch": [4, 4, 4], "width": 8, "depth": 1, "heads": 2}),
        fusion=FusionConfig(n_queries=2, dim=8, heads=2),
        pretrained="",
        trainer=trainer,
    )
    stages = {f"{m}_stage": StageConfig(trainer=trainer) for m in ("smri", "fmri", "genetics")}
    return replace(made, **{**stages, **parts})


def fitted(settings: AnchoredConfig, folder: Path, **run: object) -> AnchoredQFormer:
    method = AnchoredQFormer(settings)
    folder.mkdir()
    method.fit(people(), people(8, 1), [TASK], RunContext(seed=0, folder=folder, **run))
    return method


def test_brain_jepa_is_an_anchor(tmp_path: Path) -> None:
    folder = jepa_folder(tmp_path / "jepa")
    settings = config(fmri=SeriesConfig("brain-jepa", str(folder), JEPA))
    reader = make_readers(settings, people())["fmri"]
    kind, sizes, _, _ = CASES["jepa"]
    reference = kind(**sizes).eval()
    reference.load_pretrained(folder)
    reference.read_gradients(folder / GRADIENTS)
    x = torch.randn(2, 8, 3)
    with torch.no_grad():
        torch.testing.assert_close(reader.encoder.eval().encode(x), reference.encode(x))
    method = fitted(settings, tmp_path / "fit")
    own = method.model.unimodal["fmri"].reader.encoder.state_dict()
    assert own.keys() == reference.state_dict().keys(), "the anchor's low-rank updates are its own"
    assert method.expose(people(4, 2).without_labels())["attention_fmri"].shape == (4, 3 * 2)
    answer = method.predict(people(4, 2).without_labels(), [TASK])["dx3"].probabilities
    method.save(tmp_path / "saved")
    loaded = AnchoredQFormer.load(tmp_path / "saved")
    again = loaded.predict(people(4, 2).without_labels(), [TASK])["dx3"].probabilities
    np.testing.assert_array_equal(answer, again)


def test_series_that_brain_jepa_does_not_fit_are_named(tmp_path: Path) -> None:
    folder = jepa_folder(tmp_path / "jepa")
    jepa_settings = SeriesConfig("brain-jepa", str(folder), JEPA)
    with pytest.raises(MethodError, match=r"takes 8 frames of 3 regions.*8 frames of 5 regions"):
        make_readers(config(fmri=jepa_settings), people(regions=5))
    with pytest.raises(MethodError, match=r"fmri\.folder is empty: .*gradient_mapping_450\.csv"):
        make_readers(config(fmri=replace(jepa_settings, folder="")), people())
    with pytest.raises(MethodError, match=r"fmri\.encoder: expected one of own, brain-jepa"):
        make_readers(config(fmri=SeriesConfig("jepa")), people())
    with pytest.raises(MethodError, match=r"takes the settings regions, frames.*not region"):
        make_readers(config(fmri=replace(jepa_settings, settings={"region": 3})), people())
    (folder / GRADIENTS).write_text("0.1,0.2,nan,0.4,0.5\n" * 3)
    with pytest.raises(MethodError, match="3 of 15 numbers of gradients are NaN"):
        make_readers(config(fmri=jepa_settings), people())
    (folder / GRADIENTS).unlink()
    with pytest.raises(MethodError, match="expected the regions' gradients"):
        make_readers(config(fmri=jepa_settings), people())


def test_genotypes_are_read_as_the_dna_of_their_alleles(tmp_path: Path) -> None:
    folder = dna_folder(tmp_path / "dna")
    settings = config(genetics=GeneticsConfig("nucleotide-transformer", str(folder)))
    encoder = make_readers(settings, people())["genetics"].encoder.eval()
    reference = NucleotideTransformer.from_folder(folder).eval()
    counted, other = ("".join(pair[k] for pair in DNA.values()) for k in (0, 1))
    nan = float("nan")
    dosages = torch.tensor([[2.0, 2, 2], [0, 0, 0], [1, 1, 1], [2, nan, 2], [nan, nan, nan]])
    with torch.no_grad():
        made = encoder.encode(dosages)
        whole = reference.encode([counted, other])
        torch.testing.assert_close(made.tokens[:2], whole.tokens)
        torch.testing.assert_close(made.pooled[:2], whole.pooled)
        tokens, mask = encoder.embed(dosages)
        torch.testing.assert_close(tokens[2], (tokens[0] + tokens[1]) / 2)
    assert mask.int().tolist()[2:] == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert not made.pooled[4].any()
    with pytest.raises(MethodError, match="dosages must be 0 to 2"):
        encoder.embed(torch.tensor([[3.0, 0, 0]]))


def test_dna_is_an_anchor(tmp_path: Path) -> None:
    folder = dna_folder(tmp_path / "dna")
    method = fitted(
        config(genetics=GeneticsConfig("nucleotide-transformer", str(folder))), tmp_path / "fit"
    )
    unseen = people(4, 2).without_labels()
    shown = method.expose(unseen)
    assert shown["attention_genetics"].shape == (4, 5)
    assert not shown["attention_genetics"][3].any()
    answer = method.predict(unseen, [TASK])["dx3"].probabilities
    method.save(tmp_path / "saved")
    again = AnchoredQFormer.load(tmp_path / "saved").predict(unseen, [TASK])["dx3"].probabilities
    np.testing.assert_array_equal(answer, again)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ({"rs1_A": DNA["rs1_A"]}, r"no DNA for 2 of 3 SNPs: rs2_C, apoe_e4"),
        ({**DNA, "rs2_C": ("ACGTACG", "ACGTACC")}, "rs2_C: expected two sequences.* 7 and 7 let"),
        ({**DNA, "rs2_C": ("ACGTAC", "TTTTTTACGTAC")}, "rs2_C: .*got 6 and 12 letters"),
        ({**DNA, "rs2_C": ("ACGTAN", "ACGTAC")}, "rs2_C: expected two sequences of A, C, G and T"),
        ({**DNA, "rs2_C": ("ACGTAC" * 30, "TTTTTT" * 30)}, "is beyond the encoder's 18"),
    ],
)
def test_snps_without_dna_are_named(
    tmp_path: Path, lines: dict[str, tuple[str, str]], told: str
) -> None:
    folder = dna_folder(tmp_path / "dna", lines)
    settings = config(genetics=GeneticsConfig("nucleotide-transformer", str(folder)))
    with pytest.raises(MethodError, match=told):
        make_readers(settings, people())


def test_a_table_of_dna_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = dna_folder(tmp_path / "dna")
    settings = config(genetics=GeneticsConfig("nucleotide-transformer", str(folder)))
    lines = (folder / SEQUENCES).read_text().splitlines()
    (folder / SEQUENCES).write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(MethodError, match="rs1_A has several lines"):
        make_readers(settings, people())
    (folder / SEQUENCES).write_text("snp,dna\nrs1_A,ACGTAC\n")
    with pytest.raises(MethodError, match="expected the columns snp, counted, other, got snp, dna"):
        make_readers(settings, people())
    (folder / SEQUENCES).unlink()
    with pytest.raises(MethodError, match="not there; write the DNA around each SNP"):
        make_readers(settings, people())
    with pytest.raises(MethodError, match=r"genetics\.folder is empty"):
        make_readers(config(genetics=GeneticsConfig("nucleotide-transformer")), people())
    with pytest.raises(MethodError, match="expected one of own, nucleotide-transformer"):
        make_readers(config(genetics=GeneticsConfig("dna")), people())


@pytest.mark.parametrize("name", ["m3d", "brainiac"])
def test_released_vision_transformers_are_anchors(tmp_path: Path, name: str) -> None:
    kind, sizes, shapes, wrappers = CASES[name]
    file = write(tmp_path, filled(shapes), wrappers)
    known = {"m3d": "m3d-clip", "brainiac": "brainiac"}[name]
    settings = config(smri=VolumeConfig(known, settings=dict(sizes)))
    method = fitted(settings, tmp_path / "fit", pretrained=file)
    stages = replace(settings.smri_stage, encoder_rate=0.0)
    frozen = fitted(replace(settings, smri_stage=stages), tmp_path / "frozen", pretrained=file)
    reference = kind(**sizes).eval()
    reference.load_pretrained(file)
    own = frozen.model.unimodal["smri"].reader.encoder
    assert all(
        torch.equal(t, own.encoder.state_dict()[n]) for n, t in reference.state_dict().items()
    )
    tuned = method.model.unimodal["smri"].reader.encoder.encoder.state_dict()
    assert any(not torch.equal(t, tuned[n]) for n, t in reference.state_dict().items())
    x = torch.from_numpy(people(3, 2).volumes())[:, None].float()
    with torch.no_grad():
        seen = PrepareVolumes(5.0)(x)
        torch.testing.assert_close(own.encode(x).tokens, reference.encode(seen).tokens)
        assert not own.encode(torch.zeros_like(x)).mask.any()
    again = people(4, 2).without_labels()
    assert frozen.predict(again, [TASK])["dx3"].probabilities.shape == (4, 3)


@pytest.mark.parametrize("name", ["nucleotide-transformer", "brain-jepa", "brainmvp", "conv", "x"])
def test_what_cannot_be_the_anchor_of_volumes_is_named(name: str) -> None:
    told = r"smri\.encoder: expected one of volume_vit, dense_vit, m3d-clip, brainiac"
    with pytest.raises(MethodError, match=told):
        make_readers(config(smri=VolumeConfig(name)), people())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fmri": SeriesConfig(folder="jepa")}, r"fmri\.folder .* set fmri\.encoder=brain-jepa"),
        (
            {"fmri": SeriesConfig(settings={"frames": 8})},
            r"fmri\.settings .* set fmri\.encoder=brain-jepa",
        ),
        (
            {"genetics": GeneticsConfig(folder="dna")},
            r"genetics\.folder .* set genetics\.encoder=nucleotide-transformer",
        ),
    ],
)
def test_settings_of_a_released_encoder_are_refused_beside_the_own_one(
    given: dict, told: str
) -> None:
    with pytest.raises(MethodError, match=told):
        make_readers(config(**given), people())
