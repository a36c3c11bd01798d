"""``docs/fapi2.md`` names every conformance module, and tests that exist."""

import re
from pathlib import Path

from tests.conftest import REPOSITORY

_ROW = re.compile(r"^\| (\w+) \| (passed: `(?P<test>[^`]+)`|not applicable: .+) \|$")


def _rows() -> dict[str, str | None]:
    lines = (REPOSITORY / "docs/fapi2.md").read_text().splitlines()
    found = [match for line in lines if (match := _ROW.match(line))]
    return {match[1]: match["test"] for match in found}


def test_every_module_of_the_suite_has_its_row(reference: Path) -> None:
    lines = (reference / "vectors/fapi2-final-module-list.txt").read_text().splitlines()
    names = [line.removeprefix("[MS] ").strip() for line in lines if line.strip() and not line.startswith("#")]
    assert list(_rows()) == names


def test_every_test_that_a_row_names_exists() -> None:
    for name, test in _rows().items():
        if test is not None:
            file, _, function = test.partition("::")
            assert f"def {function}(" in (REPOSITORY / file).read_text(), name
