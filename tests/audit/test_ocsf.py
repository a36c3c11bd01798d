"""Events for a SIEM, against what the OCSF schema asks of their class."""

import json
from collections.abc import Mapping, Sequence

import pytest

from audit.exports.ocsf import ocsf_event, ocsf_lines
from audit.query import AccessRecord

# github.com/ocsf/ocsf-schema, tag 1.8.0 (6fa6499a0f8c9f449d342816e90e5f687c224b0a): ``"requirement": "required"`` of
# events/base_event.json and events/application/api_activity.json, and of the objects that our events hold.
REQUIRED = {
    "": {
        *("activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"),
        *("actor", "api", "src_endpoint"),
    },
    "metadata": {"product", "version"},
    "api": {"operation"},
    "api.request": {"uid"},
}
# ``constraints.at_least_one`` of objects/actor.json, network_endpoint.json and _entity.json (product, service).
AT_LEAST_ONE = {
    "actor": {"process", "user", "invoked_by", "session", "app_name", "app_uid"},
    "src_endpoint": {"ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid", "interface_name"},
    "dst_endpoint": {"ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid", "interface_name"},
    "metadata.product": {"name", "uid"},
    "api.service": {"name", "uid"},
}
# The enumerations of events/application/api_activity.json, events/base_event.json and dictionary.json.
ACTIVITIES = {1: "Create", 2: "Read", 3: "Update", 4: "Delete"}
STATUSES = {1: "Success", 2: "Failure"}
SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"}

CANARY = "canary-7f3a"
DETAIL = dict.fromkeys(("citizen", "grant_id", "acr", "access", "duration_ms", "habilitation", "spent", "name"), CANARY)
ACCESS = {
    "v": 1,
    "kind": "access",
    "time": "2026-11-01T12:34:56.789Z",
    "request_id": "01JBKQ0000",
    "dataset": "quotient_familial",
    "fields": ["quotient_familial", "annee"],
    "recipient": "21350238800019",
    "delegate": "13002526500013",
    "client": "portail-rennes",
    "purpose": "tarif_cantine",
    "legal_basis": "rgpd-6-1-e",
    "provider": "api_particulier",
    "outcome": "ok",
    "sealed": "5ea1ed" * 10 + "beef",
}
UNKNOWN_CALLER = {name: ACCESS[name] for name in ("v", "time", "request_id", "sealed") if name in ACCESS} | {
    "kind": "refusal",
    "outcome": "invalid_token",
}
ENTRIES: Mapping[str, Mapping[str, object]] = {
    "an access": ACCESS,
    "a reading": {
        **{name: ACCESS[name] for name in ("v", "time", "request_id", "sealed")},
        "kind": "audit.query",
        "outcome": "ok",
        "act": "search",
        "reader": "a_" + "1" * 64,
        "role": "auditor",
        "filter": "dataset=quotient_familial",
    },
    "an erasure": {
        **{name: ACCESS[name] for name in ("v", "time", "request_id", "sealed", "dataset")},
        "kind": "retention.applied",
        "outcome": "ok",
        "erased": 17,
        "before": "2025-11-01T00:00:00.000Z",
    },
    "a refusal": {**ACCESS, "kind": "refusal", "outcome": "grant_withdrawn"},
    "a replay": {**ACCESS, "kind": "refusal", "outcome": "dpop_proof_replayed"},
    "a failure": {**ACCESS, "kind": "failure", "outcome": "provider_unavailable"},
    "an unknown caller": UNKNOWN_CALLER,
    "a grant": {**ACCESS, "kind": "grant.given", "dataset": "quotient_familial,statut_etudiant"},
    "a refused grant": {**ACCESS, "kind": "grant.refused"},
    "a withdrawal": {**ACCESS, "kind": "grant.withdrawn"},
    "a rotation": {
        **{name: ACCESS[name] for name in ("v", "time", "request_id", "sealed")},
        "kind": "keys.rotated",
        "outcome": "ok",
        "token_made": "kid-1",
        "token_dropped": ["kid-0"],
    },
    "a kind to come": {**ACCESS, "kind": "agents.met"},
}


def event_of(entry: Mapping[str, object], *, index: int = 41) -> dict[str, object]:
    record = AccessRecord(index, entry, DETAIL)
    return ocsf_event(record, product_version="0.1.0", log_origin="accord.example/log")


