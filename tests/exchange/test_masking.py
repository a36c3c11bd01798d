"""Minimisation: nothing leaves that was not named."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from exchange.masking import apply_mask, compile_mask

_KEYS = st.sampled_from("abcd")
_RECORDS = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=12,
)
_PATHS = st.lists(st.lists(_KEYS, min_size=1, max_size=4).map(".".join), min_size=1, max_size=4)


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value is not None:
        yield path


def test_only_the_named_fields_leave() -> None:
    record = {"quotient_familial": {"valeur": 2550, "mois": 2}, "allocataires": [{"nom": "x", "sexe": "F"}]}
    mask = compile_mask(("quotient_familial.valeur", "allocataires.sexe"))
    assert apply_mask(mask, record) == {"quotient_familial": {"valeur": 2550}, "allocataires": [{"sexe": "F"}]}


def test_a_field_that_the_holder_left_out_stays_out() -> None:
    assert apply_mask(compile_mask(("a.b", "c")), {"a": {}}) == {"a": {}}


@given(st.dictionaries(_KEYS, _RECORDS, max_size=4), _PATHS)
def test_every_value_that_leaves_lies_under_a_named_path(record: dict[str, object], paths: list[str]) -> None:
    named = [tuple(path.split(".")) for path in paths]
    left = apply_mask(compile_mask(tuple(paths)), record)
    for leaf in _leaves(left):
        assert any(leaf[: len(path)] == path for path in named)


@given(st.dictionaries(_KEYS, _RECORDS, max_size=4), _PATHS)
def test_masking_twice_is_masking_once(record: dict[str, object], paths: list[str]) -> None:
    mask = compile_mask(tuple(paths))
    assert apply_mask(mask, apply_mask(mask, record)) == apply_mask(mask, record)
