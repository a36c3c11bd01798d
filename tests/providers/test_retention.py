"""How long details are kept: read from a manifest, within the limits, counted by the calendar."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.manifest import ManifestError, manifests, parse_manifest
from providers.retention import Retention, RetentionInvalid
from tests.conftest import REPOSITORY

MOMENT = datetime(2027, 8, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("P6M", "2027-02-28"),
        ("P1Y", "2026-08-31"),
        ("P18M", "2026-02-28"),
        ("P1Y6M", "2026-02-28"),
        ("P3Y", "2024-08-31"),
        ("P200D", "2027-02-12"),
        ("P1Y6M1D", "2026-02-27"),
        ("P42M", None),
        ("P3Y1D", None),
        ("P5M", None),
        ("P180D", None),
        ("P1096D", None),
    ],
)
def test_between_six_months_and_three_years_by_the_calendar(text: str, before: str | None) -> None:
    if before is None:
        with pytest.raises(RetentionInvalid, match="between P6M and P3Y"):
            Retention.parse(text)
        return
    assert Retention.parse(text).before(MOMENT) == datetime.fromisoformat(f"{before}T23:59:59Z")


@pytest.mark.parametrize(
    "text", ["", "P", "1Y", "P1", "P1W", "P0Y", "P01Y", "PT1H", "P1M1Y", "P1Y ", "P1.5Y", "p1y", None, 365]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(RetentionInvalid, match="ISO 8601"):
        Retention.parse(text)


@given(st.text("PYMDW0123456789T.- \u0661", max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        parsed = Retention.parse(text)
    except RetentionInvalid:
        return
    assert parsed.text == text
    assert 180 <= (MOMENT - parsed.before(MOMENT)).days <= 1_097


@pytest.mark.parametrize(
    "wrong", ["", 'retention = "P1M"', 'retention = "P10Y"', "retention = 365", 'retention = "a year"']
)
def test_a_manifest_without_a_right_retention_is_named_by_file_and_key(wrong: str) -> None:
    content = (REPOSITORY / "providers/manifests/quotient_familial.toml").read_text()
    assert 'retention = "P1Y"' in content
    with pytest.raises(ManifestError, match=r"^q\.toml: retention"):
        parse_manifest(content.replace('retention = "P1Y"', wrong), name="q.toml")


def test_every_dataset_says_how_long() -> None:
    assert {manifest.retention.text for manifest in manifests().values()} == {"P1Y"}
