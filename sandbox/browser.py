"""A browser without a screen: real HTTP, cookies kept, redirects followed, forms read from the page and submitted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urljoin

import httpx

TIMEOUT = 15.0
LARGEST_PAGE = 2_000_000


_PRESSED = ("submit", "disabled", "reset", "button")


class PageMissing(Exception):
    """A page has not what was looked for; the message says what, and where."""


@dataclass(frozen=True, slots=True)
class Control:
    """A form's ``input`` or ``button``. ``text`` is what a button shows."""

    kind: str
    name: str
    value: str
    checked: bool = False
    text: str = ""


@dataclass(slots=True)
class Form:
    """A form of a page. ``action`` is absolute."""

    action: str
    method: str
    controls: list[Control] = field(default_factory=list)

    def fields(self, pressed: Control) -> list[tuple[str, str]]:
        """Return what a browser sends when ``pressed`` is: hidden and text fields, checked boxes, the button itself."""
        sent = [
            (one.name, one.value)
            for one in self.controls
            if one.name and (one.checked if one.kind in ("checkbox", "radio") else one.kind not in _PRESSED)
        ]
        return [*sent, (pressed.name, pressed.value)] if pressed.name else sent


@dataclass(frozen=True, slots=True)
class Page:
    """An answer as a person sees it."""

    url: str
    status: int
    text: str
    forms: Sequence[Form]
    links: Sequence[str]
    """Absolute."""
    texts_by_id: dict[str, str]
    content: bytes = field(repr=False)

    def button(self, *, text: str = "", action: str = "", value: str = "") -> tuple[Form, Control]:
        """The first button whose text, form action and value match what is given. Raises :class:`PageMissing`."""
        for form in self.forms:
            for control in form.controls:
                if (
                    control.kind == "submit"
                    and text.lower() in control.text.lower()
                    and re.search(action, form.action)
                    and value in ("", control.value)
                ):
                    return form, control
        raise PageMissing(f"no button {text or value or action!r} on {self.url} (status {self.status})")

    def link(self, pattern: str) -> str:
        """The first link that matches. Raises :class:`PageMissing`."""
        for link in self.links:
            if re.search(pattern, link):
                return link
        raise PageMissing(f"no link {pattern!r} on {self.url} (status {self.status})")

    def shown(self, identifier: str) -> str:
        """Return the text of the element with that id. Raises :class:`PageMissing`."""
        if identifier not in self.texts_by_id:
            raise PageMissing(f"nothing called {identifier!r} on {self.url} (status {self.status})")
        return " ".join(self.texts_by_id[identifier].split())


class Browser:
    """One visitor. Use as a context manager."""

    def __init__(self) -> None:
        self._client = httpx.Client(
            event_hooks={"response": [self._trust_localhost]},
            timeout=TIMEOUT,
            follow_redirects=True,
            trust_env=False,
            headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "fr"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def open(self, url: str) -> Page:
        """Follow a link, or type an address."""
        return self._load(self._client.build_request("GET", url))

    def press(self, button: tuple[Form, Control]) -> Page:
        """Submit the button's form."""
        form, pressed = button
        content = urlencode(form.fields(pressed))
        if form.method == "get":
            return self._load(self._client.build_request("GET", f"{form.action}?{content}"))
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": _origin(form.action)}
        return self._load(self._client.build_request("POST", form.action, content=content, headers=headers))

    def _trust_localhost(self, _response: httpx.Response) -> None:
        """Browsers take localhost for a secure context: Secure and __Host- cookies come back over http there."""
        for cookie in self._client.cookies.jar:
            cookie.secure = cookie.secure and not cookie.domain.startswith("localhost")

    def _load(self, request: httpx.Request) -> Page:
        response = self._client.send(request, stream=True)
        try:
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > LARGEST_PAGE:
                    raise PageMissing(f"{response.url.path} answers more than {LARGEST_PAGE} bytes")
        finally:
            response.close()
        return _read(str(response.url), response.status_code, content)


def _origin(url: str) -> str:
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode('ascii')}"


def _read(url: str, status: int, content: bytes) -> Page:
    reader = _Reader(url)
    reader.feed(content.decode("utf-8", errors="replace"))
    text = " ".join("".join(reader.text).split())
    ids = {name: "".join(parts) for name, parts in reader.texts_by_id.items()}
    return Page(url, status, text, reader.forms, reader.links, ids, content)


class _Reader(HTMLParser):
    """Collects forms, links and texts. Our pages close their elements, void ones apart."""

    _VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
    _SILENT = frozenset({"script", "style", "head"})

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.texts_by_id: dict[str, list[str]] = {}
        self._open: list[tuple[str, str | None]] = []
        self._button: tuple[dict[str, str], list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element is."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = given.get("method", "get").lower()
            self.forms.append(Form(urljoin(self.url, given.get("action", "")), method))
        elif tag == "a" and "href" in given:
            self.links.append(urljoin(self.url, given["href"]))
        elif tag == "button":
            self._button = given, []
        elif tag == "input" and self.forms:
            kind = given.get("type", "text")
            value = given.get("value", "on" if kind in ("checkbox", "radio") else "")
            self.forms[-1].controls.append(Control(kind, given.get("name", ""), value, "checked" in given))
        if tag not in self._VOID:
            self._open.append((tag, given.get("id")))
            if "id" in given:
                self.texts_by_id[given["id"]] = []

    def handle_endtag(self, tag: str) -> None:
        """Close the element, and those left open inside it."""
        if tag == "button" and self._button is not None and self.forms:
            given, text = self._button
            if "disabled" in given:
                given = {**given, "type": "disabled"}
            shown = " ".join("".join(text).split())
            kind = given.get("type", "submit")
            self.forms[-1].controls.append(Control(kind, given.get("name", ""), given.get("value", ""), text=shown))
            self._button = None
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                continue

    def handle_data(self, data: str) -> None:
        """Give the text to everything it is inside of."""
        if any(tag in self._SILENT for tag, _ in self._open):
            return
        self.text.append(data)
        if self._button is not None:
            self._button[1].append(data)
        for _, identifier in self._open:
            if identifier is not None:
                self.texts_by_id[identifier].append(data)
