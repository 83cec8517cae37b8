"""Readers of arrays and genotypes: columns, who has them, and what the encoder gets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.encoders import (
    GeneticsEncoder,
    GenotypeReader,
    SeriesReader,
    TimeSeriesEncoder,
    count_snps,
)
from benchmark.samples import LazyRows, Samples


def people(*, snps: bool = True, apoe: bool = True) -> Samples:
    """Three people; the second has no scan, the third no genotypes."""
    g = np.random.default_rng(0)
    series = g.normal(size=(3, 12, 4)).astype(np.float32)
    dosages = np.array([[0, 1], [2, -1], [0, 0]], dtype=np.int8)
    arrays = {"fmri": LazyRows([series], np.zeros(3, dtype=int), np.array([0, -1, 2]))}
    if snps:
        arrays["snps"] = LazyRows([dosages], np.zeros(3, dtype=int), np.array([0, 1, -1]))
    tables = {"genetic": pd.DataFrame({"apoe_e4": [1.0, np.nan, np.nan]})} if apoe else {}
    return Samples(n=3, arrays=arrays, tables=tables, names={"snps": ["rs1", "rs2"]})


def test_series_stay_lazy_and_are_encoded_as_the_encoder_does() -> None:
    torch.manual_seed(0)
    reader = SeriesReader(TimeSeriesEncoder(4, width=8, heads=2)).eval()
    columns = reader.columns(people())
    assert isinstance(columns["fmri"], LazyRows)
    assert reader.there(columns).tolist() == [True, False, True]
    x = torch.randn(2, 12, 4)
    with torch.no_grad():
        tokens, pooled, mask = reader.encoder(x)
        assert torch.equal(reader.encode({"fmri": x}), pooled)
        embedded = reader.embed({"fmri": x})
        assert torch.equal(embedded[1], mask)
        assert torch.equal(reader.encoder.run_blocks(*embedded), tokens)
    assert reader.width == 8
    assert reader.reads == ("fmri",)
    assert {id(p) for p in reader.learned()} == {id(p) for p in reader.encoder.parameters()}


def test_genotypes_are_dosages_with_apoe_last_and_gaps() -> None:
    reader = GenotypeReader(GeneticsEncoder(2, width=8, heads=2))
    columns = reader.columns(people())
    nan = np.nan
    expected = np.array([[0, 1, 1], [2, nan, nan], [nan, nan, nan]], dtype=np.float32)
    np.testing.assert_array_equal(columns["dosages"], expected)
    assert columns["dosages"].dtype == np.float32
    assert reader.there(columns).tolist() == [True, True, False]
    reader.measure(columns)
    assert reader.encoder.mean_dosage.tolist() == [1, 1]
    without = reader.columns(people(apoe=False))["dosages"]
    np.testing.assert_array_equal(without[:, :2], expected[:, :2])
    assert np.isnan(without[:, 2]).all()


@pytest.mark.parametrize(
    ("snps", "apoe", "count"), [(True, True, 2), (True, False, 2), (False, True, 0)]
)
def test_snps_are_counted_without_apoe(snps: bool, apoe: bool, count: int) -> None:
    samples = people(snps=snps, apoe=apoe)
    assert count_snps(samples) == count
    columns = GenotypeReader(GeneticsEncoder(count, width=8, heads=2)).columns(samples)
    assert columns["dosages"].shape == (3, count + 1)


def test_without_genotypes_there_is_no_count() -> None:
    assert count_snps(people(snps=False, apoe=False)) is None
