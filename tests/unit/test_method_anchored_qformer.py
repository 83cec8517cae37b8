"""Anchored Q-formers: what is missing never matters, what is frozen stays, and who votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anchored_settings import small
from people_without_scans import people
from torch import Tensor

from benchmark.api import MethodError, RunContext, Samples
from benchmark.encoders import (
    SeriesReader,
    TimeSeriesEncoder,
)
from benchmark.tasks import get_task
from methods.anchored_qformer.info import FusionConfig
from methods.anchored_qformer.model import AnchoredQFormer
from methods.anchored_qformer.network import Network, Round, averaged, shared_copy
from methods.anchored_qformer.qformer import QFormer
from methods.anchored_qformer.records import in_order, record, written

TASKS = [get_task("dx3"), get_task("conversion")]
WIDTHS = {"fmri": 8, "genetics": 12, "other": 16}


class Plain(SeriesReader):
    """A reader that is never asked for raw inputs here."""


def network(n_queries: int = 3, kind: str = "anchored", seed: int = 0) -> Network:
    """Three modalities of different widths; the second stage has begun."""
    torch.manual_seed(seed)
    readers = {
        m: Plain(TimeSeriesEncoder(5, width=width, heads=2, patch=2)) for m, width in WIDTHS.items()
    }
    config = FusionConfig(kind=kind, n_queries=n_queries, dim=8, heads=2, auxiliary_dropout=0.0)
    made = Network(readers, TASKS, dict.fromkeys(WIDTHS, 0.0), config)
    made.begin_second_stage()
    for module in made.modules():  # heads start at zero, which would hide everything
        if isinstance(module, torch.nn.Linear) and module.out_features in (2, 3):
            torch.nn.init.normal_(module.weight)
    return made.eval()


def batch(n: int = 4, missing: dict[int, tuple[str, ...]] | None = None) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1)
    out: dict[str, Tensor] = {}
    for count, (m, width) in enumerate(WIDTHS.items(), start=4):
        mask = torch.ones(n, count, dtype=torch.bool)
        for person, gone in (missing or {}).items():
            mask[person] &= m not in gone
        out[f"{m}_tokens"] = torch.randn(n, count, width, generator=g)
        out[f"{m}_features"] = torch.randn(n, count, width, generator=g)
        out[f"{m}_mask"] = mask
    return out


# The checks of the method ------------------------------------------------------------------------


def test_without_others_a_round_is_the_unimodal_anchor() -> None:
    inputs = batch(missing={0: ("genetics", "other")})
    with torch.no_grad():
        joined = network(3)(inputs)["fmri/dx3"][0]
        alone_model = network(3)
        alone_model.rounds["fmri"].qformer = None
        alone = alone_model(inputs)["fmri/dx3"][0]
    torch.testing.assert_close(joined, alone)


def test_what_a_missing_modality_holds_changes_nothing() -> None:
    inputs = batch(missing={0: ("other",), 2: ("other", "fmri")})
    scrambled = {name: x.clone() for name, x in inputs.items()}
    for part in ("tokens", "features"):
        scrambled[f"other_{part}"][[0, 2]] = torch.nan
        scrambled[f"fmri_{part}"][2] = 1e9
    model = network()
    with torch.no_grad():
        one, two = model(inputs), model(scrambled)
        assert torch.equal(model.features(inputs), model.features(scrambled))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_adapters_are_the_identity_at_first() -> None:
    model, inputs = network(0), batch()
    with torch.no_grad():
        answers = model(inputs)
        for m in WIDTHS:
            encoder = model.unimodal[m].reader.encoder
            mask = inputs[f"{m}_mask"]
            pooled = encoder.run_blocks(inputs[f"{m}_tokens"], mask).mean(dim=1)
            expected = model.rounds[m].heads(pooled)["dx3"]
            torch.testing.assert_close(answers[f"{m}/dx3"], expected)


def test_every_parameter_of_the_q_formers_gets_gradient() -> None:
    model, inputs = network().train(), batch()
    outputs = model(inputs)
    sum(outputs[f"{m}/dx3"].square().sum() for m in WIDTHS).backward()
    for m in WIDTHS:
        for name, parameter in model.rounds[m].qformer.named_parameters():
            assert parameter.grad is not None, (m, name)
            assert parameter.grad.abs().max() > 0, (m, name)
    assert not any(p.requires_grad for p in model.unimodal.parameters())


def test_no_queries_are_late_fusion() -> None:
    model, inputs = network(0), batch(missing={1: ("fmri",)})
    with torch.no_grad():
        outputs = model(inputs)
    for task in ("dx3", "conversion"):
        votes = torch.stack([outputs[f"{m}/{task}"].softmax(1) for m in WIDTHS])
        mean = votes.mean(dim=0)
        mean[1] = votes[1:, 1].mean(dim=0)  # the second person has no fMRI
        torch.testing.assert_close(outputs[task].exp(), mean)
    assert not any("qformer" in name for name, _ in model.named_parameters())


def test_the_order_of_what_is_joined_does_not_matter() -> None:
    model, inputs = network(), batch(missing={3: ("other",)})
    parts = model.parts(inputs)
    each: Round = model.rounds["fmri"]
    with torch.no_grad():
        joined = each.join(parts)
        order = torch.randperm(joined.tokens.shape[1], generator=torch.Generator().manual_seed(2))
        turned = joined._replace(tokens=joined.tokens[:, order], mask=joined.mask[:, order])
        torch.testing.assert_close(each(parts["fmri"], joined)[0], each(parts["fmri"], turned)[0])


def test_only_anchors_that_are_there_vote() -> None:
    logits = torch.randn(3, 4, 3)
    present = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()
    p = averaged(logits, present, "probabilities").exp()
    torch.testing.assert_close(p[0], logits[0, [0, 2]].softmax(1).mean(0))
    torch.testing.assert_close(p[1], torch.full((3,), 1 / 3))
    torch.testing.assert_close(p[2], logits[2, 1].softmax(0))
    other = logits.clone()
    other[~present] = 50.0
    again = averaged(other, present, "probabilities").exp()
    assert torch.equal(again, p)


def test_attention_and_mass_are_shares() -> None:
    model, inputs = network(), batch(missing={0: ("other",)})
    with torch.no_grad():
        joined = model.run(model.parts(inputs))[2]["fmri"]
    torch.testing.assert_close(joined.attention["genetics"].sum(1), torch.ones(4))
    mass = torch.stack(list(joined.mass.values()))
    torch.testing.assert_close(mass.sum(0), torch.ones(4))
    assert joined.mass["other"][0] == 0
    assert not joined.attention["other"][0].any()


def test_concatenation_does_not_see_what_is_missing() -> None:
    model, inputs = network(kind="concat"), batch(missing={0: ("other",)})
    scrambled = {**inputs, "other_features": inputs["other_features"].clone()}
    scrambled["other_features"][0] = 1e9
    with torch.no_grad():
        assert torch.equal(model(inputs)["dx3"], model(scrambled)["dx3"])


def test_a_twin_shares_weights_and_nothing_else() -> None:
    encoder = TimeSeriesEncoder(5, width=8, heads=2, patch=2)
    twin = shared_copy(encoder)
    assert all(a is b for a, b in zip(encoder.parameters(), twin.parameters(), strict=True))
    assert twin.transformer is not encoder.transformer


def test_the_text_q_former_has_the_stated_size() -> None:
    others = {"smri": 768, "fmri": 768, "genetics": 1024}
    start = {"sd": 0.02, "norm_place": "post"}
    with torch.device("meta"):
        whole = QFormer(others, 5120, n_queries=16, dim=0, heads=8, **start)
        narrow = QFormer(others, 5120, n_queries=16, dim=1024, heads=8, **start)
    count = sum(p.numel() for p in whole.parameters())
    assert count == pytest.approx(433e6, rel=0.05)
    assert sum(p.numel() for p in narrow.parameters()) < count / 10


# Records -----------------------------------------------------------------------------------------


def test_a_record_says_what_is_known_and_leaves_out_the_rest() -> None:
    told = record({"faq_total": 9.0, "family_history": 0.0, "sex": "F", "age_years": np.nan})
    assert told == "Functional score 9. No family history. Woman."
    assert record({"age_years": None}) == ""
    assert in_order("Denies falls. Low mood. Read 2 of 4.", "salient").startswith("Read 2 of 4.")
    with pytest.raises(MethodError, match=r"text\.order: expected one of written, salient"):
        in_order("x", "random")


def test_who_has_neither_record_nor_report_has_no_text() -> None:
    samples = Samples(
        n=3,
        tables={
            "demographics": pd.DataFrame({"age_years": [60.0, 61.0, 62.0]}),
            "clinical": pd.DataFrame({"faq_total": [4.0, np.nan, np.nan]}),
        },
        texts={"report": ["", "", "Low mood."]},
        available={
            "clinical": np.array([True, False, False]),
            "report": np.array([False, False, True]),
        },
    )
    assert written(samples) == ["Functional score 4. 60 years.", "", "62 years. Low mood."]


# Whole fits --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> AnchoredQFormer:
    made = AnchoredQFormer(small())
    context = RunContext(seed=0, folder=tmp_path_factory.mktemp("anchored"))
    made.fit(people(30, 0), people(12, 1), TASKS, context)
    return made


def test_the_second_stage_leaves_encoders_as_the_first_left_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, Tensor] = {}
    begin = Network.begin_second_stage

    def watched(self: Network) -> None:
        begin(self)
        before.update({n: t.clone() for n, t in self.unimodal.state_dict().items()})

    monkeypatch.setattr(Network, "begin_second_stage", watched)
    made = AnchoredQFormer(small())
    made.fit(people(30, 0), people(12, 1), TASKS, RunContext(seed=0, folder=tmp_path))
    after = made.model.unimodal.state_dict()
    encoders = [name for name in before if ".encoder." in name]
    assert encoders
    assert all(torch.equal(before[name], after[name]) for name in encoders)
    made.model.train()
    assert not any(u.reader.encoder.training for u in made.model.unimodal.values())


def test_kept_features_change_no_answer(method: AnchoredQFormer) -> None:
    source = method.source(people(9, 2), TASKS)
    rows = np.arange(9)
    with torch.no_grad():
        raw = method.model(source.read(rows).inputs)["dx3"]
        kept = method.model(method._kept(source).read(rows).inputs)["dx3"]
    torch.testing.assert_close(raw, kept)


def test_what_is_exposed_has_one_row_a_person(method: AnchoredQFormer) -> None:
    shown = method.expose(people(9, 2).without_labels())
    assert shown["votes_dx3"].shape == (9, 3, 3)
    assert shown["cross_mass"].shape == (9, 3)
    assert shown["attention_text"].shape == (9, 16)
    assert shown["attention_fmri"].shape == (9, 4)
    assert shown["attention_genetics"].shape == (9, 7)
    np.testing.assert_allclose(shown["cross_mass"].sum(1), 1, atol=1e-5)
    assert not shown["votes_dx3"][3, 1].any()  # no fMRI, no vote
    assert method.embed(people(9, 2).without_labels()).shape == (9, 384 + 32 + 32)


def test_a_task_that_a_fit_does_not_have_may_have_a_weight(tmp_path: Path) -> None:
    config = small()
    assert "conversion" in config.task_weights
    made = AnchoredQFormer(config)
    made.fit(people(30, 0), people(12, 1), TASKS[:1], RunContext(seed=0, folder=tmp_path))
    assert made.predict(people(4, 2).without_labels(), TASKS[:1])["dx3"].probabilities.shape == (
        4,
        3,
    )
