"""What stands before a holder, over real sockets: who is cut off by what, for how long, and who is not."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import time as clock
from pathlib import Path

import pytest

from openapi.fields import PivotIdentity, Siret
from providers.access import ClientCredentials
from providers.adapters.api_particulier import ApiParticulier
from providers.breaker import FAILURES, FIRST_REST
from providers.cache import Cache
from providers.config import HolderConfig
from providers.errors import HolderTimeout, ProviderError
from providers.guard import Guard
from providers.manifest import manifests
from providers.model import Limits, Manifest, Window
from providers.port import HolderRequest, Query
from providers.rate import Rate
from providers.registry import Dataset
from providers.transport import Transport
from tests.certificates import certificate
from tests.hostile_holder import HostileHolder

pytestmark = pytest.mark.enable_socket

_NO_LIMITS = Limits()
_MANIFEST = replace(manifests()["quotient_familial"], limits=_NO_LIMITS)
_CLAIMS = {"family_name": "Canari", "gender": "female", "birthdate": "1980-05-01", "birthcountry": "99109"}
_QUERY = Query(
    "quotient_familial", Siret("21990001600011"), "r", tuple(_MANIFEST.fields), PivotIdentity.from_claims(_CLAIMS)
)


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class _Desk:
    """Datasets of one holder, on one clock; what an operator is told."""

    def __init__(self, url: str, *, timeout: float = 5, max_in_flight: int = 64) -> None:
        self.clock = _Clock()
        self.told: list[tuple[str, str, float]] = []
        config = HolderConfig(url, "token", timeout=timeout, max_in_flight=max_in_flight)
        self.transport = Transport("h", config, clock=self.clock, tell=self._tell)
        self.rates: dict[str, Rate] = {}

    def guard(self, dataset: str = "d", *, limits: Limits = _NO_LIMITS, maintenance: tuple[Window, ...] = ()) -> Guard:
        manifest: Manifest = replace(_MANIFEST, dataset=dataset, limits=limits, maintenance=maintenance)
        rate = self.rates.setdefault(limits.group or dataset, Rate(limits))
        adapter = ApiParticulier(manifest)
        return Guard(
            manifest, adapter, self.transport, rate=rate, clock=self.clock, wall=lambda: 1_795_000_000, tell=self._tell
        )

    def _tell(self, word: str, what: str, seconds: float) -> None:
        self.told.append((word, what, seconds))


@asynccontextmanager
async def _desk(url: str, **bounds: float) -> AsyncIterator[_Desk]:
    desk = _Desk(url, **bounds)  # type: ignore[arg-type]
    await desk.transport.start()
    try:
        yield desk
    finally:
        await desk.transport.close()


async def _ask(guard: Guard, times: int = 1) -> tuple[str, object]:
    outcome: tuple[str, object] = ("", None)
    for _ in range(times):
        try:
            await guard.ask(_QUERY)
        except ProviderError as error:
            outcome = error.slug, error.facts.get("retry_in")
        else:
            outcome = "ok", None
    return outcome


@contextmanager
def _holder(behaviour: str) -> Iterator[HostileHolder]:
    with HostileHolder() as holder:
        holder.behave(behaviour)
        yield holder


@pytest.mark.parametrize(
    ("trouble", "slug"),
    [("failing", "holder_failed"), ("garbage", "holder_answer_invalid"), ("wrong_schema", "holder_answer_invalid")],
)
def test_a_dataset_that_keeps_failing_is_not_asked_for_a_while_then_once_and_is_back(trouble: str, slug: str) -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            guard = desk.guard()
            assert (await _ask(guard, FAILURES))[0] == slug
            assert await _ask(guard) == ("holder_unreachable", 5)
            assert holder.connections == FAILURES
            holder.behave("serves")
            desk.clock.now += FIRST_REST
            assert await _ask(guard) == ("ok", None)
            assert desk.told == [("down", "d", FIRST_REST), ("back", "d", 0.0)]

    with _holder(trouble) as holder:
        asyncio.run(run(holder))


def test_a_dataset_that_fails_takes_no_other_of_its_holder_along() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            failing, other = desk.guard("failing"), desk.guard("other")
            await _ask(failing, FAILURES)
            assert (await _ask(failing))[0] == "holder_unreachable"
            holder.behave("serves")
            assert (await _ask(other))[0] == "ok"

    with _holder("failing") as holder:
        asyncio.run(run(holder))


def test_a_holder_that_is_not_there_cuts_off_all_its_datasets_and_gives_them_back_at_once() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            one, other = desk.guard("one"), desk.guard("other")
            with holder.absent():
                assert await _ask(one, FAILURES) == ("holder_unreachable", 30)
                assert await _ask(other) == ("holder_unreachable", 5)
                desk.clock.now += FIRST_REST
                # The probe fails: twice as long.
                assert await _ask(other) == ("holder_unreachable", 30)
                assert await _ask(one) == ("holder_unreachable", 10)
            desk.clock.now += 10
            assert [(await _ask(guard))[0] for guard in (one, other)] == ["ok", "ok"]
            assert desk.told == [("down", "h", 5.0), ("down", "h", 10.0), ("back", "h", 0.0)]

    with _holder("serves") as holder:
        asyncio.run(run(holder))


@pytest.mark.parametrize("refusal", ["unknown", "unauthorized"])
def test_a_holder_that_refuses_questions_serves(refusal: str) -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            await _ask(desk.guard(), 3 * FAILURES)
            assert (holder.connections, desk.told) == (3 * FAILURES, [])

    with _holder(refusal) as holder:
        asyncio.run(run(holder))


def test_a_holder_that_says_to_wait_is_left_in_peace_by_all_of_the_group_until_then_and_by_nobody_else() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            group = Limits(group="g")
            one, mate, other = desk.guard("one", limits=group), desk.guard("mate", limits=group), desk.guard("other")
            assert await _ask(one) == ("holder_busy", 7)
            holder.behave("serves")
            desk.clock.now += 2
            assert await _ask(mate) == ("holder_busy", 5)
            assert holder.connections == 1
            assert (await _ask(other))[0] == "ok"
            desk.clock.now += 5
            assert (await _ask(mate))[0] == "ok"
            assert desk.told == []

    with _holder("busy") as holder:
        asyncio.run(run(holder))


def test_the_limit_of_a_group_is_kept_by_its_datasets_together() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            limits = Limits(requests=3, seconds=10, group="g")
            one, mate = desk.guard("one", limits=limits), desk.guard("mate", limits=limits)
            assert [(await _ask(guard))[0] for guard in (one, mate, one)] == ["ok"] * 3
            desk.clock.now += 4
            assert await _ask(mate) == ("holder_busy", 6)
            desk.clock.now += 6
            assert (await _ask(mate))[0] == "ok"
            assert holder.connections == 4

    with _holder("serves") as holder:
        asyncio.run(run(holder))


def test_what_is_refused_here_counts_neither_against_the_limit_nor_as_a_probe() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            guard = desk.guard(limits=Limits(requests=FAILURES, seconds=4))
            await _ask(guard, FAILURES)
            desk.clock.now += FIRST_REST
            guard._rate.close(desk.clock.now, 3)
            assert await _ask(guard, 5) == ("holder_busy", 3)
            desk.clock.now += 3
            holder.behave("serves")
            assert [await _ask(guard) for _ in range(FAILURES)] == [("ok", None)] * FAILURES

    with _holder("failing") as holder:
        asyncio.run(run(holder))


def test_an_announced_absence_is_told_before_anybody_is_called() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            # 1,795,000,000 is 18 November 2026, 12:06:40 in Paris.
            window = Window(frozenset(range(7)), start=clock(12), until=clock(12, 10))
            assert await _ask(desk.guard("away", maintenance=(window,))) == ("holder_in_maintenance", 200)
            assert holder.connections == 0
            assert (await _ask(desk.guard("there")))[0] == "ok"

    with _holder("serves") as holder:
        asyncio.run(run(holder))


def test_one_slow_dataset_takes_its_own_places_and_no_others() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url, max_in_flight=8) as desk:
            slow, other = desk.guard("slow", limits=Limits(max_in_flight=6)), desk.guard("other")
            under_way = [asyncio.create_task(_ask(slow)) for _ in range(9)]
            await asyncio.sleep(0.1)
            holder.behave("serves")
            assert await _ask(slow) == ("holder_busy", 1)
            assert (await _ask(other))[0] == "ok"
            outcomes = [one[0] for one in await asyncio.gather(*under_way)]
            assert (outcomes.count("ok"), outcomes.count("holder_busy")) == (6, 3)
            assert (await _ask(slow))[0] == "ok"

    with _holder("slow") as holder:
        asyncio.run(run(holder))


def test_a_caller_that_goes_away_gives_its_place_back_and_is_no_failure() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            guard = desk.guard(limits=Limits(max_in_flight=1))
            for _ in range(2 * FAILURES):
                gone = asyncio.create_task(guard.ask(_QUERY))
                await asyncio.sleep(0.02)
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
            holder.behave("serves")
            assert (await _ask(guard))[0] == "ok"

    with _holder("silent") as holder:
        asyncio.run(run(holder))


def test_a_probe_whose_caller_goes_away_leaves_its_place_to_the_next() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            guard = desk.guard()
            await _ask(guard, FAILURES)
            desk.clock.now += FIRST_REST
            holder.behave("silent")
            gone = asyncio.create_task(guard.ask(_QUERY))
            await asyncio.sleep(0.05)
            assert await _ask(guard) == ("holder_unreachable", 1)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            holder.behave("serves")
            assert await _ask(guard) == ("ok", None)

    with _holder("failing") as holder:
        asyncio.run(run(holder))


def test_what_a_cut_off_holder_is_not_asked_takes_nothing_of_the_limit() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            guard = desk.guard(limits=Limits(requests=FAILURES + 1, seconds=3_600))
            with holder.absent():
                await _ask(guard, FAILURES)
                assert await _ask(guard, 10) == ("holder_unreachable", 5)
            desk.clock.now += FIRST_REST
            assert await _ask(guard) == ("ok", None)
            assert (await _ask(guard))[0] == "holder_busy"

    with _holder("serves") as holder:
        asyncio.run(run(holder))


def test_while_one_holder_drips_every_question_to_another_is_answered_and_none_waits_for_it() -> None:
    async def run(dripping: HostileHolder, well: HostileHolder) -> None:
        async with _desk(dripping.url, timeout=2) as theirs, _desk(well.url) as ours:
            slow, quick = theirs.guard("slow"), ours.guard("quick")
            under_way = [asyncio.create_task(_ask(slow)) for _ in range(32)]
            await asyncio.sleep(0.1)
            assert [await _ask(quick) for _ in range(50)] == [("ok", None)] * 50
            # All fifty came while every one of the dripping ones was still waited for.
            assert not any(one.done() for one in under_way)
            assert {one[0] for one in await asyncio.gather(*under_way)} == {"holder_timeout"}
            assert (await _ask(slow))[0] == "holder_unreachable"

    with _holder("drip") as dripping, _holder("serves") as well:
        asyncio.run(run(dripping, well))


def test_a_name_server_that_hangs_for_one_holder_keeps_nobody_elses_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the system's own lookup is replaced: nothing here can make a real name server hang."""
    released, looked_up = threading.Event(), socket.getaddrinfo

    def hanging(host: str, port: int, **more: int) -> object:
        if host.startswith("hanging"):
            released.wait(20)
            raise socket.gaierror
        return looked_up(host, port, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)

    async def run(holder: HostileHolder) -> None:
        async with _desk(f"http://localhost:{holder.port}") as ours, _desk("http://hanging.example", timeout=1) as two:
            # More than the event loop has threads for lookups.
            waiting = [asyncio.create_task(_ask(two.guard(f"d{number}"))) for number in range(40)]
            await asyncio.sleep(0.05)
            assert (await _ask(ours.guard()))[0] == "ok"
            assert not any(one.done() for one in waiting)
            assert sum(thread.name.startswith("resolve-h") for thread in threading.enumerate()) == 1
            assert {one[0] for one in await asyncio.gather(*waiting)} == {"holder_unreachable"}
            released.set()

    with _holder("serves") as holder:
        asyncio.run(run(holder))


