"""Everything about her in one file to keep (GDPR articles 15 and 20): her authorisations' records, every entry.

One JSON document, an entry on each line, written as it is read: its length is not known before. Each entry is a proof
file of its own, as '/verifier' and ``accord audit verify-proof`` check it. A file that was cut short does not end.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from consent.pages.site import Site
from consent.pages.texts import say
from consent.ports import Export
from consent.session import Session
from openapi.problem import Language

CHUNK_BYTES = 65_536
"""About how much is sent at once."""


def add_export(router: APIRouter, site: Site) -> None:
    """Add the file."""

    @router.get("/mes-acces/export")
    def export(request: Request) -> StreamingResponse:
        session, now = site.visitor(request), datetime.fromtimestamp(int(site.clock()), UTC)
        # What stands in the way stands in the way before the answer begins.
        found = site.accesses.export(session.citizen.pseudonym)
        document = _document(site, session, found, language=site.language(request), now=now)
        headers = {
            "Content-Disposition": f'attachment; filename="accord-mes-acces-{now.date()}.json"',
            "Cache-Control": "no-store",
        }
        return StreamingResponse(_chunks(document), media_type="application/json", headers=headers)


def _document(site: Site, session: Session, found: Export, *, language: Language, now: datetime) -> Iterator[str]:
    head = {
        "explanation": [say(language, f"export.{name}") for name in ("what", "entries", "check", "erased")],
        "made_at": now.isoformat().replace("+00:00", "Z"),
        "log_key": site.log_key,
        "checkpoint": found.checkpoint,
    }
    yield _json(head)[:-1] + ',\n"authorisations": ['
    citizen, comma = session.citizen.pseudonym, ""
    for grant in site.desk.grants_of(citizen):
        yield comma + "\n" + _json(site.desk.record(grant.grant_id, citizen))
        comma = ","
    yield '\n],\n"entries": ['
    count, comma = 0, ""
    for entry in found.entries:
        yield comma + "\n" + _json(asdict(entry))
        count, comma = count + 1, ","
    yield f'\n],\n"count": {count}\n}}\n'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _chunks(parts: Iterator[str]) -> Iterator[bytes]:
    held = bytearray()
    for part in parts:
        held += part.encode()
        if len(held) >= CHUNK_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held)
