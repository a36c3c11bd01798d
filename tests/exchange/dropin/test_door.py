"""What both doors do with a call, whatever comes of it: an answer in the peers' shape, and an entry."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from audit.model import Receipt
from consent.dpop import Nonces
from consent.model import Client
from exchange.asgi import Message
from exchange.dropin.call import Call
from exchange.dropin.door import DropInDoor, Page, Passage, Visitor
from exchange.dropin.limits import Limit
from exchange.dropin.pulse import Pulse
from exchange.model import About, Asked, Ground
from exchange.recipient import Proxies, Recipient
from exchange.release import Released
from openapi.fields import Siret
from openapi.problem import AccordError
from providers.errors import HolderBusy
from providers.manifest import manifests
from providers.port import Answer, Query

TOWN = Siret("21990001600011")
PATH = "/v3/dss/quotient_familial/identite"
QF: Any = SimpleNamespace(manifest=manifests()["quotient_familial"])


class Entrance:
    """Lets everybody in, unless told otherwise."""

    limit = Limit(4, 60)

    def __init__(self, refusing: Exception | None = None) -> None:
        self._refusing = refusing

    def dataset(self, path: str) -> Any:
        return QF if path == PATH else None

    def serves(self, path: str) -> bool:
        return path == PATH

    def page(self, _call: Call) -> Page:
        if self._refusing is not None:
            raise self._refusing
        return Page({"status": "ok"})

    async def recognise(self, _call: Call) -> Visitor:
        return Visitor(Client("c", "An application", TOWN, "Town", (), {}, "none"))

    def admit(self, _call: Call, _dataset: Any, _visitor: Visitor, *, request_id: str) -> Passage:
        if self._refusing is not None:
            raise self._refusing
        return Passage(Ground(About({"client": "c"})), Query("quotient_familial", TOWN, request_id, ("a",)))

    def document(self, released: Any) -> Mapping[str, object]:
        return {"data": released.data, "links": {}, "meta": {}}


class Releases:
    """Answers when it is let; keeps what was refused."""

    def __init__(self, failing: AccordError | None = None) -> None:
        self.let = asyncio.Event()
        self.let.set()
        self.refusals: list[tuple[str, Asked, About]] = []
        self._failing = failing

    async def release(self, *_: Any, **__: Any) -> Released:
        await self.let.wait()
        if self._failing is not None:
            raise self._failing
        return Released({"a": 1}, Answer({}, 0), Receipt(7, None, b"{}", "c2sp.org/tlog-proof@v1"))

    async def refuse(self, asked: Asked, about: About, error: AccordError, *, began: float) -> AccordError:
        assert began == 30.0
        self.refusals.append((error.slug, asked, about))
        return error


def door(releases: Releases, entrance: Entrance | None = None) -> DropInDoor:
    recipient = Recipient("https://accord.example", proxies=Proxies(), nonces=Nonces(b"k" * 32, required=False))
    given: Any = {"recipient": recipient, "releases": releases, "pulse": Pulse(lambda: 30.0), "clock": lambda: 30.0}
    return DropInDoor(entrance or Entrance(), **given)


async def call(
    one: DropInDoor, *, query: bytes = b"", path: str = PATH, method: str = "GET", headers: Any = ()
) -> tuple[int, dict[str, str], Any]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"authorization", b"Bearer t"), *headers],
        "client": ("127.0.0.1", 1),
    }
    await one(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    sent = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], sent, orjson.loads(messages[1]["body"])


def code(body: Any) -> str:
    return str(body["errors"][0]["code"])


def test_the_same_question_waits_for_its_first_answer_and_another_does_not() -> None:
    async def run() -> None:
        releases = Releases()
        releases.let.clear()
        one = door(releases)
        first = asyncio.create_task(call(one, query=b"nomNaissance=A"))
        await asyncio.sleep(0)
        status, _, body = await call(one, query=b"nomNaissance=A")
        assert (status, code(body)) == (409, "00015")
        other = asyncio.create_task(call(one, query=b"nomNaissance=B"))
        await asyncio.sleep(0)
        releases.let.set()
        assert [answer[0] for answer in await asyncio.gather(first, other)] == [200, 200]
        assert (await call(one, query=b"nomNaissance=A"))[0] == 200
        assert [slug for slug, _, _ in releases.refusals] == ["request_under_way"]

    asyncio.run(run())


def test_beyond_its_limit_an_application_waits_and_only_the_first_refusal_is_logged() -> None:
    async def run() -> None:
        releases = Releases()
        one = door(releases)
        answers = [await call(one, query=b"n=%d" % number) for number in range(8)]
        assert [status for status, _, _ in answers] == [200] * 4 + [429] * 4
        assert [headers["ratelimit-remaining"] for _, headers, _ in answers] == ["3", "2", "1", *["0"] * 5]
        assert {headers["ratelimit-reset"] for _, headers, _ in answers} == {"60"}
        assert {headers.get("retry-after") for _, headers, _ in answers[4:]} == {"30"}
        assert code(answers[-1][2]) == "00429"
        assert [slug for slug, _, _ in releases.refusals] == ["rate_limited"]

    asyncio.run(run())


def test_a_defect_is_an_error_without_a_word_of_it_and_an_entry() -> None:
    async def run() -> None:
        releases = Releases()
        status, _, body = await call(door(releases, Entrance(RuntimeError("CANARI"))), query=b"nomNaissance=CANARI")
        assert (status, code(body)) == (500, "00500")
        assert "CANARI" not in str(body)
        assert [slug for slug, _, _ in releases.refusals] == ["internal_error"]

    asyncio.run(run())


def test_a_path_that_exchanges_nothing_is_answered_and_not_logged() -> None:
    async def run() -> None:
        releases = Releases()
        assert (await call(door(releases), path="/api/pings"))[::2] == (200, {"status": "ok"})
        for error, status in ((RuntimeError("CANARI"), 500), (AccordError("application_token_unknown"), 401)):
            answer = await call(door(releases, Entrance(error)), path="/api/introspect")
            assert answer[0] == status
            assert "CANARI" not in str(answer)
        assert releases.refusals == []

    asyncio.run(run())


def test_a_holders_failure_tells_when_to_come_back_and_its_entry_knows_the_ground() -> None:
    async def run() -> None:
        releases = Releases(HolderBusy("api_particulier", retry_in=9))
        status, headers, body = await call(door(releases))
        assert (status, code(body), headers["retry-after"]) == (504, "37008", "9")
        (slug, asked, about) = releases.refusals[0]
        assert (slug, asked.dataset, asked.fields, about.public) == (
            "holder_busy",
            "quotient_familial",
            ("a",),
            {"client": "c"},
        )

    asyncio.run(run())


def test_a_caller_that_sends_proofs_learns_the_nonce_for_the_next() -> None:
    async def run() -> None:
        answer = await call(door(Releases()), headers=[(b"dpop", b"x")])
        assert answer[1]["dpop-nonce"]
        assert "dpop-nonce" not in (await call(door(Releases())))[1]

    asyncio.run(run())


def test_what_cannot_be_carried_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DropInDoor, "MAX_IN_FLIGHT", 0)
    status, headers, body = asyncio.run(call(door(Releases())))
    assert (status, headers["retry-after"], code(body)) == (503, "1", "00500")


def test_another_method_is_refused_with_the_one_that_is_served() -> None:
    status, headers, _ = asyncio.run(call(door(Releases()), method="POST"))
    assert (status, headers["allow"]) == (405, "GET")
