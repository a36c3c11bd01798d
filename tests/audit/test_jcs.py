"""The reference data of RFC 8785 through the canonical JSON of entries.

Entries hold no numbers but integers, and no keys beyond ASCII: vectors with other numbers (``values``) or with keys
that sort otherwise in UTF-16 than in code points (``weird``) say nothing about entries and are counted apart.
"""

import json
from pathlib import Path

import pytest

from audit.entry import canonical

_BEYOND_ENTRIES = {"values.json", "weird.json"}


def test_the_rfcs_reference_data_is_written_as_it_says(reference: Path) -> None:
    vectors = json.loads((reference / "vectors/jcs-rfc8785.json").read_text())["vectors"]
    ours = [vector for vector in vectors if vector["name"] not in _BEYOND_ENTRIES]
    assert {vector["name"] for vector in vectors} >= _BEYOND_ENTRIES
    assert len(ours) >= 4
    for vector in ours:
        # 56.0 is 56 to the RFC, and to entries, which have integers alone.
        value = json.loads(vector["input_utf8"], parse_float=lambda text: int(float(text)))
        assert canonical({"x": value}).decode() == '{"x":' + vector["canonical_utf8"] + "}", vector["name"]


@pytest.mark.parametrize("value", [float("nan"), 2**64, {1: "a"}, b"bytes", {"a": {"set"}}])
def test_what_entries_never_hold_is_refused_or_never_written_otherwise(value: object) -> None:
    try:
        written = canonical({"x": value})
    except TypeError:
        return
    # orjson writes NaN as null, as JSON has none.
    assert written == b'{"x":null}'
