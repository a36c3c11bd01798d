"""The machine's Chromium: where it is, or why a test cannot run."""

import shutil

from tests.conftest import skip_unless_ci

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Debian's build without a desktop first: the same pages with a quarter of the work."""


def chromium_path() -> str:
    """The path of Chromium; skips with a reason where there is none, fails in CI."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    skip_unless_ci("no Chromium on this machine: install it (Debian: apt install chromium-headless-shell)")
    raise AssertionError
