"""Everything that is known of a dataset, as values. Pure.

``manifest.py`` reads them from TOML; masks, the consent screen, the catalogue, the adapter and the sandbox derive from
them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Literal, TypeAlias, get_args

from providers.retention import Retention

FieldType: TypeAlias = Literal["string", "date", "integer", "number", "boolean"]
"""``date`` is ``YYYY-MM-DD``, with ``00`` for a month or day that the holder does not know."""
About: TypeAlias = Literal["citizen", "child", "company"]
Subject: TypeAlias = Literal["citizen", "company"]
Labels: TypeAlias = Mapping[str, str]
IdentityPart: TypeAlias = Literal[
    "family_name", "preferred_username", "given_names", "birthdate", "gender", "birthcountry", "birthplace"
]
"""A member of :class:`openapi.fields.PivotIdentity`."""

IDENTITY_PARTS: tuple[IdentityPart, ...] = get_args(IdentityPart)
CONFIRMING: tuple[IdentityPart, ...] = ("family_name", "given_names", "birthdate")
"""Parts of an identity that an answer can be held against."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "date": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
"""What JSON's values of each type are, exactly: a bool is an int to Python and not to JSON."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``path`` is its way in the holder's ``data``; lists are crossed."""

    path: str
    type: FieldType
    nullable: bool
    label: Labels
    about: About = "citizen"
    """Whom it says something about: the citizen who agrees, or a child of hers."""
    many: bool = False
    """Whether it is a list of such values."""
    example: object = None
    """A value as the holder gives it, about nobody: what the sandbox answers."""

    def fits(self, value: object) -> bool:
        """Whether ``value`` is one of the announced type, a list left aside."""
        if type(value) not in PYTHON_TYPES[self.type]:
            return False
        return self.type != "date" or _DATE.fullmatch(str(value)) is not None


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the holder has to be told besides who it is about; ``name`` is the holder's own.

    It fills the placeholder of its name in the path, or is a query parameter. ``pattern`` is matched whole. A name that
    ends with ``[]`` is a list, which callers write with commas.
    """

    name: str
    pattern: re.Pattern[str]
    required: bool
    label: Labels
    personal: bool = True
    """Whether it says something of a person: then it is taken from a request's body alone, never from a URL."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A number by which the holder is asked too, at the path beside the manifest's own that ends with its name."""

    parameter: Parameter
    confirms: Mapping[IdentityPart, str]
    """Fields of the answer that must agree with the citizen's identity where the access rests on her agreement."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the holder allows us: ``requests`` in ``seconds``, shared by the datasets of the same ``group``."""

    requests: int | None = None
    seconds: int = 60
    group: str | None = None
    """None: this dataset's own."""
    max_in_flight: int = 32
    """Calls for this dataset under way at once, so that one slow dataset does not take all of a holder's."""


@dataclass(frozen=True, slots=True)
class Window:
    """When the holder is known to be away, in the time of Paris; ``until`` before ``start`` is on the next day."""

    days: frozenset[int]
    """0 is Monday."""
    start: time
    until: time


@dataclass(frozen=True, slots=True)
class Manifest:
    """One dataset. ``holder`` names the configured holder that is called, ``provider`` whose data it is, in words."""

    dataset: str
    title: Labels
    holder: str
    provider: Labels
    subject: Subject
    legal_basis: str
    retention: Retention
    """How long the log keeps the details of accesses to it."""
    path: str
    """Below the holder's base URL; ``{siren}``, ``{siret}`` and the names of parameters in it are filled."""
    scopes: tuple[str, ...]
    fields: Mapping[str, Field]
    adapter: str = ""
    """Who speaks to the holder; the holder's own when there is one of its name."""
    identity: tuple[IdentityPart, ...] = IDENTITY_PARTS
    """What the holder is told of who the citizen is, and no more."""
    given_names: int = 3
    """How many of her given names, at most."""
    confirms: Mapping[IdentityPart, str] = field(default_factory=dict)
    """Fields of the answer that must agree with the citizen's identity: for a question that names her otherwise."""
    identifiers: Mapping[str, Identifier] = field(default_factory=dict)
    """By name: asked by through the drop-in door alone, where applications know her by one."""
    items: str | None = None
    """Where the holder's ``data`` is a list of ``{data, links, meta}``: the name under which its fields stand here."""
    opens: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By scope, the fields that it opens, or the objects that hold them. What several scopes name needs them all; so
    does, of a dataset with several scopes, a field that none of them names."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    limits: Limits = Limits()
    maintenance: tuple[Window, ...] = ()
    cache_seconds: int = 0
    """How long an answer may be kept, encrypted; 0 is never."""
    franceconnect_token: bool = False
    """Whether the holder identifies the citizen by her own FranceConnect token, which the caller sends along."""
    links: frozenset[str] = frozenset()
    meta: frozenset[str] = frozenset()
    """Those of the holder's ``links`` and ``meta`` that go with an answer."""
