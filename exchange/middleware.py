"""What surrounds every request that is not an exchange: bounded bodies, headers that browsers obey, certificates."""

from consent.routes import CERTIFICATE
from exchange.asgi import AsgiApp, Message, Receive, Scope, Send
from exchange.errors import ProblemWriter
from exchange.identify import language
from exchange.recipient import Proxies
from openapi.problem import AccordError

MAX_BODY_BYTES = 65_536
"""No request to Accord needs more."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class _TooLarge(Exception):  # never leaves this file
    pass


class Surroundings:
    """Refuses a body over :data:`MAX_BODY_BYTES` while it arrives and adds the headers to every answer."""

    def __init__(self, app: AsgiApp, *, problems: ProblemWriter, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope of any type."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        if (certificate := self._proxies.certificate(scope)) is not None:
            scope[CERTIFICATE] = certificate

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message["headers"]}
                extra = [header for header in _HEADERS if header[0] not in present]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            await self._app(scope, _bounded(receive), send_with_headers)
        except _TooLarge:
            if started:
                raise
            error = AccordError("request_too_large", limit=MAX_BODY_BYTES)
            reply = self._problems.reply(error, request_id="", language=language(scope["headers"]))
            await reply.send(send)


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise _TooLarge
        return message

    return receive_bounded
