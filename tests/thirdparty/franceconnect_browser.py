"""A citizen's browser at a FranceConnect: follows redirects, says who logs in, brings back what it was given."""

import re
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urljoin

import httpx

SECONDS = 20.0
REDIRECTS = 10


class Browser:
    """One person's browser, with her cookies. Whatever leaves FranceConnect's origin is where it stops."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._client = httpx.Client(timeout=SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def open(self, url: str) -> httpx.Response:
        """Follow ``url`` to a page, or to the redirect that leaves for the partner."""
        return self._follow(self._client.get(url))

    def log_in(self, url: str, *, person: str) -> dict[str, str]:
        """Log in as ``person`` where ``url`` leads; return what the partner is told."""
        page = self.open(url)
        assert page.status_code == 200, page.text
        back = self._follow(self._client.post(page.url, data={"person": person}))
        return told(back)

    def log_out(self, url: str) -> httpx.Response:
        """Open ``url`` and say yes on the page that asks whether to log out."""
        page = self.open(url)
        secret = re.search(r'name="xsrf" value="(\w+)"', page.text)
        assert secret, page.text
        answer = {"xsrf": secret[1], "logout": "yes"}
        return self._follow(self._client.post(f"{self._issuer}/session/end/confirm", data=answer))

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(REDIRECTS):
            target = urljoin(str(answer.url), answer.headers.get("location", ""))
            if not answer.is_redirect or not target.startswith(self._issuer):
                return answer
            answer = self._client.get(target)
        raise AssertionError("redirected without end")


def told(answer: httpx.Response) -> dict[str, str]:
    """What a redirect to the partner carries."""
    assert answer.is_redirect, answer.text
    return dict(parse_qsl(httpx.URL(answer.headers["location"]).query.decode()))
