"""A port that is taken is said so, and another one offered."""

import socket
from collections.abc import Iterator

import pytest

from sandbox.ports import PortTaken, choose_port, is_free
from tests.sandbox.conftest import free_port

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


def test_a_free_port_is_taken_without_a_question() -> None:
    port = free_port()
    assert choose_port(port, option="--port", agree=lambda _: pytest.fail("asked")) == port


def test_a_taken_port_is_named_with_the_one_offered(taken: int) -> None:
    offers: list[str] = []

    def agree(offer: str) -> bool:
        offers.append(offer)
        return True

    other = choose_port(taken, option="--port", agree=agree)
    assert other > taken
    assert offers == [f"Port {taken} is taken; {other} is free."]


def test_a_declined_offer_names_the_option(taken: int) -> None:
    with pytest.raises(PortTaken, match="--sandbox-port"):
        choose_port(taken, option="--sandbox-port", agree=lambda _: False)


def test_the_two_servers_never_get_the_same_port() -> None:
    port = free_port()
    assert choose_port(port, option="--sandbox-port", avoid=port, agree=lambda _: True) != port


def test_there_is_no_port_after_the_last() -> None:
    assert not is_free(65_536)
