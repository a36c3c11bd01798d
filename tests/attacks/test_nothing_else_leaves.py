"""Whatever the holder answers and whatever is asked: nothing outside the allowed fields and answers leaves.

The real gateway, policy, adapter, mask and journal, over a holder whose every value is a canary: each is unlike any
other text of an exchange, and is searched for in the body, the headers, the errors, the log records and the entries.
"""

import asyncio
import hashlib
import io
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

import orjson
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from audit.model import Append, Receipt
from consent.dpop import Nonces
from consent.model import Client, Detail
from exchange.asgi import AsgiApp
from exchange.consent_token import ConsentTokenVerifier
from exchange.dropin.api_particulier import ApiParticulier as ApiParticulierDoor
from exchange.dropin.door import DropInDoor
from exchange.dropin.evidence import Evidence
from exchange.dropin.pulse import Pulse
from exchange.errors import ProblemWriter
from exchange.gateway import Gateway
from exchange.model import Habilitation, Registry
from exchange.recipient import Proxies, Recipient
from exchange.release import Releases
from openapi.fields import Siret
from openapi.rules import Rule
from providers.adapters.api_particulier import ApiParticulier
from providers.cache import Cache
from providers.errors import HolderTimeout
from providers.guard import Guard
from providers.manifest import manifests
from providers.model import Field
from providers.port import HolderReply, HolderRequest
from providers.rate import Rate
from providers.registry import Dataset, Datasets
from tests.tokens import DETAIL, PIVOT, Mint

MANIFEST = manifests()["quotient_familial"]
ISSUER, TOWN, PURPOSE = "https://accord.example", Siret(str(DETAIL["recipient"])), str(DETAIL["purpose"])
APPLICATION_TOKEN = b"application-token-of-43-characters-at-least-1"
CLIENT = Client(
    "portail-famille",
    "Portail",
    TOWN,
    "Valombre",
    (),
    {"keys": []},
    "none",
    token_sha256=hashlib.sha256(APPLICATION_TOKEN).hexdigest(),
    token_until=2**40,
)
KEY, SEALING = ec.generate_private_key(ec.SECP256R1()), b"s" * 32
MINT = Mint(ISSUER, KEY, "k1", SEALING, "s1")
VERIFIER = ConsentTokenVerifier(
    issuer=ISSUER, audience=ISSUER, keys={"k1": KEY.public_key()}, sealing_keys={"s1": SEALING}
)
RECIPIENT = Recipient(ISSUER, proxies=Proxies(), nonces=Nonces(b"n" * 32, required=False))
CALLERS_WORD = "canari_de_l_appelant"
"""A name that only the caller says: it may read it again, no record may hold it."""
NUMBERS = [name for name, one in MANIFEST.fields.items() if one.type == "integer"]
DATES = [name for name, one in MANIFEST.fields.items() if one.type == "date"]


