"""The house: names that nobody else may offer, and files that stay readable."""

from importlib import metadata

from tests.conftest import REPOSITORY

PACKAGES = ("exchange", "consent", "providers", "audit", "openapi", "sandbox")


def test_no_other_distribution_offers_one_of_our_top_level_names() -> None:
    offered = metadata.packages_distributions()
    for package in PACKAGES:
        assert set(offered.get(package, ["accord"])) == {"accord"}, package


def test_no_file_holds_two_things() -> None:
    for package in PACKAGES:
        for file in (REPOSITORY / package).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 400, file
