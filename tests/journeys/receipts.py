"""Checking what an answer says of its entry, as whoever received it can: with the log's public key alone."""

import json
from binascii import a2b_base64

import httpx

from audit.verifier import verify_receipt
from tests.journeys.deployment import Deployment


def check_receipt(deployment: Deployment, *, entry: str, receipt: str) -> None:
    """It proves an access, and the log holds just that entry there."""
    proven = verify_receipt(receipt, entry.encode(), deployment.keyring().log.vkey)
    assert json.loads(entry)["kind"] == "access"
    assert deployment.entries()[proven.index] == entry


def check_receipt_in_headers(deployment: Deployment, answer: httpx.Response) -> None:
    """The same at a drop-in door, whose bodies are the State's: byte sequences (RFC 8941 section 3.3.5)."""
    entry, receipt = (_byte_sequence(answer.headers[name]) for name in ("accord-entry", "accord-receipt"))
    check_receipt(deployment, entry=entry, receipt=receipt)
    heads = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
    assert heads < 4_000, "a proxy's buffer for headers is often 4 KiB"


def _byte_sequence(value: str) -> str:
    assert value[0] == value[-1] == ":"
    return a2b_base64(value[1:-1], strict_mode=True).decode()
