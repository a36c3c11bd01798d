import asyncio
import json
import time
from urllib.parse import urlsplit

import pytest
import uvloop

from bench.client import Tally, apply_load, percentile_us, requests_for
from bench.holder import FixedAnswer
from bench.load import Loaded, parse_report
from bench.processes import HOST, CannotRun
from bench.world import EXPECTED, holder_answer

REPORT = {"answers": 12, "wrong": 0, "seconds": 1.0, "p50_us": 5, "p99_us": 9}


class Answering(FixedAnswer):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(holder_answer()), holder_answer())


def test_the_report_is_the_last_line_that_is_an_object():
    assert parse_report(f"Running 1s test\n{json.dumps(REPORT)}\n") == Loaded(**REPORT)


def test_a_generator_that_reports_nothing_is_named():
    with pytest.raises(CannotRun, match="reported nothing"):
        parse_report("unable to connect")


def test_percentiles_are_by_nearest_rank():
    ordered = [number / 1_000 for number in range(1, 101)]
    assert [percentile_us(ordered, percent) for percent in (50, 99, 100)] == [50_000, 99_000, 100_000]
    assert percentile_us([], 50) == 0


@pytest.mark.enable_socket
@pytest.mark.parametrize(("expected", "is_right"), [(EXPECTED, True), ("absent", False)])
def test_our_own_client_compares_every_answer_and_uses_the_tokens_in_turn(tmp_path, expected, is_right):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("one\ntwo\n", encoding="ascii")
    tally = uvloop.run(_loaded(tokens, expected))
    assert (tally.right > 0, tally.wrong > 0) == (is_right, not is_right)
    assert len(tally.latencies) == tally.right + tally.wrong


def test_the_requests_carry_the_tokens_in_turn(tmp_path):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("one\ntwo\n", encoding="ascii")
    requests = requests_for(urlsplit("http://127.0.0.1:1/v1/x"), tokens)
    turns = [next(requests) for _ in range(3)]
    assert turns[0] == turns[2] != turns[1]
    assert turns[0].startswith(b"GET /v1/x HTTP/1.1\r\n")
    assert b"Authorization: Bearer one\r\n" in turns[0]


def test_the_holder_answers_what_is_expected():
    assert EXPECTED.encode() in holder_answer()


async def _loaded(tokens, expected):
    server = await asyncio.get_running_loop().create_server(Answering, HOST, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = urlsplit(f"http://{HOST}:{port}/")
        tally = Tally(requests_for(url, tokens), expected.encode(), time.perf_counter() + 0.05)
        await apply_load(url, tally, connections=2)
    return tally
