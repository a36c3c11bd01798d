"""Whether this process lives (``/healthz``) and whether it may be sent exchanges (``/readyz``)."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The state of one process."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ok", "not_ready"]
    failing: Annotated[list[str], Field(description="the checks that fail, by name")] = []


def router(checks: dict[str, Callable[[], bool]]) -> APIRouter:
    """``checks``: name -> whether it passes; cheap, from memory."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/healthz", summary="Liveness")
    async def healthz() -> Health:
        """Answers as long as the process runs."""
        return Health(status="ok")

    @routes.get("/readyz", summary="Readiness", responses={503: {"model": Health, "description": "Not ready"}})
    async def readyz(response: Response) -> Health:
        """503 while exchanges would be refused: the log stopped, or what is known of withdrawals is too old."""
        failing = [name for name, passes in checks.items() if not passes()]
        if failing:
            response.status_code = 503
        return Health(status="not_ready" if failing else "ok", failing=failing)

    return routes