class Canaries:
    """Values that nothing else says. ``said`` tells which stand in a text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def make(self, of_type: str) -> object:
        number = 730_000_000 + 7_919 * len(self.texts)
        made: dict[str, object] = {
            "integer": number,
            "number": number,
            "date": f"{1930 + len(self.texts) % 60}-{len(self.texts) % 12 + 1:02}-{len(self.texts) // 12 % 28 + 1:02}",
            "string": f"canari-{number}",
        }
        self.texts.append(str(made[of_type]))
        return made[of_type]

    def said(self, text: str) -> set[str]:
        return {one for one in self.texts if one in text}


class Holder:
    """A transport to a holder that answers one thing, or fails with its value in the message."""

    def __init__(self, reply: HolderReply | Exception) -> None:
        self._reply = reply

    def check(self) -> None:
        return

    async def send(self, _request: HolderRequest) -> HolderReply:
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


class Log:
    def __init__(self) -> None:
        self.entries: list[Append] = []

    async def append(self, append: Append) -> Receipt:
        self.entries.append(append)
        return Receipt(len(self.entries) - 1, None, b"{}", "proof")


@dataclass(frozen=True)
class Knowledge:
    registry: Registry

    is_fresh = True

    def status(self, _index: int) -> int:
        return 0


@dataclass
class Outcome:
    """All that comes out of one exchange."""

    status: int
    headers: str
    body: Any
    text: str
    entries: str
    records: str
    canaries: Canaries


def record_of(canaries: Canaries, *, children: int, left_out: frozenset[str], more: bool) -> dict[str, Any]:
    """A household as the holder gives it; ``more``: with values that no manifest names, at every level."""
    data: dict[str, Any] = {"allocataires": [{}, {}], "enfants": [{} for _ in range(children)]}
    for path, one in MANIFEST.fields.items():
        parent, name = path.split(".")
        nodes = data[parent] if isinstance(data.get(parent), list) else [data.setdefault(parent, {})]
        for node in nodes:
            if path not in left_out:
                node[name] = canaries.make(one.type)
    if more:
        for node in (data, data["adresse"], data["quotient_familial"], *data["allocataires"], *data["enfants"]):
            node["numero_allocataire"] = canaries.make("string")
            node["comptes"] = {"iban": [canaries.make("string"), canaries.make("integer")]}
    return data


def exchange(
    reply: HolderReply | Exception, canaries: Canaries, *, detail: Detail, habilitation: Habilitation, query: str
) -> Outcome:
    """One request at Accord's own door through the real code."""
    world = World(reply, habilitation)
    gateway = Gateway(
        verifier=VERIFIER,
        knowledge=world.knowledge,
        datasets=world.datasets,
        recipient=RECIPIENT,
        releases=world.releases,
        problems=ProblemWriter(ISSUER),
    )
    return world.asked(gateway, canaries, path=f"/v1/data/{MANIFEST.dataset}", query=query, token=token_of(detail))


def exchange_as_peers_do(
    reply: HolderReply | Exception, canaries: Canaries, *, detail: Detail | None, habilitation: Habilitation
) -> Outcome:
    """One request at the door of API Particulier: with the authorisation or, without one, with the identity."""
    world = World(reply, habilitation)
    pulse = Pulse(time.time)
    entrance = ApiParticulierDoor(
        base_url=ISSUER,
        knowledge=world.knowledge,
        datasets=world.datasets,
        evidence=Evidence(knowledge=world.knowledge, verifier=VERIFIER, recipient=RECIPIENT),
        franceconnect=None,
        pseudonym_key=b"p" * 32,
        pulse=pulse,
    )
    door = DropInDoor(entrance, recipient=RECIPIENT, releases=world.releases, pulse=pulse, clock=time.time)
    told: dict[str, str] = {"recipient": TOWN}
    if detail is None:
        told |= {
            "nomNaissance": str(PIVOT["family_name"]),
            "prenoms[]": CALLERS_WORD.replace("_", "-"),
            "anneeDateNaissance": "1980",
            "moisDateNaissance": "1",
            "jourDateNaissance": "1",
            "sexeEtatCivil": "F",
            "codeCogInseePaysNaissance": str(PIVOT["birthcountry"]),
        }
    path = MANIFEST.path if detail is None else MANIFEST.path.replace("/identite", "/france_connect")
    token = APPLICATION_TOKEN if detail is None else token_of(detail)
    return world.asked(door, canaries, path=path, query=urlencode(told), token=token)


def token_of(detail: Detail) -> bytes:
    return MINT.token(MINT.claims(authorization_details=[detail.to_claim()]))


