"""The report in a real browser: no sideways scroll, nothing fetched, both themes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
# Headless windows are never narrower than 500 pixels, so the page stands in a frame of the width.
# Every section is unfolded, for a folded table has no width.
PROBE = """<script>
document.querySelectorAll("details").forEach(d => d.open = true);
const small = [...document.querySelectorAll("svg text")].map(t => t.getBoundingClientRect().height)
  .filter(h => h > 0);  // of two forest plots one is hidden
parent.postMessage([document.documentElement.scrollWidth, innerWidth,
  getComputedStyle(document.body).backgroundColor, performance.getEntriesByType("resource").length,
  Math.min(...small)].join("|"), "*");
</script></body>"""
FRAME = """<script>onmessage = e => document.title = "found " + e.data</script>
<iframe src="inner.html" width="{width}" height="800" style="border:0"></iframe>"""

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of a classification and of a regression."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    workspace = tmp_path_factory.mktemp("report")
    fixture = REPOSITORY / "tests" / "app" / "board_fixture.py"
    subprocess.run([sys.executable, str(fixture), str(workspace)], check=True)
    for task in ("ad_cn", "brain_age"):
        command = [sys.executable, "-m", "benchmark.cli", "report", "--task", task]
        subprocess.run([*command, "--cohort", "phantom-memory"], cwd=workspace, check=True)
    return workspace / "reports"


def measure(page: Path, folder: Path, width: int, *flags: str) -> list[str]:
    """Scroll width, width, background, number of fetched resources and the smallest text."""
    text = page.read_text().replace("</body>", PROBE)
    (folder / "inner.html").write_text(text)
    (folder / "outer.html").write_text(FRAME.format(width=width))
    command = [CHROMIUM, *FLAGS, *flags, "--virtual-time-budget=3000", "--window-size=1400,900"]
    command += [f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{folder / 'outer.html'}"],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    found = re.search(r"<title>found ([^<]*)</title>", done.stdout)
    assert found, done.stdout[:500] + done.stderr[-500:]
    return found[1].split("|")


@pytest.mark.parametrize("task", ["ad_cn", "brain_age"])
@pytest.mark.parametrize("width", [390, 700, 1280])
def test_nothing_sticks_out_and_nothing_is_fetched(pages, tmp_path, task, width):
    page = pages / f"phantom-memory-{task}.html"
    scroll, inner, _, fetched, smallest = measure(page, tmp_path, width)
    assert int(scroll) <= int(inner) == width
    assert fetched == "0"
    assert float(smallest) > 8


def test_a_dark_theme_turns_the_page_dark(pages, tmp_path):
    page = pages / "phantom-memory-ad_cn.html"
    light = measure(page, tmp_path, 1280)[2]
    dark = measure(page, tmp_path, 1280, "--force-dark-mode")[2]
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 23, 26)")
