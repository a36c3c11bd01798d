"""``authorization_details`` (RFC 9396): from a client's JSON to checked :class:`Detail` values, and their storage form.

The parser reads hostile text and raises :class:`OAuthError` with ``invalid_authorization_details``, nothing else. A
member it does not know is refused rather than passed over: a limit the client set must not be lost.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

from consent.errors import OAuthError
from consent.model import DETAIL_TYPE_PREFIX, MAX_PER_DAY, AccessMode, Client, Detail, FieldNotice
from consent.ports import Catalogue
from openapi.fields import InvalidValue, Siret, siret
from openapi.rules import (
    LARGEST,
    MAX_CUTS,
    MAX_RULES,
    MEMBERS,
    OLDEST,
    RULE_NAME,
    Rule,
    RuleKind,
    check_together,
    rule_from_claim,
)

MAX_LENGTH = 4096
"""Characters of the JSON text; what is granted must fit in a token."""
MAX_DETAILS = 5
MAX_FIELDS = 64

Members: TypeAlias = Mapping[str, object]
_Value = TypeVar("_Value")

_REQUIRED = frozenset({"type", "datatypes", "purpose", "recipient"})
_KNOWN = _REQUIRED | {"derived", "access", "max_per_day", "expires_at", "retention"}
_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_RETENTION = re.compile(r"P[1-9][0-9]{0,3}[DWMY]\Z")
_ACCESS_MODES = ("once", "recurring")
_LATEST = 253_402_300_799
"""The last second of the year 9999, which dates can still express."""


def parse_details(text: str, *, client: Client, catalogue: Catalogue, now: int) -> tuple[Detail, ...]:
    """What ``client`` asks for, one detail per dataset, each well-formed and about things in the catalogue.

    Whether the client may ask for it is the registry's to decide.
    """
    details = tuple(
        _detail(members, client=client, catalogue=catalogue, now=now, place=place)
        for place, members in enumerate(_objects(text))
    )
    if len({detail.dataset for detail in details}) != len(details):
        _refuse("type", "each dataset at most once")
    return details


_FITTING: Mapping[RuleKind, frozenset[str]] = {
    "bracket": frozenset({"integer", "number"}),
    "at_most": frozenset({"integer", "number"}),
    "at_least": frozenset({"integer", "number"}),
    "is_present": frozenset({"string", "date", "integer", "number", "boolean"}),
    "count": frozenset({"date"}),
}
"""Over fields of which types each kind of rule may be."""


def schema_of(dataset: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a detail about one dataset, saying what :func:`parse_details` accepts.

    ``fields``: the type of each by its name. What no schema can say (whose SIRET, which purposes, the future, bounds
    that rise, what the rules tell together) is the registry's, the clock's, and :mod:`openapi.rules`'.
    """
    rules = [_rule_schema(kind, fields) for kind in MEMBERS if not _FITTING[kind].isdisjoint(fields.values())]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": sorted(_REQUIRED),
        "additionalProperties": False,
        "anyOf": [{"properties": {"datatypes": {"minItems": 1}}}, {"required": ["derived"]}],
        "properties": {
            "type": {"const": DETAIL_TYPE_PREFIX + dataset},
            "datatypes": {
                "type": "array",
                "items": {"enum": list(fields)},
                "maxItems": MAX_FIELDS,
                "uniqueItems": True,
            },
            "derived": {"type": "array", "items": {"oneOf": rules}, "minItems": 1, "maxItems": MAX_RULES},
            "purpose": {"type": "string", "pattern": _anchored(_PURPOSE)},
            "recipient": {"type": "string", "pattern": "^[0-9]{14}$"},
            "access": {"enum": list(_ACCESS_MODES), "default": "once"},
            "max_per_day": {"type": "integer", "minimum": 1, "maximum": MAX_PER_DAY},
            "expires_at": {"type": "integer", "minimum": 1, "maximum": _LATEST},
            "retention": {"type": "string", "pattern": _anchored(_RETENTION)},
        },
    }


def _rule_schema(kind: RuleKind, fields: Mapping[str, str]) -> dict[str, Any]:
    number = {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}
    members: Mapping[str, dict[str, Any]] = {
        "bounds": {"type": "array", "items": number, "minItems": 1, "maxItems": MAX_CUTS, "uniqueItems": True},
        "value": number,
        "under_years": {"type": "integer", "minimum": 1, "maximum": OLDEST},
    }
    properties = {
        "name": {"type": "string", "pattern": _anchored(RULE_NAME), "not": {"enum": list(fields)}},
        "rule": {"const": kind},
        "field": {"enum": [name for name, of_type in fields.items() if of_type in _FITTING[kind]]},
    }
    if (member := MEMBERS[kind]) is not None:
        properties[member] = members[member]
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _anchored(pattern: re.Pattern[str]) -> str:
    """JSON Schema searches where :meth:`re.Pattern.match` begins at the beginning."""
    return "^" + pattern.pattern.replace(r"\Z", "$")


def to_claims(details: Sequence[Detail]) -> list[dict[str, object]]:
    """The details as a token carries them and the database stores them."""
    return [detail.to_claim() for detail in details]