class World:
    """One habilitation, one holder and a log, around whichever door."""

    def __init__(self, reply: HolderReply | Exception, habilitation: Habilitation) -> None:
        held = {(TOWN, MANIFEST.dataset): (habilitation,)}
        tokens = {str(CLIENT.token_sha256): CLIENT.client_id}
        self.knowledge = Knowledge(Registry(1, {TOWN: "V"}, {CLIENT.client_id: CLIENT}, held, tokens=tokens))
        guard = Guard(MANIFEST, ApiParticulier(MANIFEST), cast("Any", Holder(reply)), rate=Rate(MANIFEST.limits))
        self.datasets = Datasets({MANIFEST.dataset: Dataset(MANIFEST, guard)}, [], Cache(stands=lambda _index: True))
        self._log = Log()
        self.releases = Releases(self._log, clock=time.time)

    def asked(self, door: AsgiApp, canaries: Canaries, *, path: str, query: str, token: bytes) -> Outcome:
        """What came out, and what the process logged meanwhile, messages' arguments included."""
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer " + token)],
            "client": ("127.0.0.1", 1),
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        records = io.StringIO()
        with recorded(records):
            asyncio.run(door(scope, cast("Any", None), send))  # type: ignore[arg-type]  # awaited at once
        (entry,) = self._log.entries
        body = sent[1]["body"].decode()
        return Outcome(
            status=sent[0]["status"],
            headers=repr(sent[0]["headers"]),
            body=json.loads(body),
            text=body,
            entries=orjson.dumps([entry.skeleton, entry.detail]).decode(),
            records=records.getvalue(),
            canaries=canaries,
        )


class recorded:  # noqa: N801  # reads as a word after 'with'
    """Everything that is logged, by structlog or the standard library, with its arguments and tracebacks."""

    def __init__(self, into: io.StringIO) -> None:
        self._into = into
        self._handler = logging.StreamHandler(into)

    def __enter__(self) -> None:
        structlog.configure(
            processors=[structlog.processors.JSONRenderer()],
            logger_factory=structlog.PrintLoggerFactory(self._into),
            cache_logger_on_first_use=False,
        )
        logging.getLogger().addHandler(self._handler)
        logging.getLogger().setLevel(logging.DEBUG)

    def __exit__(self, *_error: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(logging.WARNING)
        structlog.reset_defaults()


def kept_quiet(outcome: Outcome) -> None:
    """Headers, entries and log records never hold a value, the identity or a word of the caller's."""
    identity = {str(PIVOT["family_name"]), str(PIVOT["birthdate"])}
    words = {CALLERS_WORD, CALLERS_WORD.replace("_", "-"), APPLICATION_TOKEN.decode()}
    for place in (outcome.headers, outcome.entries, outcome.records):
        assert not outcome.canaries.said(place)
        assert not [one for one in identity | words if one in place]
    assert not [one for one in identity if one in outcome.text]


RULES = st.lists(
    st.one_of(
        st.builds(
            lambda field, bounds: Rule("r", "bracket", field, tuple(sorted(bounds))),
            st.sampled_from(NUMBERS),
            st.sets(st.integers(0, 10**6).map(lambda bound: bound * 1000), min_size=1, max_size=4),
        ),
        st.builds(
            lambda kind, field, bound: Rule("r", kind, field, (bound * 1000,)),
            st.sampled_from(["at_most", "at_least"]),
            st.sampled_from(NUMBERS),
            st.integers(0, 10**6),
        ),
        st.builds(lambda field: Rule("r", "is_present", field), st.sampled_from(sorted(MANIFEST.fields))),
        st.builds(lambda field, age: Rule("r", "count", field, (age,)), st.sampled_from(DATES), st.integers(1, 120)),
    ),
    max_size=4,
).map(lambda rules: tuple(replace(rule, name=f"reponse_{place}") for place, rule in enumerate(rules)))
FIELDS = st.sets(st.sampled_from(sorted(MANIFEST.fields)))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Detail, Habilitation, str]:
    """A grant, a habilitation and a question, each of any width, the grant as the authority makes them."""
    rules = draw(RULES)
    consented = draw(FIELDS) - {rule.field for rule in rules}
    if not consented and not rules:
        consented = {draw(st.sampled_from(sorted(MANIFEST.fields)))}
    detail = Detail(MANIFEST.dataset, tuple(sorted(consented)), PURPOSE, TOWN, "recurring", rules=rules)
    habilitated = draw(st.sampled_from([set(MANIFEST.fields)] * 3) | FIELDS)
    habilitation = Habilitation(
        "h",
        TOWN,
        frozenset(),
        MANIFEST.dataset,
        frozenset(habilitated),
        {PURPOSE: {"fr": "f", "en": "e"}},
        "consent",
        0,
        2**40,
        derived_only=frozenset(draw(FIELDS)),
    )
    others = [*MANIFEST.fields, CALLERS_WORD]
    names = draw(st.lists(st.sampled_from(detail.names), max_size=3)) + draw(
        st.just([]) | st.lists(st.sampled_from(others), max_size=1)
    )
    return detail, habilitation, f"fields={','.join(names)}" if names else ""


