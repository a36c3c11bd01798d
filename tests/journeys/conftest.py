"""What journeys have in common."""

from collections.abc import Iterator

import pytest

from tests.journeys.deployment import Deployment, deployed


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """As ``accord demo`` makes it, for every file that asks nothing else of it: what the others wrote is there too."""
    with deployed(tmp_path_factory.mktemp("world")) as running:
        yield running
