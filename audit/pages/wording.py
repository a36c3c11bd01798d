"""Entries put into words: a row of the table, and the lines of one entry in full. Pure but for the port of names.

Codes stay beside their words wherever a search needs them: an auditor quotes codes in her report.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from audit.auditors import Auditor
from audit.filters import TERMS, names
from audit.model import ALREADY_SPENT, GRANT_CLOSED
from audit.pages.dates import Moment, edge, moment
from audit.pages.texts import named, say
from audit.patterns import grouped
from audit.ports import Names
from audit.query import AccessRecord
from openapi.problem import Language, problems
from openapi.rules import Rule, read_rules, sources

SEARCH = "/audit"
_SHOWN_FIELDS = 3
_MAX_FILTER = 40
"""Parameters of a filter that an entry names; it has seventeen at most."""
_TONES = {"access": "sent", "refusal": "refused", "failure": "failed"}
_OUTCOMES = {ALREADY_SPENT, GRANT_CLOSED}
_WRITTEN = {
    *("v", "kind", "time", "outcome", "sealed", "act", "reader", "role", "filter", "ground", "case", "fields", "rules")
}
"""Keys of an entry that its lines say in words of their own."""
_PARAMETERS = {key: name for name, key in TERMS.items()} | {"request_id": "request_id"}
"""Key of an entry -> parameter of a search."""
_SEALED_ORDER = {"citizen": 0, "grant_id": 1, "access": 2, "acr": 3, "habilitation": 4, "duration_ms": 5}
_ACT_FACTS = ("index", "before", "after", "format", "path")


@dataclass(frozen=True, slots=True)
class Value:
    """Something that an entry says, its code where it has one, and the search for all entries that say it."""

    text: str
    code: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an entry in full."""

    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as the table shows it. ``about``: what entries say that are not about an exchange.

    ``by``: who read the log, where the entry is about that.
    """

    index: int
    number: str
    at: Moment
    kind: str
    tone: str
    outcome: str
    organisation: Value | None
    delegate: Value | None
    application: str
    datasets: tuple[str, ...]
    fields: str
    more_fields: int
    purpose: str
    basis: str
    about: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Wording:
    """Turns codes into words. What nobody knows any more keeps its code."""

    names: Names
    language: Language
    reader: Auditor | None = field(default=None)
    """Whose own readings are said to be hers."""

    def row(self, record: AccessRecord) -> Row:
        """One entry of a search."""
        entry = record.skeleton
        kind = _text(entry, "kind")
        fields = self._fields(entry)
        return Row(
            index=record.index,
            number=grouped(record.index, self.language),
            at=moment(_text(entry, "time"), self.language),
            kind=self.value("kind", kind),
            tone=_TONES.get(kind, "event"),
            outcome=self.outcome(entry),
            organisation=self._party(entry, "recipient"),
            delegate=self._party(entry, "delegate"),
            application=_text(entry, "client"),
            datasets=tuple(self.value("dataset", one) for one in _parts(entry, "dataset")),
            fields=self._joined(fields[:_SHOWN_FIELDS]),
            more_fields=max(0, len(fields) - _SHOWN_FIELDS),
            purpose=", ".join(self.value("purpose", one) for one in _parts(entry, "purpose")),
            basis=", ".join(self.value("legal_basis", one) for one in _parts(entry, "legal_basis")),
            about=tuple(self._about(entry)),
            by=self._by(entry) if kind == "audit.query" else "",
        )

    def lines(self, record: AccessRecord) -> list[Line]:
        """All that an entry says in the clear, in its order of importance."""
        entry = record.skeleton
        lines = [self._line(key, entry) for key in _PARAMETERS if entry.get(key) and key not in {"kind", "outcome"}]
        if fields := entry.get("fields"):
            shown = fields if isinstance(fields, list) else []
            lines.append(Line(self._say("field"), tuple(self._found("field", str(one)) for one in shown)))
        if rules := read_rules(entry.get("rules")):
            lines.append(Line(named(self.language, "key", "rules"), tuple(map(self._rule, rules))))
        if about := tuple(Value(one) for one in self._about(entry)):
            lines.append(Line(self._say("about"), about))
        if reader := _text(entry, "reader"):
            lines.append(Line(self._say("reader"), (Value(self._by(entry), reader),)))
        rest = sorted(key for key in entry if key not in _WRITTEN and key not in _PARAMETERS and not self._is_said(key))
        return [*lines, *(Line(named(self.language, "key", key), (Value(_listed(entry[key])),)) for key in rest)]

    def detail(self, record: AccessRecord) -> list[Line]:
        """What is sealed, opened. A person's or an authorisation's pseudonym leads to the form that asks why."""
        return [
            Line(named(self.language, "sealed", key), (Value(_listed(value), "", _person(key, value)),))
            for key, value in sorted(record.detail.items(), key=lambda one: _SEALED_ORDER.get(one[0], 99))
        ]

    def outcome(self, entry: Mapping[str, object]) -> str:
        """How it ended, in words. Nothing where an entry can only end well."""
        code = _text(entry, "outcome")
        if code != "ok":
            return self.value("outcome", code)
        return say(self.language, "outcome.sent") if entry.get("kind") == "access" else ""

    def value(self, parameter: str, code: str) -> str:
        """The words of one value of a filter."""
        if parameter in {"organisation", "delegate"}:
            return self.organisation(code)
        if parameter == "dataset":
            return self.names.dataset(code, self.language) or code
        if parameter == "field":
            return self.names.field(code, self.language) or code
        if parameter in {"since", "until"}:
            return edge(code, self.language)
        if parameter == "outcome":
            return self._outcome(code)
        if parameter == "purpose":
            return code[:1].upper() + code[1:].replace("_", " ")
        return named(self.language, parameter, code) if parameter in {"kind", "legal_basis", "ground"} else code

    def organisation(self, siret: str) -> str:
        """An organisation's name, or its number as it is usually written."""
        return self.names.organisation(siret) or f"SIRET {spaced(siret)}"

    def agent(self, subject: str) -> str:
        """Whoever reads the log goes by a reference; the reader's own is 'you'."""
        if self.reader is not None and subject == self.reader.subject:
            return say(self.language, "reading.you")
        return say(self.language, "reading.somebody", reference=subject[:10])

    def criteria(self, given: Mapping[str, str]) -> str:
        """A filter as a sentence."""
        return self._joined(self._criterion(name, value) for name, value in given.items())

    def _joined(self, parts: Iterable[str]) -> str:
        return ("\N{NO-BREAK SPACE}; " if self.language == "fr" else "; ").join(parts)

    def _criterion(self, name: str, value: str) -> str:
        words = self.value(name, value)
        return say(self.language, "reading.criterion", label=say(self.language, f"label.{name}"), value=words)

    def _outcome(self, code: str) -> str:
        if code in _OUTCOMES or code == "ok":
            return say(self.language, f"outcome.{code}")
        registered = problems().get(code)
        return registered.title[self.language] if registered else code

    def _party(self, entry: Mapping[str, object], key: str) -> Value | None:
        siret = _text(entry, key)
        return Value(self.organisation(siret), spaced(siret)) if siret else None

    def _fields(self, entry: Mapping[str, object]) -> tuple[str, ...]:
        """Of a field that a rule was about, only the answer left: it is said so."""
        fields = entry.get("fields")
        answered = sources(read_rules(entry.get("rules")))
        words = ((one, self.value("field", str(one))) for one in (fields if isinstance(fields, list) else ()))
        return tuple(
            say(self.language, "reading.answer", field=said) if one in answered else said for one, said in words
        )

    def _rule(self, rule: Rule) -> Value:
        field = self.value("field", rule.field)
        return Value(say(self.language, "reading.rule", name=rule.name, field=field), rule.text)

    def _line(self, key: str, entry: Mapping[str, object]) -> Line:
        parameter = _PARAMETERS[key]
        return Line(self._say(parameter), tuple(self._found(parameter, code) for code in _parts(entry, key)))

    def _found(self, parameter: str, code: str) -> Value:
        words = self.value(parameter, code)
        return Value(words, "" if words == code else code, _search(parameter, code))

    def _about(self, entry: Mapping[str, object]) -> Iterator[str]:
        """What an entry that is not about an exchange says, a sentence each."""
        kind = _text(entry, "kind")
        if kind == "audit.query":
            yield from self._reading(entry)
        elif kind in {"retention.applied", "archive.made"}:
            facts = {key: self._fact(key, value) for key, value in entry.items()}
            yield say(self.language, f"about.{kind}", **{key: facts.get(key, "-") for key in _FACTS[kind]})
        elif kind == "keys.rotated":
            made = [key.removesuffix("_made") for key in sorted(entry) if key.endswith("_made")]
            yield say(self.language, "about.keys.rotated", uses=", ".join(made))

    def _reading(self, entry: Mapping[str, object]) -> Iterator[str]:
        act = named(self.language, "act", _text(entry, "act"))
        facts = [self._act_fact(key, entry[key]) for key in _ACT_FACTS if key in entry]
        yield ", ".join([act, *facts])
        if given := filter_of(entry):
            yield self.criteria(given)
        if ground := _text(entry, "ground"):
            words = named(self.language, "ground", ground)
            yield say(self.language, "reading.why", ground=words, case=_text(entry, "case"))

    def _by(self, entry: Mapping[str, object]) -> str:
        role = named(self.language, "role", _text(entry, "role"))
        return say(self.language, "reading.by", agent=self.agent(_text(entry, "reader")), role=role)

    def _act_fact(self, key: str, value: object) -> str:
        return say(self.language, f"reading.{key}", fact=self._fact(key, value))

    def _fact(self, key: str, value: object) -> str:
        if isinstance(value, bool):
            return say(self.language, "reading.yes" if value else "reading.no")
        if key == "before" and isinstance(value, str):
            return moment(value, self.language).words
        return grouped(value, self.language) if isinstance(value, int) else str(value)

    def _is_said(self, key: str) -> bool:
        return key in _ACT_FACTS

    def _say(self, parameter: str) -> str:
        return say(self.language, f"label.{parameter}")


