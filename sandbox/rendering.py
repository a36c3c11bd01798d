"""The sandbox's server-rendered pages: Jinja2 with autoescape and a strict content policy, no script at all."""

from collections.abc import Mapping, Sequence

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined


class Pages:
    """The templates of one package, rendered with the headers its pages carry."""

    def __init__(self, package: str) -> None:
        self._environment = Environment(
            loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def render(
        self,
        template: str,
        values: Mapping[str, object],
        *,
        status: int = 200,
        form_targets: Sequence[str] = (),
    ) -> HTMLResponse:
        """Render a page. ``form_targets``: origins besides this one where its forms may end, redirects included."""
        body = self._environment.get_template(template).render(values)
        return HTMLResponse(body, status, headers=_headers(form_targets))


def _headers(form_targets: Sequence[str]) -> dict[str, str]:
    targets = " ".join(("'self'", *form_targets))
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {targets}"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