def allowed(detail: Detail, habilitation: Habilitation, query: str) -> tuple[set[str], set[str]]:
    """What may leave, said again in two lines: paths of fields, names of answers."""
    asked = set(query.removeprefix("fields=").split(",")) if query else set(detail.names)
    fields = asked & set(detail.fields) & habilitation.fields
    of_rules = {one.name for one in detail.rules if one.field in habilitation.fields | habilitation.derived_only}
    return fields, asked & of_rules


def values_at(data: Any, path: Sequence[str]) -> Iterator[str]:
    if isinstance(data, list):
        for item in data:
            yield from values_at(item, path)
    elif not path:
        yield str(data)
    elif isinstance(data, dict) and path[0] in data:
        yield from values_at(data[path[0]], path[1:])


@settings(max_examples=300, deadline=None)
@given(requests(), st.integers(0, 3), FIELDS, st.booleans())
def test_only_allowed_values_leave_and_only_in_the_data(
    request: tuple[Detail, Habilitation, str], children: int, left_out: set[str], more: bool
) -> None:
    detail, habilitation, query = request
    canaries = Canaries()
    record = record_of(canaries, children=children, left_out=frozenset(left_out), more=more)
    body = {"data": record, "links": {"suite": canaries.make("string")}, "meta": {"trace": canaries.make("string")}}
    reply = HolderReply(200, {"x-trace": str(canaries.make("string"))}, json.dumps(body).encode())
    outcome = exchange(reply, canaries, detail=detail, habilitation=habilitation, query=query)
    fields, answers = allowed(detail, habilitation, query)
    kept_quiet(outcome)
    event(f"status {outcome.status}")
    if outcome.status != 200:
        assert not canaries.said(outcome.text)
        return
    may_leave = {value for path in fields for value in values_at(record, path.split("."))}
    assert canaries.said(outcome.text) <= may_leave
    assert canaries.said(json.dumps(outcome.body["data"])) == may_leave & set(canaries.texts)
    assert not canaries.said(json.dumps({**outcome.body, "data": None}))
    assert set(outcome.body.get("derived", {})) == answers
    # Nothing is told of a number but one of the bounds that the citizen read, a count, yes, no or none.
    numbers = {str(number) for rule in detail.rules for number in rule.numbers} | {str(one) for one in range(4)}
    for answer in outcome.body.get("derived", {}).values():
        value = answer["value"]
        told = value.values() if isinstance(value, dict) else [value]
        assert {str(one) for one in told} <= numbers | {"True", "False", "None"}


@settings(max_examples=200, deadline=None)
@given(requests(), st.booleans(), st.integers(0, 3), FIELDS, st.booleans())
def test_the_same_holds_at_the_peers_door_which_gives_no_answers_at_all(
    request: tuple[Detail, Habilitation, str], consents: bool, children: int, left_out: set[str], more: bool
) -> None:
    detail, habilitation, _ = request
    habilitation = replace(habilitation, grounds=frozenset({"consent" if consents else "application"}))
    canaries = Canaries()
    record = record_of(canaries, children=children, left_out=frozenset(left_out), more=more)
    body = {"data": record, "links": {"suite": canaries.make("string")}, "meta": {"trace": canaries.make("string")}}
    reply = HolderReply(200, {"x-trace": str(canaries.make("string"))}, json.dumps(body).encode())
    outcome = exchange_as_peers_do(reply, canaries, detail=detail if consents else None, habilitation=habilitation)
    event(f"{'consent' if consents else 'application'} {outcome.status}")
    kept_quiet(outcome)
    if outcome.status != 200:
        assert not canaries.said(outcome.text)
        return
    fields = habilitation.fields & set(detail.fields) if consents else habilitation.fields
    may_leave = {value for path in fields for value in values_at(record, path.split("."))}
    assert canaries.said(json.dumps(outcome.body["data"])) == may_leave & set(canaries.texts)
    assert not canaries.said(json.dumps({**outcome.body, "data": None}))
    assert outcome.body.keys() == {"data", "links", "meta"}


