"""Operational logs: JSON lines on standard error, for the operator. The audit log is something else.

Nothing personal may reach them. An exception is logged by its type and the places it passed, without its message:
messages of libraries quote values.
"""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

import structlog

_ROOT = Path(__file__).resolve().parent.parent

log = structlog.get_logger("accord")


def configure_logs(level: str) -> None:
    """JSON lines from ``level`` up. Libraries speak from warnings up, through the same form."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_ThroughStructlog()], force=True)


def log_defect(error: BaseException, request_id: str) -> None:
    """Record a defect of ours so that it can be found, without repeating what it was about."""
    log.error("defect", request_id=request_id, error=type(error).__qualname__, places=_places(error.__traceback__))


class _ThroughStructlog(logging.Handler):
    """What libraries log: the message template alone, as its arguments may be personal."""

    def emit(self, record: logging.LogRecord) -> None:
        facts: dict[str, object] = {"logger": record.name, "template": str(record.msg)[:200]}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            facts.update(error=type(error).__qualname__, places=_places(error.__traceback__))
        log.log(record.levelno, "library", **facts)


def _places(trace: TracebackType | None) -> list[str]:
    return [f"{_short(frame.filename)}:{frame.lineno}" for frame in traceback.extract_tb(trace)][-12:]


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name
