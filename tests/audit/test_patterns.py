"""Unusual patterns: where the figures say so, in neutral words, and nothing in a normal month."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import patterns
from audit.patterns import (
    HOUR,
    MAX_CLIENTS,
    MAX_HOURS,
    MAX_LOOKS,
    MAX_SHOWN,
    PARIS,
    WINDOW,
    LeftOut,
    Observation,
    Pattern,
    find_patterns,
    off_hours,
    sentence,
    what_was_left_out,
)

TOWN, DEPARTMENT = "21990001600011", "22990001500013"
MONDAY = "2026-11-02T09:00"


def at(text: str, *, fold: int = 0) -> int:
    """Unix seconds of a time of Paris; ``fold``: 1 for the second of two alike."""
    return int(datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold).timestamp())


def seen(
    time: int,
    *,
    index: int = 0,
    client: str = "portail",
    kind: str = "access",
    citizen: str | None = None,
    recipient: str = TOWN,
    outcome: str = "",
) -> Observation:
    said = outcome or ("ok" if kind == "access" else "scope_not_granted")
    return Observation(index, time, recipient, client, said, kind, citizen)


def many(count: int, start: int, *, step: int = 1, **more: object) -> list[Observation]:
    return [seen(start + step * number, index=number, **more) for number in range(count)]  # type: ignore[arg-type]  # as seen() has them


def shown(observations: Sequence[Observation], kind: str) -> list[Pattern]:
    return [one for one in find_patterns(observations).patterns if one.kind == kind]


def ordinary_hours(count: int, *, each: int = 4, client: str = "portail") -> list[Observation]:
    """So many working hours with ``each`` requests."""
    found: list[Observation] = []
    day = date(2026, 9, 7)
    while len(found) < count * each:
        hours = range(9, 17) if day.isoweekday() < 6 else range(0)
        for hour in hours:
            found += many(each, at(f"{day.isoformat()}T{hour:02}:00"), client=client)
        day += timedelta(days=1)
    return found[: count * each]


def normal_month(seed: int) -> Iterator[Observation]:
    """Four organisations at work: counters from Monday to Friday, some late evenings, some refusals."""
    rng = random.Random(seed)  # noqa: S311  # a synthetic month, not a secret
    days = [one for one in (date(2026, 10, 1) + timedelta(days=n) for n in range(31)) if one.isoweekday() < 6]
    index = 0
    for client, recipient, pace in (("cantine", "A", 3), ("creche", "A", 2), ("bourses", "B", 5), ("piscine", "C", 1)):
        for day in days:
            for _ in range(rng.randint(4 * pace, 9 * pace)):
                late = rng.random() < 0.03
                hour = rng.choice((19, 20)) if late else rng.choice((8, 9, 10, 11, 14, 15, 16))
                moment = at(f"{day.isoformat()}T{hour:02}:{rng.randrange(60):02}")
                kind = rng.choices(("access", "refusal", "failure"), (94, 4, 2))[0]
                # Families deal with one or two applications of their town.
                citizen = f"{recipient}-{rng.randrange(40 * pace)}"
                yield seen(moment, index=index, client=client, recipient=recipient, kind=kind, citizen=citizen)
                index += 1


@pytest.mark.parametrize("seed", range(5))
def test_a_normal_month_shows_nothing(seed: int) -> None:
    found = find_patterns(normal_month(seed))
    assert found.observations > 1_000
    assert (found.patterns, found.left_out) == ((), LeftOut())


def test_a_period_without_entries_shows_nothing() -> None:
    assert find_patterns([]).patterns == ()


def test_entries_that_are_no_requests_are_passed_over() -> None:
    found = find_patterns(many(500, at("2026-11-01T03:00"), kind="grant.given", citizen="hers"))
    assert (found.patterns, found.observations) == ((), 0)


def test_an_hour_of_more_than_five_medians_and_more_than_twenty_requests_is_a_burst() -> None:
    usual = ordinary_hours(9, each=5)
    start = at(MONDAY)
    assert shown([*usual, *many(25, start)], "burst") == []
    (burst,) = shown([*usual, *many(26, start)], "burst")
    assert (burst.subject, burst.count, burst.since, burst.until) == ("portail", 26, start, start + HOUR)
    assert burst.facts == {"median": 5}
    assert burst.query == {"client": "portail", "since": "2026-11-02T08:00:00Z", "until": "2026-11-02T09:00:00Z"}


def test_a_quiet_clients_hour_of_twenty_requests_is_no_burst_and_of_twenty_one_is_one() -> None:
    usual = ordinary_hours(9, each=1)
    assert shown([*usual, *many(20, at(MONDAY))], "burst") == []
    assert len(shown([*usual, *many(21, at(MONDAY))], "burst")) == 1


def test_a_median_between_two_hours_is_said_with_its_half() -> None:
    usual = [*ordinary_hours(3, each=2), *many(3, at("2026-10-05T09:00")), *many(3, at("2026-10-06T09:00"))]
    (burst,) = shown([*usual, *many(40, at(MONDAY))], "burst")
    assert burst.facts == {"median": "2.5"}
    assert sentence(burst, "fr").endswith("(médiane\xa0: 2,5)")


def test_a_client_of_a_single_hour_has_no_habit_to_be_far_from() -> None:
    assert shown(many(1_000, at(MONDAY)), "burst") == []


def test_one_clients_burst_is_measured_by_its_own_hours() -> None:
    busy, quiet = ordinary_hours(9, each=30, client="busy"), ordinary_hours(9, each=1, client="quiet")
    spikes = [*many(40, at(MONDAY), client="busy"), *many(40, at(MONDAY), client="quiet")]
    assert [one.subject for one in shown([*busy, *quiet, *spikes], "burst")] == ["quiet"]


def test_the_hour_that_comes_twice_in_autumn_is_two_hours() -> None:
    usual = ordinary_hours(9, each=4)
    first, second = at("2026-10-25T02:30"), at("2026-10-25T02:30", fold=1)
    assert second - first == HOUR
    assert shown([*usual, *many(20, first), *many(20, second)], "burst") == []
    assert len(shown([*usual, *many(40, first)], "burst")) == 1


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-02T06:59", "night"),
        ("2026-11-02T07:00", None),
        ("2026-11-02T19:59", None),
        ("2026-11-02T20:00", "night"),
        ("2026-11-06T23:59", "night"),
        ("2026-11-07T00:00", "weekend"),
        ("2026-11-08T23:59", "weekend"),
        ("2026-11-09T00:00", "night"),
        # The first working days of winter and of summer time.
        ("2026-10-26T06:59", "night"),
        ("2026-10-26T07:00", None),
        ("2027-03-29T06:59", "night"),
        ("2027-03-29T07:00", None),
    ],
)
def test_office_hours_are_those_of_paris_in_summer_and_in_winter(moment: str, expected: str | None) -> None:
    assert off_hours(at(moment)) == expected


def test_seven_in_paris_is_five_in_summer_and_six_in_winter_in_utc() -> None:
    assert off_hours(int(datetime.fromisoformat("2026-10-23T05:00Z").timestamp())) is None
    assert off_hours(int(datetime.fromisoformat("2026-10-26T05:00Z").timestamp())) == "night"


def test_ten_accesses_out_of_hours_are_shown_and_nine_are_not() -> None:
    night = at("2026-11-02T22:00")
    assert shown(many(9, night), "off_hours") == []
    (pattern,) = shown(many(10, night), "off_hours")
    assert (pattern.count, pattern.facts) == (10, {"among": 10, "nights": 10, "weekends": 0})
    assert (pattern.since, pattern.until) == (night, night + 10)


def test_a_tenth_of_the_accesses_out_of_hours_is_not_shown_and_more_is() -> None:
    night = many(10, at("2026-11-07T22:00"))
    assert shown([*night, *ordinary_hours(45, each=2)], "off_hours") == []
    (pattern,) = shown([*night, *ordinary_hours(44, each=2), seen(at(MONDAY))], "off_hours")
    assert pattern.facts == {"among": 99, "nights": 0, "weekends": 10}


def test_refusals_out_of_hours_are_no_accesses() -> None:
    assert shown(many(50, at("2026-11-02T22:00"), kind="refusal"), "off_hours") == []


def test_ten_refusals_are_shown_when_more_than_a_fifth_is_refused() -> None:
    refused = many(10, at(MONDAY), kind="refusal")
    assert shown(refused[:9], "refusals") == []
    assert shown([*refused, *ordinary_hours(40, each=1)], "refusals") == []
    (pattern,) = shown([*refused, *ordinary_hours(39, each=1)], "refusals")
    assert (pattern.count, pattern.facts) == (10, {"among": 49})


def test_failures_of_holders_are_no_refusals() -> None:
    assert shown(many(50, at(MONDAY), kind="failure"), "refusals") == []


def test_refusals_of_one_reason_are_found_by_it_and_those_of_several_are_not() -> None:
    refused = many(10, at(MONDAY), kind="refusal", outcome="grant_withdrawn")
    (alike,) = shown(refused, "refusals")
    assert alike.query["outcome"] == "grant_withdrawn"
    (mixed,) = shown([*refused, *many(10, at(MONDAY), kind="refusal", outcome="token_expired")], "refusals")
    assert set(mixed.query) == {"client", "since", "until"}


def looked_up(*looks: tuple[str, str, int]) -> list[Observation]:
    return [
        seen(at(MONDAY) + late, index=number, client=client, recipient=recipient, citizen="hers")
        for number, (client, recipient, late) in enumerate(looks, 100)
    ]


def test_a_citizen_looked_up_by_three_applications_of_two_organisations_in_thirty_days_is_shown() -> None:
    looks = looked_up(("a", TOWN, 0), ("b", TOWN, 5), ("c", DEPARTMENT, WINDOW))
    (pattern,) = find_patterns(looks).patterns
    assert (pattern.kind, pattern.subject, pattern.count) == ("several_applications", "hers", 3)
    assert (pattern.first_index, pattern.last_index) == (100, 102)
    assert pattern.facts == {"applications": 3, "recipients": 2}
    assert pattern.query == {"citizen": "hers", "since": "2026-11-02T08:00:00Z", "until": "2026-12-02T08:00:01Z"}


@pytest.mark.parametrize(
    "looks",
    [
        [("a", TOWN, 0), ("b", TOWN, 5), ("c", DEPARTMENT, WINDOW + 1)],
        [("a", TOWN, 0), ("b", TOWN, 5), ("c", TOWN, 9)],
        [("a", TOWN, 0), ("b", DEPARTMENT, 5), ("a", DEPARTMENT, 9)],
    ],
    ids=["a second more than thirty days", "one organisation", "two applications"],
)
def test_fewer_or_further_apart_are_not_shown(looks: list[tuple[str, str, int]]) -> None:
    assert find_patterns(looked_up(*looks)).patterns == ()


def test_without_citizens_nobody_is_compared() -> None:
    looks = [seen(at(MONDAY), client=client, recipient=client) for client in "abcdef"]
    assert find_patterns(looks).patterns == ()


def test_refused_looks_are_not_compared() -> None:
    looks = [seen(at(MONDAY), client=one, recipient=one, citizen="hers", kind="refusal") for one in "abcdef"]
    assert find_patterns(looks).patterns == ()


def test_of_several_spans_the_one_with_most_applications_is_shown() -> None:
    early = looked_up(("a", TOWN, 0), ("b", TOWN, 1), ("c", DEPARTMENT, 2))
    late = looked_up(*((name, TOWN if name < "d" else DEPARTMENT, 3 * WINDOW) for name in "abcd"))
    (pattern,) = shown([*late, *early], "several_applications")
    assert pattern.facts == {"applications": 4, "recipients": 2}


def test_clients_beyond_the_limit_are_counted_and_said() -> None:
    refused = [one for number in range(MAX_CLIENTS + 3) for one in many(2, at(MONDAY), client=f"client-{number}")]
    found = find_patterns([*refused, seen(at(MONDAY), client="")])
    assert found.left_out == LeftOut(clients=6, nameless=1)
    assert what_was_left_out(found, "en") == (
        "Requests not looked at, beyond 2,000 applications: 6",
        "Requests of no identified application, not looked at: 1",
    )
    assert what_was_left_out(found, "fr")[0].endswith("au-delà de 2\u202f000 applications\xa0: 6")


def test_hours_beyond_the_limit_are_counted_and_those_known_go_on() -> None:
    hours = MAX_HOURS + 5
    found = find_patterns(seen(HOUR * (number % hours), kind="failure") for number in range(hours + 40))
    assert (found.observations, found.left_out) == (hours + 40, LeftOut(hours=5))


def test_accesses_beyond_the_limit_are_not_compared_by_person() -> None:
    start = at(MONDAY)
    looks = (seen(start + number % HOUR, citizen=str(number % 50_000)) for number in range(MAX_LOOKS + 9))
    found = find_patterns(looks)
    assert found.left_out == LeftOut(looks=9)
    assert what_was_left_out(found, "fr") == (
        "Consultations non rapprochées par personne, au-delà de 200\u202f000\xa0: 9",
    )


def test_only_the_latest_of_a_kind_are_shown_and_the_others_are_counted() -> None:
    refused = [
        one
        for number in range(MAX_SHOWN + 7)
        for one in many(10, at(MONDAY) + 60 * number, kind="refusal", client=f"client-{number}")
    ]
    found = find_patterns(refused)
    assert (len(found.patterns), found.left_out) == (MAX_SHOWN, LeftOut(patterns=7))
    assert found.patterns[0].subject == f"client-{MAX_SHOWN + 6}"
    assert "client-6" not in {one.subject for one in found.patterns}


def everything() -> list[Observation]:
    return [
        *ordinary_hours(30, each=1),
        *many(1_234, at(MONDAY)),
        *many(40, at("2026-11-07T22:00"), client="nuit"),
        *many(40, at(MONDAY), kind="refusal", client="refus"),
        *looked_up(("a", TOWN, 0), ("b", TOWN, 5), ("c", DEPARTMENT, 86_400)),
    ]


def test_each_pattern_is_said_in_neutral_words_in_both_languages() -> None:
    said = {one.kind: (sentence(one, "fr"), sentence(one, "en")) for one in find_patterns(everything()).patterns}
    assert said == {
        "burst": (
            "1\u202f234 demandes en une heure, le 02/11/2026 à partir de 9\xa0h (médiane\xa0: 1)",
            "1,234 requests in one hour, on 2026-11-02 from 09:00 (median: 1)",
        ),
        "off_hours": (
            (
                "40 consultations entre 20\xa0h et 7\xa0h (0) ou le week-end (40), sur 40 (100\xa0%), "
                "du 07/11/2026 au 07/11/2026"
            ),
            "40 accesses between 20:00 and 07:00 (0) or at weekends (40), of 40 (100%), from 2026-11-07 to 2026-11-07",
        ),
        "refusals": (
            "40 refus sur 40 demandes (100\xa0%), du 02/11/2026 au 02/11/2026",
            "40 refusals of 40 requests (100%), from 2026-11-02 to 2026-11-02",
        ),
        "several_applications": (
            (
                "3 consultations portant sur une même personne, par 3 applications de 2 organismes, "
                "du 02/11/2026 au 03/11/2026"
            ),
            "3 accesses to the data of one person, by 3 applications of 2 organisations, from 2026-11-02 to 2026-11-03",
        ),
    }


def test_no_sentence_judges() -> None:
    words = " ".join(text for sentences in patterns._SENTENCES.values() for text in sentences.values()) + " ".join(
        text for sentences in patterns._LEFT_OUT.values() for text in sentences.values()
    )
    for judgement in ("suspect", "suspic", "anomal", "anormal", "abus", "fraud", "illég", "illegal", "alert", "viol"):
        assert judgement not in words.lower()


TIMES = st.integers(at("2026-10-20T00:00"), at("2026-12-20T00:00"))
NAMES = st.sampled_from(["a", "b", "c", "d"])
OBSERVATIONS = st.builds(
    Observation,
    index=st.integers(0, 10**9),
    time=TIMES | st.integers(at(MONDAY), at(MONDAY) + 3 * HOUR),
    recipient=st.sampled_from([TOWN, DEPARTMENT]),
    client=NAMES,
    outcome=st.sampled_from(["ok", "grant_withdrawn"]),
    kind=st.sampled_from(["access", "access", "refusal", "failure", "grant.given"]),
    citizen=st.none() | st.sampled_from(["hers", "his"]),
)


def counts_towards(pattern: Pattern, one: Observation) -> bool:
    """The definition of a pattern's entries, read off its query and its kind."""
    query = pattern.query
    return (
        query["since"] <= written(one.time) < query["until"]
        and query.get("client", one.client) == one.client
        and query.get("citizen", one.citizen) == one.citizen
        and query.get("outcome", one.outcome) == one.outcome
        and {
            "burst": one.kind in {"access", "refusal", "failure"},
            "off_hours": one.kind == "access" and off_hours(one.time) is not None,
            "refusals": one.kind == "refusal",
            "several_applications": one.kind == "access",
        }[pattern.kind]
    )


def written(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(OBSERVATIONS, min_size=30, max_size=120),
    st.integers(1, 4),
    st.integers(0, 60),
    st.randoms(use_true_random=False),
)
def test_a_patterns_count_is_that_of_the_entries_its_query_finds_in_any_order(
    some: list[Observation], times: int, spike: int, rng: random.Random
) -> None:
    observations = [*some * times, *many(spike, at(MONDAY), client="a")]
    found = find_patterns(observations)
    for pattern in found.patterns:
        mine = [one for one in observations if counts_towards(pattern, one)]
        assert pattern.count == len(mine) <= found.observations <= len(observations)
        assert (pattern.first_index, pattern.last_index) == (min(o.index for o in mine), max(o.index for o in mine))
        assert all(pattern.since <= one.time < pattern.until for one in mine)
        assert sentence(pattern, "fr") != sentence(pattern, "en")
    shuffled = list(observations)
    rng.shuffle(shuffled)
    assert find_patterns(shuffled) == found
    assert max(Counter((p.kind, p.subject) for p in found.patterns if p.kind != "burst").values(), default=1) == 1
