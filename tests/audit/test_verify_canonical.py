"""Reading many canonical texts at once says of each what reading it alone says."""

import json
from collections.abc import Sequence

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.replay.canonical import Canonical, Parsed

TOKEN = "7d0c0f7d0c0f7d0c"

_VALUES = st.one_of(
    st.text(max_size=9), st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.lists(st.text(max_size=4), max_size=3)
)
_OBJECTS = st.dictionaries(st.text("abcz_", min_size=1, max_size=4), _VALUES, max_size=5)
_CANONICAL = _OBJECTS.map(rfc8785.dumps)
_NEARLY = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(),
    _OBJECTS,
    st.sampled_from([None, 1]),
    st.booleans(),
)
_WRONG = st.sampled_from(
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"x"',
        b'{"a":1},{"b":2}',
        b'{"x":[{"c":3}',
        b'{"d":4}]}',
        b'{"a":1',
        b'"b":2}',
        b'{"a":-0}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":2}',
        b'{"a":1 }',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\x01"}',
        b'{"a":{"b":1,"b":1}}',
        b"[" * 100_000,
        b'{"a":' + b"9" * 5_000 + b"}",
    ]
)


def alone(text: bytes) -> Parsed:
    """By another implementation of RFC 8785 and by Python's own reader."""
    try:
        value = json.loads(text.decode(), parse_float=_no, parse_constant=_no, parse_int=_int)
    except (ValueError, RecursionError):
        return "it is not JSON"
    if type(value) is not dict:
        return "it is not a JSON object"
    try:
        same = rfc8785.dumps(value) == text
    except (rfc8785.CanonicalizationError, UnicodeError):
        same = False
    return value if same else "it is not canonical JSON"


def _no(number: str) -> object:
    raise ValueError(number)


def _int(number: str) -> int:
    return int(number) if number != "-0" else int("no")


@settings(deadline=None)  # a hundred thousand brackets, on a busy machine
@given(st.lists(st.one_of(_CANONICAL, _NEARLY, _WRONG), max_size=8))
def test_each_text_is_read_as_it_is_alone(texts: Sequence[bytes]) -> None:
    assert list(Canonical(TOKEN).read(texts)) == [alone(text) for text in texts]


@given(st.lists(_CANONICAL, min_size=1, max_size=8))
def test_canonical_texts_are_read_as_what_they_say(texts: Sequence[bytes]) -> None:
    assert list(Canonical(TOKEN).read(texts)) == [json.loads(text) for text in texts]


@pytest.mark.parametrize(
    "texts",
    [
        [b'{"a":1},{"b":2}', b'{"x":[{"c":3}', b'{"d":4}]}'],
        [b'{"a":1', b'"b":2}', b'{"c":3},{"d":4}'],
        [b'{"a":1}', b""],
        [f'{{"a":1}},"{TOKEN}",{{"b":1}}'.encode(), b'{"c":[1', b"2]}"],
    ],
)
def test_texts_that_together_look_like_others_are_not_taken_for_them(texts: Sequence[bytes]) -> None:
    assert any(isinstance(one, str) for one in Canonical(TOKEN).read(texts))
    assert list(Canonical("another").read(texts)) == [alone(text) for text in texts]