def test_tls_of_another_name_is_not_the_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key = certificate(tmp_path, "other.example")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    # Trusted, and still not for this name.
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))

    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            assert (await _ask(desk.guard()))[0] == "holder_unreachable"

    with HostileHolder(tls=tls) as holder:
        holder.behave("serves")
        asyncio.run(run(holder))


_TROUBLES = ("refused", "reset", "silent", "drip", "garbage", "wrong_schema", "huge", "busy", "failing", "serves")


@pytest.mark.parametrize("trouble", _TROUBLES)
def test_no_socket_and_no_thread_is_left_after_any_trouble(trouble: str) -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(f"http://localhost:{holder.port}", timeout=0.3) as desk:
            guard = desk.guard()
            await asyncio.gather(*[_ask(guard) for _ in range(20)])
            await _until(lambda: not _sockets_to(holder.port))
            await _until(lambda: not [one for one in threading.enumerate() if one.name.startswith("resolve-")])
            assert (guard._room, desk.transport._in_flight) == (_MANIFEST.limits.max_in_flight, 0)

    with _holder(trouble) as holder:
        asyncio.run(run(holder))


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _sockets_to(port: int) -> set[str]:
    """Inodes of this process's TCP sockets whose other end is ``port``."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    remote = {f"socket:[{row[9]}]" for row in rows if int(row[2].split(":")[1], 16) == port}
    mine = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        # One that was closed meanwhile.
        with suppress(OSError):
            mine.add(str(descriptor.readlink()))
    return remote & mine


def test_callers_that_wait_for_a_token_that_never_comes_wait_for_one_deadline_not_for_each_others() -> None:
    async def run(holder: HostileHolder) -> None:
        config = HolderConfig(holder.url, "", timeout=0.5, credentials=ClientCredentials("id", "secret"))
        transport = Transport("h", config)
        await transport.start()
        began = time.monotonic()
        callers = [transport.send(HolderRequest("/data", ())) for _ in range(20)]
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        await transport.close()
        assert {type(one) for one in outcomes} == {HolderTimeout}
        # One after the other they would take ten seconds.
        assert time.monotonic() - began < 5

    with _holder("silent") as holder:
        asyncio.run(run(holder))


def test_what_is_kept_leaves_the_memory_after_its_time_though_nobody_asks() -> None:
    async def run(holder: HostileHolder) -> None:
        async with _desk(holder.url) as desk:
            cache = Cache(stands=lambda _index: True)
            dataset = Dataset(replace(_MANIFEST, cache_seconds=1), desk.guard(), cache)
            query = replace(_QUERY, status_index=7)
            answers = [await dataset.fetch(query) for _ in range(3)]
            assert [one.cached for one in answers] == [False, True, True]
            assert (holder.connections, len(cache)) == (1, 1)
            await _until(lambda: not len(cache))
            assert not (await dataset.fetch(query)).cached
            # Without an authorisation nothing is kept, without the manifest's word neither.
            assert not [await dataset.fetch(_QUERY) for _ in range(2)][1].cached
            plain = Dataset(_MANIFEST, desk.guard(), cache)
            assert not [await plain.fetch(query) for _ in range(2)][1].cached

    with _holder("serves") as holder:
        asyncio.run(run(holder))
