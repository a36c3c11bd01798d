"""Paths of tiles and bundles of entries, as C2SP tlog-tiles writes them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.layout import MAX_LEVEL, WIDTH, LayoutInvalid, TilePath, bundle_of, entries_of, tiles_of

LEVELS = st.one_of(st.integers(0, MAX_LEVEL), st.just("entries"))


def test_a_number_is_written_in_groups_of_three_digits() -> None:
    assert str(TilePath(0, 1234067)) == "tile/0/x001/x234/067"
    assert str(TilePath("entries", 5, 17)) == "tile/entries/005.p/17"


@given(LEVELS, st.integers(0, 2**55), st.integers(1, WIDTH))
def test_reading_and_writing_a_path_are_inverse(level, number, width):
    path = TilePath(level, number, width)
    assert TilePath.parse(str(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/1",
        "tile/0/x000/001",
        "tile/00/001",
        "tile/8/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000/",
        "tile/x/000",
        "tile/0/\u0660\u0660\u0660",
        "../tile/0/000",
    ],
)
def test_another_way_of_writing_it_is_refused(path: str) -> None:
    with pytest.raises(LayoutInvalid):
        TilePath.parse(path)


@given(st.text(max_size=80))
def test_no_path_does_worse_than_being_refused(path):
    with suppress(LayoutInvalid):
        TilePath.parse("tile/" + path)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_its_entries_back(entries):
    assert entries_of(bundle_of(entries), width=len(entries)) == entries


@given(st.binary(max_size=200), st.integers(0, 5))
def test_no_bundle_does_worse_than_being_refused(bundle, width):
    with suppress(LayoutInvalid):
        entries_of(bundle, width=width)


def test_a_log_has_these_tiles() -> None:
    paths = [str(path) for path in tiles_of(600)]
    assert paths == [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/88",
    ]