_FACTS = {
    "retention.applied": ("erased", "dataset", "before", "retention", "first", "last"),
    "archive.made": ("period", "first", "last", "files"),
}


def filter_of(entry: Mapping[str, object]) -> dict[str, str]:
    """What a reading asked for, as its entry says it; whom it was about is sealed."""
    pairs = parse_qsl(_text(entry, "filter"), max_num_fields=_MAX_FILTER)
    return {name: value for name, value in pairs if name in names()}


def spaced(siret: str) -> str:
    """A SIRET as it is usually written, ``213 500 123 00015``, on one line."""
    return "\N{NO-BREAK SPACE}".join((siret[:3], siret[3:6], siret[6:9], siret[9:]))


def _search(parameter: str, value: str) -> str:
    return f"{SEARCH}?{urlencode({parameter: value})}"


def _person(key: str, value: object) -> str:
    parameter = {"citizen": "citizen", "grant_id": "grant"}.get(key)
    return f"{SEARCH}/personne?{urlencode({parameter: str(value)})}" if parameter else ""


def _text(entry: Mapping[str, object], key: str) -> str:
    return str(entry.get(key, ""))


def _parts(entry: Mapping[str, object], key: str) -> list[str]:
    """The values under a key: an entry about several datasets or purposes has commas between them."""
    return [one for one in _text(entry, key).split(",") if one]


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