def part(event: Mapping[str, object], path: str) -> Mapping[str, object] | None:
    found: object = event
    for name in path.split(".") if path else ():
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_event_has_what_the_schema_requires_of_its_class(entry: Mapping[str, object]) -> None:
    event = event_of(entry)
    for path, names in REQUIRED.items():
        held = part(event, path)
        assert held is not None, path
        assert names <= set(held), path
    for path, names in AT_LEAST_ONE.items():
        held = part(event, path)
        assert held is not None or path == "dst_endpoint", path
        assert held is None or names & set(held), path


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_number_of_an_enumeration_has_its_caption(entry: Mapping[str, object]) -> None:
    event = event_of(entry)
    activity = event["activity_id"]
    assert (event["category_uid"], event["class_uid"]) == (6, 6003)
    assert event["type_uid"] == 600_300 + int(str(activity))
    # 99 is Other: its name is the source's own.
    assert event["activity_name"] == (entry["kind"] if activity == 99 else ACTIVITIES[int(str(activity))])
    assert event["status"] == STATUSES[int(str(event["status_id"]))]
    assert event["severity"] == SEVERITIES[int(str(event["severity_id"]))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("an access", (2, 1, 1)),
        ("a refusal", (2, 2, 2)),
        ("a replay", (2, 2, 3)),
        ("a failure", (2, 2, 3)),
        ("a grant", (1, 1, 1)),
        ("a withdrawal", (4, 1, 1)),
        ("a rotation", (3, 1, 1)),
        ("a kind to come", (99, 1, 1)),
    ],
)
def test_a_kind_has_its_activity_status_and_severity(name: str, expected: tuple[int, int, int]) -> None:
    event = event_of(ENTRIES[name])
    assert (event["activity_id"], event["status_id"], event["severity_id"]) == expected


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_no_sealed_detail_is_in_an_event_nor_its_hash(entry: Mapping[str, object]) -> None:
    line = b"".join(
        ocsf_lines([AccessRecord(1, entry, DETAIL)], product_version="0.1.0", log_origin="accord.example/log")
    )
    assert CANARY.encode() not in line
    assert b"5ea1ed" not in line
    assert not [
        name for name in ("citizen", "grant_id", "acr", "habilitation", "spent") if f'"{name}"' in line.decode()
    ]


def test_an_event_says_when_who_and_what_for() -> None:
    event = event_of(ACCESS)
    assert event["time"] == 1_793_536_496_789
    assert event["actor"] == {"app_uid": "portail-rennes"}
    assert event["src_endpoint"] == {"svc_name": "portail-rennes"}
    assert event["dst_endpoint"] == {"svc_name": "api_particulier"}
    assert event["resources"] == [{"type": "dataset", "uid": "quotient_familial", "name": "quotient_familial"}]
    assert event["unmapped"] == {
        "recipient_siret": "21350238800019",
        "delegate_siret": "13002526500013",
        "purpose": "tarif_cantine",
        "legal_basis": "rgpd-6-1-e",
        "fields": ["quotient_familial", "annee"],
    }


def test_a_feed_is_resumed_by_the_index_in_the_log() -> None:
    records = [AccessRecord(index, ACCESS, {}) for index in (7, 8, 9)]

    def read(some: Sequence[AccessRecord]) -> list[dict[str, dict[str, object]]]:
        lines = b"".join(ocsf_lines(some, product_version="0.1.0", log_origin="accord.example/log"))
        return [json.loads(line) for line in lines.splitlines()]

    whole = read(records)
    assert [one["metadata"]["sequence"] for one in whole] == [7, 8, 9]
    assert [one["metadata"]["uid"] for one in whole] == [f"accord.example/log/{index}" for index in (7, 8, 9)]
    last = whole[0]["metadata"]["sequence"]
    assert read([one for one in records if one.index > int(str(last))]) == whole[1:]


@pytest.mark.parametrize("time", ["", "yesterday", "2026-11-01T12:34:56.789", "2026-11-01"])
def test_an_entry_without_a_time_is_no_event(time: str) -> None:
    with pytest.raises(ValueError, match=r"time data|unconverted"):
        event_of({**ACCESS, "time": time})


def test_a_reading_of_the_log_names_its_reader_as_the_actor() -> None:
    event = ocsf_event(AccessRecord(7, ENTRIES["a reading"], {}), product_version="1", log_origin="accord.example/log")
    assert event["actor"] == {"user": {"uid": "a_" + "1" * 64, "type": "User", "type_id": 1}}
    assert event["activity_name"] == "Read"
    assert event["unmapped"]["audit_filter"] == "dataset=quotient_familial"
