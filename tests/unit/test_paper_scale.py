"""The papers' scale of the methods that read text, forward and backward, one person at a time.

The language model is frozen and stands at two layers of LLaMA2-7B's architecture, with random
weights; everything else has the size that ``paper_config`` gives it.
"""

from __future__ import annotations

import pytest
import torch

from benchmark.encoders import (
    GeneticsEncoder,
    GenotypeReader,
    SeriesReader,
    TimeSeriesEncoder,
    VolumeTokens,
    build_encoder,
    llama_like,
)
from benchmark.encoders.volume import PrepareVolumes
from benchmark.tasks import get_task
from methods.anchored_qformer import info as anchored
from methods.anchored_qformer.modalities import TextReader, VolumeReader
from methods.anchored_qformer.network import Network as Joint
from methods.brain_adapter import info as adapter
from methods.brain_adapter.network import Network as Adapted

TASK = get_task("dx3")
REPORT = "Memory complaints for two years. Denies low mood. Moderate medial temporal atrophy."
REGIONS, SNPS = 100, 200


@pytest.mark.slow
def test_four_modalities_are_joined_at_the_papers_scale() -> None:
    config = anchored.paper_config()
    text, fmri, genes = llama_like(2, max_tokens=64), config.fmri, config.genetics
    volumes = build_encoder(config.smri.encoder, config.smri.settings, config.smri.grid)
    series = TimeSeriesEncoder(
        REGIONS, width=fmri.width, depth=fmri.depth, heads=fmri.heads, patch=fmri.patch
    )
    genotypes = GeneticsEncoder(SNPS, width=genes.width, depth=genes.depth, heads=genes.heads)
    readers = {
        "text": TextReader(text, config.text.order, tune_embeddings=False),
        "smri": VolumeReader(VolumeTokens(volumes, PrepareVolumes(2.0, grid=config.smri.grid))),
        "fmri": SeriesReader(series),
        "genetics": GenotypeReader(genotypes),
    }
    sizes = {name: sum(p.numel() for p in r.encoder.parameters()) for name, r in readers.items()}
    assert sizes["smri"] == pytest.approx(88e6, rel=0.05), "ViT-B with patches of 16"
    model = Joint(readers, [TASK], dict.fromkeys(readers, 0.0), config.fusion)
    model.begin_second_stage()
    heads = [p for n, p in model.named_parameters() if "head" in n and n.endswith("weight")]
    assert heads
    for weight in heads:  # they start at zero, where no gradient passes
        torch.nn.init.normal_(weight, std=0.02)
    ids, mask = text.tokenise([REPORT])
    inputs = {
        "text_ids": ids,
        "text_mask": mask,
        "t1w": torch.rand(1, 1, 80, 96, 80) + 0.1,
        "fmri": torch.randn(1, 64, REGIONS),
        "dosages": torch.randint(0, 3, (1, SNPS + 1)).float(),
    }
    outputs = model.train()(inputs)
    assert outputs["dx3"].shape == (1, 3)
    sum(outputs[f"{m}/dx3"].square().sum() for m in readers).backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained.values())
    for name in readers:
        own = [p.grad for p in model.rounds[name].parameters() if p.requires_grad]
        assert any(g.any() for g in own), name


@pytest.mark.slow
def test_brain_adapter_learns_at_the_papers_scale() -> None:
    language = llama_like(2, max_tokens=64)
    model = Adapted(adapter.paper_config(), [TASK], 1.0, (256, 256, 256), language.width).train()
    assert sum(p.numel() for p in model.encoder.parameters()) == 87_979_776
    with torch.no_grad():
        report = language.encode([REPORT]).pooled
    seen = {
        "t1w": torch.rand(1, 1, 256, 256, 256),
        "t1w_available": torch.ones(1, dtype=torch.bool),
        "report": report,
        "report_available": torch.ones(1, dtype=torch.bool),
    }
    torch.nn.init.normal_(model.adapter.out.weight, std=0.01)
    outputs = model(seen)
    assert outputs["image"].shape == outputs["text"].shape == (1, 768)
    outputs["dx3"].square().sum().backward()
    assert all(p.grad is not None for p in model.adapter.parameters())
