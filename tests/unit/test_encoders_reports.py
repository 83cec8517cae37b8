"""Reports as features: sentences, their mean, and what is refused."""

from __future__ import annotations

import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from benchmark.encoders import FeatureStore, ReportFeatures, frozen_features, sentences
from benchmark.encoders.reports import _loaded
from benchmark.encoders.text_files import minilm_folder
from benchmark.errors import MethodError


def test_sentences_end_where_a_space_follows() -> None:
    assert sentences(" One. Scored 27.5 of 30? Yes!  Done ") == [
        "One.",
        "Scored 27.5 of 30?",
        "Yes!",
        "Done",
    ]
    assert sentences("  ") == []


def test_a_report_is_the_mean_of_its_sentences() -> None:
    features = ReportFeatures(FeatureStore(), layers=1, max_tokens=128)
    a, b, both, none = features(["Low mood.", "No falls.", "Low mood. No falls.", " "])
    assert both.shape == (features.width,)
    np.testing.assert_allclose(both, (a + b) / 2, rtol=1e-5)
    assert not none.any()


def test_a_whole_report_is_encoded_at_once() -> None:
    text, store = "Low mood. No falls.", FeatureStore()
    found = ReportFeatures(store, layers=1, unit="report")([text])
    encoder, identity = _loaded("", 1, 256)
    expected = frozen_features(encoder, [text], store, identity, lambda s: [s])[0].pooled
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize(("pooling", "place"), [("first", 0), ("last", -1)])
def test_one_token_of_each_sentence_may_be_read(pooling: str, place: int) -> None:
    store = FeatureStore()
    found = ReportFeatures(store, layers=1, pooling=pooling)(["Low mood. No falls at all."])
    encoder, identity = _loaded("", 1, 256)
    units = frozen_features(
        encoder, ["Low mood.", "No falls at all."], store, identity, lambda s: [s]
    )
    expected = np.mean([unit.tokens[0, place].numpy() for unit in units], axis=0)
    np.testing.assert_array_equal(found[0], expected)
    whole = ReportFeatures(store, layers=1)(["Low mood. No falls at all."])
    assert not np.allclose(found, whole, atol=1e-3)


def test_a_unit_that_is_not_known_is_refused() -> None:
    with pytest.raises(MethodError, match="unit: expected one of sentence, report, got 'word'"):
        ReportFeatures(FeatureStore(), unit="word")
    with pytest.raises(MethodError, match="pooling: expected one of mean, first, last, got 'max'"):
        ReportFeatures(FeatureStore(), pooling="max")


def test_weights_that_change_in_place_are_read_anew(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(minilm_folder(), tmp_path / "text"))
    read = functools.partial(ReportFeatures, folder=str(folder), layers=1)
    first = read(FeatureStore())(["Low mood."])
    kept = _loaded(str(folder), 1, 256)
    assert _loaded(str(folder), 1, 256) is kept, "files that stay are loaded once"
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({name: 2 * w for name, w in weights.items()}, file, metadata={"format": "pt"})
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000_000))
    second = read(FeatureStore())(["Low mood."])
    assert not np.allclose(first, second, atol=1e-3)
    assert _loaded(str(folder), 1, 256)[1] != kept[1]


def test_a_tokenizer_that_changes_in_place_has_features_of_its_own(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(minilm_folder(), tmp_path / "text"))
    store = FeatureStore(tmp_path / "features")
    read = functools.partial(ReportFeatures, store, folder=str(folder), layers=1)
    first = read()(["Low mood."])
    kept = _loaded(str(folder), 1, 256)[1]
    file = folder / "tokenizer.json"
    facts = json.loads(file.read_text())
    words = facts["model"]["vocab"]
    words["low"], words["high"] = words["high"], words["low"]
    file.write_text(json.dumps(facts))
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000_000))
    assert _loaded(str(folder), 1, 256)[1] != kept
    assert not np.allclose(read()(["Low mood."]), first, atol=1e-3)
