"""Windows of requests, and the headers that tell of them."""

from audit.model import Receipt
from exchange.dropin.headers import answer_headers, content_type, refusal_headers
from exchange.dropin.limits import MOST_KEYS, Limit, Limiter


def test_a_window_allows_so_many_requests_and_the_next_begins_anew() -> None:
    limiter = Limiter(Limit(2, 60))
    used = [limiter.count("a", now=120 + second) for second in (0, 1, 2, 3)]
    assert [one.remaining for one in used] == [1, 0, 0, 0]
    assert [one.is_over for one in used] == [False, False, True, True]
    assert [one.is_first_over for one in used] == [False, False, True, False]
    assert used[0].reset == 180
    assert used[3].retry_in(123) == 57
    assert limiter.count("b", now=123).remaining == 1
    assert limiter.count("a", now=180).remaining == 1


def test_only_the_counts_of_one_window_are_held() -> None:
    limiter = Limiter(Limit(2, 1))
    for second in range(1_000):
        limiter.count(f"application-{second}", now=second)
    assert limiter._counts == {"application-999": 1}


def test_what_would_come_next_is_told_without_counting() -> None:
    limiter = Limiter(Limit(1, 60))
    assert [limiter.next("a", now=0).is_over for _ in range(3)] == [False] * 3
    limiter.count("a", now=0)
    assert limiter.next("a", now=0).is_over
    assert not limiter.next("a", now=60).is_over


def test_ever_new_keys_take_no_more_memory_than_so_many() -> None:
    limiter = Limiter(Limit(2, 60))
    last = [limiter.count(f"address-{number}", now=0) for number in range(MOST_KEYS + 3)][-1]
    assert len(limiter._counts) == MOST_KEYS + 1
    assert (last.used, last.is_over) == (3, True)
    assert limiter.count("address-0", now=0).used == 2


def test_headers_are_those_of_the_states_apis() -> None:
    usage = Limiter(Limit(20, 1)).count("a", now=1_700_000_000.5)
    receipt = Receipt(7, None, b'{"kind":"access"}', "c2sp.org/tlog-proof@v1\nindex 7\n")
    headers = dict(answer_headers([], usage=usage, cached=False, receipt=receipt))
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"ratelimit-limit"] == b"20"
    assert headers[b"ratelimit-remaining"] == b"19"
    assert headers[b"ratelimit-reset"] == b"1700000001"
    assert headers[b"x-response-cached"] == b"false"
    assert headers[b"accord-entry"] == b":eyJraW5kIjoiYWNjZXNzIn0=:"
    refusal = dict(refusal_headers([], status=429, slug="rate_limited", retry_in=1, usage=usage))
    assert refusal[b"retry-after"] == b"1"
    assert b"www-authenticate" not in refusal
    asked = dict(refusal_headers([], status=401, slug="application_token_missing", retry_in=None, usage=None))
    assert asked[b"www-authenticate"].endswith(b'Bearer realm="accord"')


def test_json_api_is_answered_where_it_is_asked_for() -> None:
    accepting = [(b"accept", b"text/html, application/vnd.api+json;q=0.9")]
    assert content_type(accepting) == b"application/vnd.api+json"
    assert content_type([(b"accept", b"*/*")]) == b"application/json"
