"""One entry in full: its words, its exact bytes, its detail for who may see it, and its proof to take away."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from audit.auditors import Auditor
from audit.pages.form import address
from audit.pages.search import LAST_INDEX
from audit.pages.site import Site
from audit.pages.wording import SEARCH, filter_of
from audit.patterns import grouped
from audit.reading import OneEntry
from openapi.pages.routing import NO_STORE

_Index = Annotated[int, Path(ge=0, le=LAST_INDEX)]


def add_entry(router: APIRouter, site: Site) -> None:
    """Add the entry and its proof. Each is a reading of its own."""

    @router.get(f"{SEARCH}/entree/{{index}}")
    def entry(request: Request, index: _Index) -> Response:
        reader = site.reader(request)
        one = site.room.entry(reader, index)
        wording = site.wording(request, reader)
        content = {
            "row": wording.row(one.record),
            "number": grouped(index, wording.language),
            "lines": wording.lines(one.record),
            "detail": wording.detail(one.record),
            "seal": _seal(one, reader),
            "sealed": str(one.record.skeleton.get("sealed", "")),
            "leaf": one.leaf.decode(),
            "detail_text": one.detail.decode() if one.detail is not None else "",
            "salt": one.salt.hex() if one.salt is not None else "",
            "proof": _name(one),
            "again": _again(one),
            **_neighbours(index, reader),
        }
        return site.show(request, "entry.html", content=content)

    @router.get(f"{SEARCH}/entree/{{index}}/preuve")
    def proof(request: Request, index: _Index) -> Response:
        one = site.room.entry(site.reader(request), index)
        headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{_name(one)}"'}
        if one.salt is None or one.detail is None:
            return Response(one.proof, media_type="text/plain; charset=utf-8", headers=headers)
        file = {
            "entry": one.leaf.decode(),
            "salt": one.salt.hex(),
            "detail": one.detail.decode(),
            "proof": one.proof,
        }
        content = json.dumps(file, ensure_ascii=False, indent=2).encode()
        return Response(content, media_type="application/json", headers=headers)


def _name(one: OneEntry) -> str:
    """The proof's file: with what opens the seal for who may see it, the bare C2SP tlog-proof otherwise."""
    ending = "tlog-proof" if one.salt is None or one.detail is None else "json"
    return f"accord-preuve-{one.record.index}.{ending}"


def _seal(one: OneEntry, reader: Auditor) -> str:
    """What is to be said of the detail: closed to this role, erased, empty, or open."""
    if not reader.sees_details:
        return "closed"
    if one.detail is None:
        return "erased"
    return "open" if one.record.detail else "empty"


def _again(one: OneEntry) -> str:
    """The search that the entry of a reading is about, to be made again; nothing when it was about one person."""
    entry = one.record.skeleton
    asked = filter_of(entry)
    return address(SEARCH, asked) if asked and not entry.get("ground") else ""


def _neighbours(index: int, reader: Auditor) -> dict[str, str | None]:
    """The entries beside it. Who reads one organisation's is not told which numbers are another's."""
    if not reader.sees_everything:
        return {"previous": None, "following": None, "older": address(SEARCH, {}, before=index)}
    return {
        "previous": f"{SEARCH}/entree/{index - 1}" if index else None,
        # This reading is itself an entry: there is always a next one.
        "following": f"{SEARCH}/entree/{index + 1}",
        "older": None,
    }
