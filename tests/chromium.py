"""The machine's Chromium: where it is, or why a test cannot run."""

import shutil

from tests.conftest import skip_unless_ci


def chromium_path() -> str:
    """The path of Chromium; skips with a reason where there is none, fails in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        skip_unless_ci("no Chromium on this machine: install it (Debian: apt install chromium)")
    return str(found)
