"""The log as events for a SIEM: OCSF 1.8.0 (Open Cybersecurity Schema Framework), one JSON object a line.

Class: **API Activity** (6003), not Datastore Activity (6005). An entry says that an application asked the gateway's
API for a dataset and what was answered. The gateway holds no data: Datastore Activity asks for the database, bucket
or table that was touched (``at_least_one``), which lies with a holder whom we do not see, and it has no activity for an
authorisation given or withdrawn, which API Activity's create, update and delete say.

No sealed detail ever leaves by here, nor its hash: an event is built from the names below alone, whatever the record
holds. Organisations' numbers, purpose and legal basis have no attribute in OCSF: they are under ``unmapped``.

The feed is resumable: ``metadata.sequence`` is the index in the log; what follows the last one received comes next.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from audit.query import AccessRecord

OCSF_VERSION = "1.8.0"
CATEGORY, CLASS = 6, 6003

_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_ACTIVITY_NAMES: Final = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}
_ACTIVITIES: Final = {
    "access": _READ,
    "refusal": _READ,
    "failure": _READ,
    "grant.given": _CREATE,
    "grant.suspended": _UPDATE,
    "grant.resumed": _UPDATE,
    "grant.withdrawn": _DELETE,
    "grant.expired": _DELETE,
    "keys.rotated": _UPDATE,
    "audit.query": _READ,
    "retention.applied": _DELETE,
    "archive.made": _READ,
}
"""By kind of entry; any other kind is 99, Other, under its own name."""

_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3
_SEVERITY_NAMES: Final = {_INFORMATIONAL: "Informational", _LOW: "Low", _MEDIUM: "Medium"}
_SEVERITIES: Final = {"refusal": _LOW, "failure": _MEDIUM}
_WORSE: Final = {"dpop_proof_replayed": _MEDIUM, "already_spent": _MEDIUM, "internal_error": _MEDIUM}
"""By outcome: what someone should look at. The rules of the SIEM decide what is an alert."""

_UNMAPPED: Final = {
    "recipient": "recipient_siret",
    "delegate": "delegate_siret",
    "purpose": "purpose",
    "legal_basis": "legal_basis",
    "rests_on": "rests_on",
    "bundle": "bundle",
    "fields": "fields",
    "rules": "rules",
    "act": "audit_act",
    "filter": "audit_filter",
    "ground": "audit_ground",
    "case": "audit_case",
    "role": "audit_role",
    "erased": "erased",
    "before": "erased_before",
}
_OURS: Final = frozenset({"keys.rotated", "retention.applied", "archive.made"})
"""Kinds of what the gateway or its operator does."""
_UNIDENTIFIED = "unidentified"
_EPOCH = datetime.fromtimestamp(0, UTC)


def ocsf_event(record: AccessRecord, *, product_version: str, log_origin: str) -> dict[str, object]:
    """One event. ``log_origin``: the name of the log, as its checkpoints have it.

    Raises ``ValueError`` when the entry's time is not RFC 3339 with a fraction, as entries have it.
    """
    entry = record.skeleton
    kind, outcome = _text(entry, "kind"), _text(entry, "outcome")
    return {
        **_classification(kind, outcome),
        "time": _milliseconds(_text(entry, "time")),
        "timezone_offset": 0,
        "message": " ".join(part for part in (kind, _text(entry, "dataset"), outcome) if part),
        "metadata": _metadata(record, product_version=product_version, log_origin=log_origin),
        "actor": _actor(entry, kind),
        "src_endpoint": _service(_text(entry, "client")),
        **({"dst_endpoint": _service(provider)} if (provider := _text(entry, "provider")) else {}),
        "api": _api(entry, kind, outcome),
        **({"resources": _resources(datasets)} if (datasets := _text(entry, "dataset")) else {}),
        "unmapped": {ours: entry[name] for name, ours in _UNMAPPED.items() if name in entry},
    }


def ocsf_lines(records: Iterable[AccessRecord], *, product_version: str, log_origin: str) -> Iterator[bytes]:
    """One event a line, in the order of the records, which is oldest first for a feed that can be resumed."""
    for record in records:
        event = ocsf_event(record, product_version=product_version, log_origin=log_origin)
        yield orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def _classification(kind: str, outcome: str) -> dict[str, object]:
    activity = _ACTIVITIES.get(kind, _OTHER)
    severity = max(_SEVERITIES.get(kind, _INFORMATIONAL), _WORSE.get(outcome, _INFORMATIONAL))
    activity_name = _ACTIVITY_NAMES.get(activity, kind)
    return {
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity,
        "type_name": f"API Activity: {activity_name if activity != _OTHER else 'Other'}",
        "severity_id": severity,
        "severity": _SEVERITY_NAMES[severity],
        "status_id": 1 if outcome == "ok" else 2,
        "status": "Success" if outcome == "ok" else "Failure",
        "status_code": outcome,
    }


def _metadata(record: AccessRecord, *, product_version: str, log_origin: str) -> dict[str, object]:
    entry = record.skeleton
    metadata = {
        "version": OCSF_VERSION,
        "product": {"name": "Accord", "vendor_name": "Accord", "version": product_version},
        # One SIEM may follow several logs.
        "uid": f"{log_origin}/{record.index}",
        "sequence": record.index,
        "original_event_uid": str(record.index),
        "original_time": _text(entry, "time"),
        "log_name": log_origin,
        "log_provider": "Accord",
        "event_code": _text(entry, "kind"),
    }
    request = _text(entry, "request_id")
    return {**metadata, "correlation_uid": request} if request else metadata


def _actor(entry: Mapping[str, object], kind: str) -> dict[str, object]:
    """The application that asked, or the auditor. A rotation of keys is the gateway's own act."""
    if client := _text(entry, "client"):
        return {"app_uid": client}
    if reader := _text(entry, "reader"):
        return {"user": {"uid": reader, "type": "User", "type_id": 1}}
    return {"app_name": "Accord" if kind in _OURS else _UNIDENTIFIED}


def _service(name: str) -> dict[str, object]:
    return {"svc_name": name or _UNIDENTIFIED}


def _api(entry: Mapping[str, object], kind: str, outcome: str) -> dict[str, object]:
    """``operation`` and ``request.uid`` are required by the schema, the latter where there is a request."""
    api: dict[str, object] = {
        "operation": "read" if _ACTIVITIES.get(kind) == _READ else kind,
        "service": {"name": "Accord"},
    }
    if request := _text(entry, "request_id"):
        api["request"] = {"uid": request}
    if outcome != "ok":
        api["response"] = {"error": outcome}
    return api


def _resources(datasets: str) -> list[dict[str, object]]:
    return [{"type": "dataset", "uid": dataset, "name": dataset} for dataset in datasets.split(",")]


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _milliseconds(time: str) -> int:
    return (datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%f%z") - _EPOCH) // timedelta(milliseconds=1)
