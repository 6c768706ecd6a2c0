"""Pictures of pages, drawn by Chromium without a window."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def screenshot(page: Path, target: Path, width: int, height: int) -> bool:
    """Draw the head of a page, and return whether there is a browser to do it.

    Args:
        page: The page (.html).
        target: Picture to write (.png).
        width: Of the window, in pixels.
        height: Of the window, in pixels.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("Chromium is not installed: no pictures of reports.", file=sys.stderr)
        return False
    command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
    subprocess.run([*command, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True)
    return True
