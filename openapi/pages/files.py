"""The files served beside pages: addresses that change with the content, so that browsers may keep them."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from openapi.problem import AccordError

_HEADERS = {"Cache-Control": "public, max-age=86400"}


class Files:
    """The ``static`` folder of ``package``, served below ``prefix``. ``types``: media type by file name."""

    def __init__(self, package: str, prefix: str, types: Mapping[str, str]) -> None:
        folder = resources.files(package).joinpath("static")
        self._prefix = prefix
        self._types = types
        self._content = {name: folder.joinpath(name).read_bytes() for name in types}

    def url(self, name: str) -> str:
        """The address of a file, with its version."""
        return f"{self._prefix}/{name}?v={hashlib.sha256(self._content[name]).hexdigest()[:12]}"

    def add_to(self, router: APIRouter) -> None:
        """Serve them."""

        @router.get(f"{self._prefix}/{{name}}")
        def static(name: Annotated[str, Path(max_length=50)]) -> Response:
            if name not in self._content:
                raise AccordError("not_found")
            return Response(self._content[name], media_type=self._types[name], headers=_HEADERS)
