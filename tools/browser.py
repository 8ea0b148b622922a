"""Take a picture of an HTML page in a headless Chromium, for the documentation."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process

if TYPE_CHECKING:
    from collections.abc import Mapping

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1280, 860
_SECONDS = 120.0


def find_browser(env: Mapping[str, str]) -> Path | None:
    """Return the browser, None if none is installed."""
    found = next((path for name in BROWSERS if (path := shutil.which(name, path=env.get("PATH")))), None)
    return Path(found) if found else None


def take_picture(html: str, png: Path, *, env: Mapping[str, str]) -> bool:
    """Write what a browser shows of ``html`` to ``png``; return False, with nothing written, without a browser."""
    browser = find_browser(env)
    if browser is None:
        return False
    with tempfile.TemporaryDirectory(prefix="python-tsan-picture-") as folder:
        page, taken = Path(folder) / "page.html", Path(folder) / "page.png"
        page.write_text(html, encoding="utf-8")
        options = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        )
        size = f"--window-size={WIDTH},{HEIGHT}"
        process.run(
            [browser, *options, size, "--virtual-time-budget=10000", f"--screenshot={taken}", page.as_uri()],
            env=env,
            timeout=_SECONDS,
        )
        if taken.is_file():
            shutil.copyfile(taken, png)
        return taken.is_file()
