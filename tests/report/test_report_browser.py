"""The page in a browser: it opens without a word on the console, wide, narrow and dark, and is not blank."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def opened(page: Path, folder: Path, size: str = "1200,1600", *more: str) -> tuple[np.ndarray, list[str]]:
    """The screenshot, and the lines that the page left on the console."""
    assert CHROMIUM is not None
    shot = folder / "shot.png"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={size}", *more]
    done = subprocess.run(
        [*command, f"--screenshot={shot}", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return imread(shot)[..., :3], [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_an_error_on_the_console_would_be_seen(tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<!DOCTYPE html><script>missing()</script>")
    pixels, said = opened(page, tmp_path)
    assert any("missing is not defined" in line for line in said)
    assert pixels.std() == 0.0


@pytest.mark.parametrize("fixture", ["pigs_page", "hostile_page", "crossed_page"])
def test_a_page_opens_without_a_word_on_the_console(fixture, request, tmp_path):
    pixels, said = opened(request.getfixturevalue(fixture), tmp_path)
    assert said == []
    assert pixels.shape == (1600, 1200, 3)
    assert pixels.mean() > 0.8
    assert pixels.std() > 0.05


def test_a_page_is_dark_where_the_reader_wants_it_dark(pigs_page, tmp_path):
    pixels, said = opened(pigs_page, tmp_path, "1200,900", "--blink-settings=preferredColorScheme=0")
    assert said == []
    assert np.median(pixels) < 0.2
    assert pixels.std() > 0.05


def test_nothing_sticks_out_of_a_narrow_page(pigs_page, tmp_path):
    # a script in a copy says on the console how wide the content is; the page itself forbids scripts
    copy = tmp_path / "copy.html"
    text = pigs_page.read_text(encoding="utf-8").replace("Content-Security-Policy", "x-none")
    copy.write_text(
        text.replace("</body>", "<script>console.log(`w${document.body.scrollWidth}/${innerWidth}`)</script></body>"),
        encoding="utf-8",
    )
    _, said = opened(copy, tmp_path, "500,900")
    (line,) = said
    content, window = line.split('"')[1].removeprefix("w").split("/")
    assert int(content) <= int(window)
