"""The leaderboard in a real browser, started by the documented command on a small board."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("app_browser.mjs")
CHROMIUM = "/usr/bin/chromium"
START_SECONDS = 90

pytestmark = pytest.mark.e2e


def _absent() -> str:
    """What is missing on this machine; empty where all is there."""
    folder = os.environ.get("NEURODX_PLAYWRIGHT", "")
    if not folder or not (Path(folder) / "node_modules" / "playwright-core").is_dir():
        return "NEURODX_PLAYWRIGHT names no folder in which `npm install playwright-core` was run"
    if not shutil.which("node"):
        return "node is not installed"
    return "" if Path(CHROMIUM).exists() else f"{CHROMIUM} is not installed"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app that runs on the fixture board."""
    if reason := _absent():
        pytest.skip(reason)
    workspace = tmp_path_factory.mktemp("workspace")
    fixture = REPOSITORY / "tests" / "app" / "board_fixture.py"
    subprocess.run([sys.executable, str(fixture), str(workspace)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmark.cli", "board", "--headless"]
    command += ["--port", str(port), "--board", str(workspace / "board")]
    with (workspace / "log").open("w") as log:
        app = subprocess.Popen(
            command, cwd=workspace, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_for(f"http://localhost:{port}/_stcore/health", app, workspace / "log")
            yield f"http://localhost:{port}"
        finally:
            os.killpg(app.pid, 15)
            app.wait(timeout=20)


def _wait_for(url: str, app: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert app.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the app did not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def seen(address: str) -> dict[str, dict[str, object]]:
    """What the browser saw, by scene; one browser serves all tests."""
    result = subprocess.run(
        ["node", str(DRIVER), address], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_table_is_there_with_ranks_and_tie_groups(seen):
    table = seen["first"]["table"]
    assert "Biomarkers, linear" in table
    assert "0.831" in table
    assert seen["first"]["firstLine"].startswith("SYNTHETIC")


def test_a_choice_updates_table_and_address_and_the_back_button_undoes_it(seen):
    assert "Oracle" in seen["filtered"]["table"]
    assert "cohort=phantom-memory" in seen["filtered"]["url"]
    assert seen["back"]["table"] == seen["first"]["table"]


def test_a_deep_link_opens_the_same_view(seen):
    deep = seen["deep"]
    assert "MAE (lower is better)" in deep["head"]
    assert "Chance" not in deep["table"]
    assert seen["card"]["heading"] == "3D ResNet"


def test_no_page_scrolls_sideways_on_a_phone(seen):
    for path, overflow in seen["phone"]["overflow"].items():
        assert overflow <= 0, path


def test_the_browser_reports_no_error_but_the_two_known_ones_and_stays_on_this_machine(seen):
    assert seen["errors"]["unknown"] == []
    assert seen["errors"]["outside"] == []


def test_charts_carry_a_description_and_text_contrasts_in_both_themes(seen):
    for theme in ("light", "dark"):
        assert seen[theme]["alt"].startswith("Forest plot of AUROC")
        assert seen[theme]["contrast"] >= 4.5
    assert seen["light"]["ground"] != seen["dark"]["ground"]
