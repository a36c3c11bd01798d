"""The page that checks a proof of access. The check itself runs in the browser (``static/verify.js``).

The server only gives the log's public key and words: it never receives the file and has no say in the verdict.
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from consent.pages.site import SCRIPT, Site
from consent.pages.texts import say, texts
from openapi.problem import Language, problems

CHECKS = ("file", "signature", "path", "seal")
"""What the script checks, in its order."""


def add_verification(router: APIRouter, site: Site) -> None:
    """Add the page; it is for anybody, logged in or not."""

    @router.get("/verifier")
    def verification(request: Request) -> Response:
        language = site.language(request)
        content = {
            "log_key": site.log_key,
            "checks": [say(language, f"verdict.check_{check}") for check in CHECKS],
            "words": {**_words(site, language), **_names(site, request)},
        }
        return site.show(request, "verification.html", content=content, script=SCRIPT)


def _words(site: Site, language: Language) -> dict[str, object]:
    """What the script says: its own sentences, and the words of the codes that entries hold."""
    found = (site.catalogue.notice(name) for name in site.catalogue.datasets())
    notices = [notice for notice in found if notice is not None]
    titles = {slug: problem.title[language] for slug, problem in problems().items()}
    return {
        **_section("verdict", language),
        "sent": say(language, "accesses.sent"),
        "not_sent": texts()["accesses"]["not_sent"][language],
        "kinds": {f"grant.{event}": said for event, said in _section("grant_event", language).items()},
        "outcomes": {slug: title[:1].lower() + title[1:] for slug, title in titles.items()},
        "bases": _section("basis", language),
        "datasets": {notice.dataset: notice.title[language] for notice in notices},
        "fields": {
            f"{notice.dataset} {name}": field.label[language]
            for notice in notices
            for name, field in notice.fields.items()
        },
    }


def _names(site: Site, request: Request) -> dict[str, Mapping[str, str]]:
    """The names that a citizen's own authorisations tell her; a stranger reads identifiers instead."""
    session, wording = site.session(request), site.wording(request)
    grants = site.desk.grants_of(session.citizen.pseudonym) if session else ()
    return {
        "organisations": {grant.recipient: wording.organisation(grant.recipient) for grant in grants},
        "applications": {grant.client_id: wording.application(grant.client_id) for grant in grants},
        "purposes": {
            detail.purpose: wording.purpose(grant.client_id, detail) for grant in grants for detail in grant.details
        },
    }


def _section(name: str, language: Language) -> dict[str, str]:
    return {key: said[language] for key, said in texts()[name].items()}
