"""API Particulier's paths on a real deployment: the State's fixtures, two municipal applications, every refusal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.dropin import IDENTITE, Town, params_of, town

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def here(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("dropin"), reference) as running:
        yield running


def test_every_identity_fixture_is_answered_as_it_says(here: Town) -> None:
    for name, family in here.families.items():
        if not name.startswith("civility__"):
            continue
        answer = here.get(IDENTITE, here.tokens["noethys"], params_of(family))
        assert answer.status_code == family.status, (name, answer.text)
        assert answer.json() == family.payload, name
