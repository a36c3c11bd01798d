"""What may come back from a holder: what goes wrong on the wire, and whatever else there is."""

import json
from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import strategies as st

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

TROUBLES = (
    ("refused", "holder_unreachable"),
    ("reset", "holder_unreachable"),
    ("silent", "holder_timeout"),
    ("drip", "holder_timeout"),
    ("garbage", "holder_answer_invalid"),
    ("huge", "holder_answer_invalid"),
    ("busy", "holder_busy"),
    ("unauthorized", "holder_refused_access"),
)
"""Behaviours of a :class:`tests.hostile_holder.HostileHolder`, each with its error, whatever is asked."""

STATUSES = st.integers(100, 599)


def values(names: Sequence[str]) -> st.SearchStrategy[Json]:
    """Small JSON values whose objects have some of these names."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4),
        max_leaves=12,
    )


def bodies(names: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Any bytes, and those values."""
    return st.binary(max_size=60) | values(names).map(lambda value: json.dumps(value).encode())