def from_claims(claims: Sequence[Members]) -> tuple[Detail, ...]:
    """The inverse of :func:`to_claims`, for what we wrote ourselves."""
    return tuple(
        Detail(
            dataset=cast("str", claim["type"]).removeprefix(DETAIL_TYPE_PREFIX),
            fields=tuple(cast("list[str]", claim["datatypes"])),
            purpose=cast("str", claim["purpose"]),
            recipient=Siret(cast("str", claim["recipient"])),
            access=cast("AccessMode", claim["access"]),
            max_per_day=cast("int | None", claim.get("max_per_day")),
            expires_at=cast("int | None", claim.get("expires_at")),
            retention=cast("str | None", claim.get("retention")),
            rules=tuple(rule_from_claim(rule) for rule in cast("list[object]", claim.get("derived", []))),
        )
        for claim in claims
    )


def _objects(text: str) -> list[Members]:
    if len(text) > MAX_LENGTH:
        _refuse("authorization_details", f"at most {MAX_LENGTH} characters")
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_not_json)
    except (ValueError, RecursionError):
        _refuse("authorization_details", "JSON without repeated members")
    if not isinstance(value, list) or not 0 < len(value) <= MAX_DETAILS:
        _refuse("authorization_details", f"an array of 1 to {MAX_DETAILS} objects")
    if not all(isinstance(members, dict) for members in value):
        _refuse("authorization_details", "an array of objects")
    return value


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Readers of JSON differ on which of two equal members counts: there must not be two."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


def _not_json(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _detail(members: Members, *, client: Client, catalogue: Catalogue, now: int, place: int) -> Detail:
    if not members.keys() >= _REQUIRED:
        _refuse(f"[{place}]", "type, datatypes, purpose and recipient are required")
    if not members.keys() <= _KNOWN:
        _refuse(f"[{place}]", f"no other members than {', '.join(sorted(_KNOWN))}")
    dataset, offered = _dataset(members["type"], catalogue)
    fields = _fields(members["datatypes"], offered, least=0 if "derived" in members else 1)
    return Detail(
        dataset=dataset,
        fields=fields,
        rules=_rules(members["derived"], fields, offered) if "derived" in members else (),
        purpose=_purpose(members["purpose"]),
        recipient=_recipient(members["recipient"], client),
        access=_access(members.get("access", "once")),
        max_per_day=_optional(members, "max_per_day", _max_per_day),
        expires_at=_optional(members, "expires_at", lambda value: _expiry(value, now)),
        retention=_optional(members, "retention", _retention),
    )


def _dataset(value: object, catalogue: Catalogue) -> tuple[str, Mapping[str, FieldNotice]]:
    known = isinstance(value, str) and value.startswith(DETAIL_TYPE_PREFIX)
    dataset = str(value).removeprefix(DETAIL_TYPE_PREFIX)
    notice = catalogue.notice(dataset) if known else None
    if notice is None:
        _refuse("type", f"{DETAIL_TYPE_PREFIX} and a dataset listed at /v1/datasets")
    return dataset, notice.fields


def _fields(value: object, offered: Mapping[str, object], *, least: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not least <= len(value) <= MAX_FIELDS:
        _refuse("datatypes", f"an array of {least} to {MAX_FIELDS} field names")
    if not all(isinstance(name, str) and name in offered for name in value):
        _refuse("datatypes", "fields of the dataset, listed at /v1/datasets")
    if len(set(value)) != len(value):
        _refuse("datatypes", "each field at most once")
    return tuple(value)


def _rules(value: object, fields: Sequence[str], offered: Mapping[str, FieldNotice]) -> tuple[Rule, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_RULES:
        _refuse("derived", f"an array of 1 to {MAX_RULES} rules")
    try:
        rules = tuple(map(rule_from_claim, value))
        check_together(rules, fields)
    except InvalidValue as error:
        _refuse(error.field, error.expected)
    for rule in rules:
        _check_fit(rule, offered)
    return rules


def _check_fit(rule: Rule, offered: Mapping[str, FieldNotice]) -> None:
    field = offered.get(rule.field)
    if field is None:
        _refuse("field", "a field of the dataset, listed at /v1/datasets")
    if field.type not in _FITTING[rule.kind]:
        _refuse("field", f"for {rule.kind}, a field of type {' or '.join(sorted(_FITTING[rule.kind]))}")
    if rule.name in offered:
        _refuse("name", "not the name of a field")


def _purpose(value: object) -> str:
    if not isinstance(value, str) or not _PURPOSE.match(value):
        _refuse("purpose", "the code of a purpose of the habilitation")
    return value


def _recipient(value: object, client: Client) -> Siret:
    try:
        recipient = siret(value, field="recipient")
    except InvalidValue as error:
        _refuse(error.field, error.expected)
    if recipient != client.organisation:
        _refuse("recipient", "the SIRET of the organisation that registered the application")
    return recipient


def _access(value: object) -> AccessMode:
    if value not in _ACCESS_MODES:
        _refuse("access", "once or recurring")
    return cast("AccessMode", value)


def _max_per_day(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_PER_DAY:
        _refuse("max_per_day", f"a whole number, 1 to {MAX_PER_DAY}")
    return value


def _optional(members: Members, name: str, check: Callable[[object], _Value]) -> _Value | None:
    return check(members[name]) if name in members else None


def _expiry(value: object, now: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not now < value <= _LATEST:
        _refuse("expires_at", "a Unix time in the future, in whole seconds")
    return value


def _retention(value: object) -> str:
    if not isinstance(value, str) or not _RETENTION.match(value):
        _refuse("retention", "a duration such as P90D, P6M or P1Y")
    return value


def _refuse(member: str, expected: str) -> NoReturn:
    raise OAuthError("invalid_authorization_details", f"{member}: {expected}")
