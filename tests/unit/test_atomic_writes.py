"""A reader sees the old file or the new one."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pandas as pd
import pytest

from benchmark.store.atomic import replace_file, write_json, write_parquet, write_text


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_half_way_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")

    def write_half() -> None:
        with replace_file(tmp_path / "a") as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert (tmp_path / "a").read_text() == "old"
    assert only(tmp_path) == ["a"]


def test_a_disk_that_fails_to_keep_the_bytes_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_json(tmp_path / "a.json", {"x": 1})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "a.json", {"x": 2})
    assert (tmp_path / "a.json").read_text() == '{\n "x": 1\n}\n'
    assert only(tmp_path) == ["a.json"]


def test_nan_is_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert only(tmp_path) == []


def test_a_table_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"]}, index=[7, 3])
    write_parquet(tmp_path / "1", frame)
    write_parquet(tmp_path / "2", frame.reset_index(drop=True))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_readers_never_see_a_mixture(tmp_path: Path) -> None:
    path = tmp_path / "a"
    texts = ["a" * 200_000, "b" * 200_000]
    write_text(path, texts[0])
    finished = threading.Event()

    def write() -> None:
        for k in range(40):
            write_text(path, texts[k % 2])
        finished.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not finished.is_set():
        seen.append(path.read_text())
    writer.join()
    assert set(seen) <= set(texts)
    assert only(tmp_path) == ["a"]
