"""What stands before a holder, over real sockets: who is cut off by what, for how long, and who is not."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import time as clock
from pathlib import Path

import pytest

from providers.access import ClientCredentials
from providers.breaker import FAILURES, FIRST_REST
from providers.cache import Cache
from providers.config import HolderConfig
from providers.errors import HolderTimeout
from providers.model import Limits, Window
from providers.port import HolderRequest
from providers.registry import Dataset
from providers.transport import Transport
from tests.certificates import certificate
from tests.hostile_holder import HostileHolder
from tests.providers.guarded import MANIFEST, QUERY, ask, guarding, hostile
from tests.providers.replies import TROUBLES

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize(
    ("trouble", "slug"),
    [("failing", "holder_failed"), ("garbage", "holder_answer_invalid"), ("wrong_schema", "holder_answer_invalid")],
)
def test_a_dataset_that_keeps_failing_is_not_asked_for_a_while_then_once_and_is_back(trouble: str, slug: str) -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            guard = desk.guard()
            assert (await ask(guard, FAILURES))[0] == slug
            assert await ask(guard) == ("holder_unreachable", 5)
            assert holder.connections == FAILURES
            holder.behave("serves")
            desk.clock.now += FIRST_REST
            assert await ask(guard) == ("ok", None)
            assert desk.told == [("down", "d", FIRST_REST), ("back", "d", 0.0)]

    with hostile(trouble) as holder:
        asyncio.run(run(holder))


def test_a_dataset_that_fails_takes_no_other_of_its_holder_along() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            failing, other = desk.guard("failing"), desk.guard("other")
            await ask(failing, FAILURES)
            assert (await ask(failing))[0] == "holder_unreachable"
            holder.behave("serves")
            assert (await ask(other))[0] == "ok"

    with hostile("failing") as holder:
        asyncio.run(run(holder))


def test_a_holder_that_is_not_there_cuts_off_all_its_datasets_and_gives_them_back_at_once() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            one, other = desk.guard("one"), desk.guard("other")
            with holder.absent():
                assert await ask(one, FAILURES) == ("holder_unreachable", 30)
                assert await ask(other) == ("holder_unreachable", 5)
                desk.clock.now += FIRST_REST
                # The probe fails: twice as long.
                assert await ask(other) == ("holder_unreachable", 30)
                assert await ask(one) == ("holder_unreachable", 10)
            desk.clock.now += 10
            assert [(await ask(guard))[0] for guard in (one, other)] == ["ok", "ok"]
            assert desk.told == [("down", "h", 5.0), ("down", "h", 10.0), ("back", "h", 0.0)]

    with hostile("serves") as holder:
        asyncio.run(run(holder))


@pytest.mark.parametrize("refusal", ["unknown", "unauthorized"])
def test_a_holder_that_refuses_questions_serves(refusal: str) -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            await ask(desk.guard(), 3 * FAILURES)
            assert (holder.connections, desk.told) == (3 * FAILURES, [])

    with hostile(refusal) as holder:
        asyncio.run(run(holder))


def test_a_holder_that_says_to_wait_is_left_in_peace_by_all_of_the_group_until_then_and_by_nobody_else() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            group = Limits(group="g")
            one, mate, other = desk.guard("one", limits=group), desk.guard("mate", limits=group), desk.guard("other")
            assert await ask(one) == ("holder_busy", 7)
            holder.behave("serves")
            desk.clock.now += 2
            assert await ask(mate) == ("holder_busy", 5)
            assert holder.connections == 1
            assert (await ask(other))[0] == "ok"
            desk.clock.now += 5
            assert (await ask(mate))[0] == "ok"
            assert desk.told == []

    with hostile("busy") as holder:
        asyncio.run(run(holder))


def test_the_limit_of_a_group_is_kept_by_its_datasets_together() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            limits = Limits(requests=3, seconds=10, group="g")
            one, mate = desk.guard("one", limits=limits), desk.guard("mate", limits=limits)
            assert [(await ask(guard))[0] for guard in (one, mate, one)] == ["ok"] * 3
            desk.clock.now += 4
            assert await ask(mate) == ("holder_busy", 6)
            desk.clock.now += 6
            assert (await ask(mate))[0] == "ok"
            assert holder.connections == 4

    with hostile("serves") as holder:
        asyncio.run(run(holder))


def test_what_is_refused_here_counts_neither_against_the_limit_nor_as_a_probe() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            guard = desk.guard(limits=Limits(requests=FAILURES, seconds=4))
            await ask(guard, FAILURES)
            desk.clock.now += FIRST_REST
            guard._rate.close(desk.clock.now, 3)
            assert await ask(guard, 5) == ("holder_busy", 3)
            desk.clock.now += 3
            holder.behave("serves")
            assert [await ask(guard) for _ in range(FAILURES)] == [("ok", None)] * FAILURES

    with hostile("failing") as holder:
        asyncio.run(run(holder))


def test_an_announced_absence_is_told_before_anybody_is_called() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            # 1,795,000,000 is 18 November 2026, 12:06:40 in Paris.
            window = Window(frozenset(range(7)), start=clock(12), until=clock(12, 10))
            assert await ask(desk.guard("away", maintenance=(window,))) == ("holder_in_maintenance", 200)
            assert holder.connections == 0
            assert (await ask(desk.guard("there")))[0] == "ok"

    with hostile("serves") as holder:
        asyncio.run(run(holder))


def test_one_slow_dataset_takes_its_own_places_and_no_others() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url, max_in_flight=8) as desk:
            slow, other = desk.guard("slow", limits=Limits(max_in_flight=6)), desk.guard("other")
            under_way = [asyncio.create_task(ask(slow)) for _ in range(9)]
            await asyncio.sleep(0.1)
            holder.behave("serves")
            assert await ask(slow) == ("holder_busy", 1)
            assert (await ask(other))[0] == "ok"
            outcomes = [one[0] for one in await asyncio.gather(*under_way)]
            assert (outcomes.count("ok"), outcomes.count("holder_busy")) == (6, 3)
            assert (await ask(slow))[0] == "ok"

    with hostile("slow") as holder:
        asyncio.run(run(holder))


def test_a_caller_that_goes_away_gives_its_place_back_and_is_no_failure() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            guard = desk.guard(limits=Limits(max_in_flight=1))
            for _ in range(2 * FAILURES):
                gone = asyncio.create_task(guard.ask(QUERY))
                await asyncio.sleep(0.02)
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
            holder.behave("serves")
            assert (await ask(guard))[0] == "ok"

    with hostile("silent") as holder:
        asyncio.run(run(holder))


def test_a_probe_whose_caller_goes_away_leaves_its_place_to_the_next() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            guard = desk.guard()
            await ask(guard, FAILURES)
            desk.clock.now += FIRST_REST
            holder.behave("silent")
            gone = asyncio.create_task(guard.ask(QUERY))
            await asyncio.sleep(0.05)
            assert await ask(guard) == ("holder_unreachable", 1)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            holder.behave("serves")
            assert await ask(guard) == ("ok", None)

    with hostile("failing") as holder:
        asyncio.run(run(holder))


def test_what_a_cut_off_holder_is_not_asked_takes_nothing_of_the_limit() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            guard = desk.guard(limits=Limits(requests=FAILURES + 1, seconds=3_600))
            with holder.absent():
                await ask(guard, FAILURES)
                assert await ask(guard, 10) == ("holder_unreachable", 5)
            desk.clock.now += FIRST_REST
            assert await ask(guard) == ("ok", None)
            assert (await ask(guard))[0] == "holder_busy"

    with hostile("serves") as holder:
        asyncio.run(run(holder))


def test_while_one_holder_drips_every_question_to_another_is_answered_and_none_waits_for_it() -> None:
    async def run(dripping: HostileHolder, well: HostileHolder) -> None:
        async with guarding(dripping.url, timeout=2) as theirs, guarding(well.url) as ours:
            slow, quick = theirs.guard("slow"), ours.guard("quick")
            under_way = [asyncio.create_task(ask(slow)) for _ in range(32)]
            await asyncio.sleep(0.1)
            assert [await ask(quick) for _ in range(50)] == [("ok", None)] * 50
            # All fifty came while every one of the dripping ones was still waited for.
            assert not any(one.done() for one in under_way)
            assert {one[0] for one in await asyncio.gather(*under_way)} == {"holder_timeout"}
            assert (await ask(slow))[0] == "holder_unreachable"

    with hostile("drip") as dripping, hostile("serves") as well:
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
        async with (
            guarding(f"http://localhost:{holder.port}") as ours,
            guarding("http://hanging.example", timeout=1) as two,
        ):
            # More than the event loop has threads for lookups.
            waiting = [asyncio.create_task(ask(two.guard(f"d{number}"))) for number in range(40)]
            await asyncio.sleep(0.05)
            assert (await ask(ours.guard()))[0] == "ok"
            assert not any(one.done() for one in waiting)
            assert sum(thread.name.startswith("resolve-h") for thread in threading.enumerate()) == 1
            assert {one[0] for one in await asyncio.gather(*waiting)} == {"holder_unreachable"}
            released.set()

    with hostile("serves") as holder:
        asyncio.run(run(holder))


def test_tls_of_another_name_is_not_the_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, key = certificate(tmp_path, "other.example")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    # Trusted, and still not for this name.
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))

    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            assert (await ask(desk.guard()))[0] == "holder_unreachable"

    with HostileHolder(tls=tls) as holder:
        holder.behave("serves")
        asyncio.run(run(holder))


@pytest.mark.parametrize("trouble", [*(name for name, _ in TROUBLES), "wrong_schema", "failing", "serves"])
def test_no_socket_and_no_thread_is_left_after_any_trouble(trouble: str) -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(f"http://localhost:{holder.port}", timeout=0.3) as desk:
            guard = desk.guard()
            await asyncio.gather(*[ask(guard) for _ in range(20)])
            await _until(lambda: not _sockets_to(holder.port))
            await _until(lambda: not [one for one in threading.enumerate() if one.name.startswith("resolve-")])
            assert (guard._room, desk.transport._in_flight) == (MANIFEST.limits.max_in_flight, 0)

    with hostile(trouble) as holder:
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

    with hostile("silent") as holder:
        asyncio.run(run(holder))


def test_what_is_kept_leaves_the_memory_after_its_time_though_nobody_asks() -> None:
    async def run(holder: HostileHolder) -> None:
        async with guarding(holder.url) as desk:
            cache = Cache(stands=lambda _index: True)
            dataset = Dataset(replace(MANIFEST, cache_seconds=1), desk.guard(), cache)
            query = replace(QUERY, status_index=7)
            answers = [await dataset.fetch(query) for _ in range(3)]
            assert [one.cached for one in answers] == [False, True, True]
            assert (holder.connections, len(cache)) == (1, 1)
            await _until(lambda: not len(cache))
            assert not (await dataset.fetch(query)).cached
            # Without an authorisation nothing is kept, without the manifest's word neither.
            assert not [await dataset.fetch(QUERY) for _ in range(2)][1].cached
            plain = Dataset(MANIFEST, desk.guard(), cache)
            assert not [await plain.fetch(query) for _ in range(2)][1].cached

    with hostile("serves") as holder:
        asyncio.run(run(holder))