_HOSTILE = st.sampled_from(["status", "broken", "types", "shape", "nested", "timeout", "defect"])


@settings(max_examples=150, deadline=None)
@given(requests(), _HOSTILE, st.sampled_from([400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504, 302, 204]))
def test_nothing_of_an_answer_that_fails_leaves(
    request: tuple[Detail, Habilitation, str], how: str, status: int
) -> None:
    detail, habilitation, query = request
    canaries = Canaries()
    outcome = exchange(_failing(how, status, canaries), canaries, detail=detail, habilitation=habilitation, query=query)
    event(f"{how} {outcome.status}")
    kept_quiet(outcome)
    assert not canaries.said(outcome.text)


def _failing(how: str, status: int, canaries: Canaries) -> HolderReply | Exception:
    record = record_of(canaries, children=2, left_out=frozenset(), more=True)
    word = str(canaries.make("string"))
    if how == "timeout":
        error: Exception = HolderTimeout("api_particulier", retry_in=60)
        error.__cause__ = RuntimeError(word)
        return error
    if how == "defect":
        return RuntimeError(f"cannot read {word}: {record}")
    headers = {"retry-after": word, "location": f"https://{word}.example", "content-type": word}
    if how == "status":
        errors = [{"code": word, "title": word, "detail": f"{word} inconnue", "source": {"parameter": word}}]
        return HolderReply(status, headers, json.dumps({"errors": errors, "data": record}).encode())
    bodies: dict[str, object] = {
        "types": {"data": {name: _wrong(value, word) for name, value in record.items()}},
        "shape": [word, record],
        "nested": {"data": {"quotient_familial": {"valeur": {"valeur": word}}, "enfants": word, word: word}},
    }
    body = json.dumps(bodies.get(how, record)).encode()
    return HolderReply(200, headers, body[:-3] if how == "broken" else body)


def _wrong(value: Any, word: str) -> Any:
    """The same keys, with a value of none of the announced types."""
    if isinstance(value, list):
        return [_wrong(one, word) for one in value]
    return {name: [[word]] for name in value} if isinstance(value, dict) else [[word]]


@pytest.mark.parametrize("place", ["headers", "records", "entries"])
def test_the_search_finds_a_leak_in_every_place(place: str) -> None:
    canaries = Canaries()
    word = str(canaries.make("string"))
    quiet = Outcome(200, "", {}, "", "", "", canaries)
    kept_quiet(quiet)
    changed: Any = {place: f"... {word} ..."}
    with pytest.raises(AssertionError):
        kept_quiet(replace(quiet, **changed))


def test_the_properties_see_answers_and_data_often_enough() -> None:
    """A record in order, asked for whole, is given: the properties above are not about refusals alone."""
    canaries = Canaries()
    record = record_of(canaries, children=2, left_out=frozenset(), more=True)
    tranche = Rule("tranche", "bracket", "quotient_familial.valeur", (1000, 10**9))
    detail = Detail(MANIFEST.dataset, ("quotient_familial.mois",), PURPOSE, TOWN, "recurring", rules=(tranche,))
    whole = Habilitation(
        "h", TOWN, frozenset(), MANIFEST.dataset, frozenset(MANIFEST.fields), {PURPOSE: {}}, "consent", 0, 2**40
    )
    reply = HolderReply(200, {}, json.dumps({"data": record}).encode())
    outcome = exchange(reply, canaries, detail=detail, habilitation=whole, query="")
    assert outcome.status == 200, outcome.text
    assert outcome.body["data"] == {"quotient_familial": {"mois": record["quotient_familial"]["mois"]}}
    assert outcome.body["derived"]["tranche"]["value"] == {"from": 1000, "below": 10**9}
    assert tranche.text in outcome.entries
    assert isinstance(MANIFEST.fields[tranche.field], Field)
