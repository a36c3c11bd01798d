"""What an export holds: its columns, in their order, once. Pure; imports nothing, so that a verifier may import it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

ColumnType: TypeAlias = Literal["integer", "text", "texts", "time", "object"]
Value: TypeAlias = int | str | list[str] | None
Format: TypeAlias = Literal["csv", "jsonl", "parquet"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``time``: RFC 3339, UTC, milliseconds; ``texts``: a list; ``object``: JSON, in JSON Lines alone."""

    name: str
    type: ColumnType
    meaning: str


ENTRY_COLUMNS = (
    Column("index", "integer", "place of the entry in the log, from 0; its inclusion proof is asked for by it"),
    Column("time", "time", "when it happened, UTC"),
    Column("kind", "text", "what happened: access, refusal, failure, grant.given, keys.rotated, ..."),
    Column("outcome", "text", "ok, or the slug of the problem"),
    Column("dataset", "text", "what was asked for; several are separated by commas"),
    Column(
        "fields", "texts", "names of the fields that left, were asked for or were answered about; never their values"
    ),
    Column("rules", "texts", "rules that were answered: of the fields in them the answer left, and not the value"),
    Column("recipient", "text", "SIRET of the organisation that the data is for"),
    Column("delegate", "text", "SIRET of the organisation that acts for the recipient"),
    Column("client", "text", "identifier of the recipient's application"),
    Column("purpose", "text", "what the data is for, as the person was told"),
    Column("legal_basis", "text", "legal basis of the exchange"),
    Column(
        "rests_on", "text", "on what the access rests, where not on an authorisation given here: company, agent, ..."
    ),
    Column("bundle", "text", "the bundle of datasets about one company that this access is part of"),
    Column("provider", "text", "holder of the data"),
    Column("reader", "text", "keyed pseudonym of the auditor or operator who read the log"),
    Column("act", "text", "what she did with it: search, entry, export, ..."),
    Column("filter", "text", "what she asked for, without whom"),
    Column("ground", "text", "why she looked one person up"),
    Column("case", "text", "reference of the file that asked for it"),
    Column("request_id", "text", "identifier of the request, as its answer carries it"),
    Column("sealed", "text", "SHA-256 of salt and detail, in hexadecimal; stays once the detail is erased"),
)
"""For everyone who may read the entries."""

DETAIL_COLUMNS = (
    Column("citizen", "text", "keyed pseudonym of the citizen"),
    Column("grant_id", "text", "the authorisation that was used"),
    Column("acr", "text", "level at which the citizen was identified (eIDAS)"),
    Column("access", "text", "how the citizen allowed it: once or continuous"),
    Column("duration_ms", "integer", "time until the entry, in milliseconds"),
    Column("habilitation", "text", "the recipient's habilitation that was relied on"),
    Column("company", "text", "keyed pseudonym of the company"),
)
"""For readers of sealed details alone. Empty once erased."""

LINE_COLUMNS = (
    Column("index", "integer", ENTRY_COLUMNS[0].meaning),
    Column("entry", "object", "the entry as it stands in the log: its RFC 8785 bytes are the leaf"),
)
"""Of JSON Lines."""

LINE_DETAIL_COLUMNS = (Column("detail", "object", "the sealed detail; empty once erased"),)

_DETAIL_NAMES = frozenset(column.name for column in DETAIL_COLUMNS)


def columns_of(export: Format, *, details: bool) -> tuple[Column, ...]:
    """The columns of an export, in their order."""
    entry, detail = (LINE_COLUMNS, LINE_DETAIL_COLUMNS) if export == "jsonl" else (ENTRY_COLUMNS, DETAIL_COLUMNS)
    return (*entry, *detail) if details else entry


def row(
    index: int, skeleton: Mapping[str, object], detail: Mapping[str, object], *, columns: Sequence[Column]
) -> list[Value]:
    """The values of a record. ``None``: the entry does not say."""
    return [
        index
        if column.name == "index"
        else _value(column, (detail if column.name in _DETAIL_NAMES else skeleton).get(column.name))
        for column in columns
    ]


def is_detail(name: str) -> bool:
    """Whether a name is one of the sealed part's."""
    return name in _DETAIL_NAMES


def _value(column: Column, value: object) -> Value:
    """What an entry holds under a column's name, in the column's type."""
    if value is None:
        return None
    if column.type == "texts":
        return [str(one) for one in value] if isinstance(value, list) else [str(value)]
    if column.type == "integer":
        return value if isinstance(value, int) else None
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return str(value)
