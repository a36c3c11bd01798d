"""Ports of the demo: the wanted one, or the next free one, said in a sentence."""

import errno
import socket
from collections.abc import Callable

TRIES = 50
LAST_PORT = 65_535
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class PortTaken(Exception):
    """No port, in the words the person who started the demo reads."""


def choose_port(wanted: int, *, option: str, avoid: int | None = None, agree: Callable[[str], bool]) -> int:
    """``wanted`` if it is free, else the next free one if ``agree`` says yes to the sentence that offers it.

    Raises :class:`PortTaken`. ``option`` is the command line's way to choose another.
    """
    if wanted != avoid and is_free(wanted):
        return wanted
    other = next((port for port in range(wanted + 1, wanted + 1 + TRIES) if port != avoid and is_free(port)), None)
    if other is None:
        raise PortTaken(f"Port {wanted} and the {TRIES} after it are taken: choose another with {option}.")
    if not agree(f"Port {wanted} is taken; {other} is free."):
        raise PortTaken(f"Port {wanted} is taken: stop what uses it, or choose another with {option}.")
    return other


def is_free(port: int) -> bool:
    """Whether nothing listens on any loopback address: a browser may try either for ``localhost``."""
    return port <= LAST_PORT and all(_can_bind(family, host, port) for family, host in LOOPBACKS)


def _can_bind(family: socket.AddressFamily, host: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # A port whose last connections are still closing is free for a server, which sets this too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            # No IPv6 on this machine is not a port taken.
            return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
