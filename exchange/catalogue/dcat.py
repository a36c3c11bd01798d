"""The catalogue as a DCAT-AP 3.0.1 record in JSON-LD, for portals that harvest catalogues. Pure.

It describes what may be asked for; nothing of it is open data, and it says so (access rights ``RESTRICTED``).
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from exchange.catalogue.description import LIST_PATH, PAGE_PATH, DatasetView

Json: TypeAlias = dict[str, Any]

DCAT_PATH = f"{LIST_PATH}.jsonld"
MEDIA_TYPE = "application/ld+json"

_AUTHORITY = "http://publications.europa.eu/resource/authority"
_THEMES = {"citizen": f"{_AUTHORITY}/data-theme/SOCI", "company": f"{_AUTHORITY}/data-theme/ECON"}
_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
}
_TITLE = {"fr": "Données que ce service peut transmettre", "en": "Data that this service can pass on"}
_DESCRIPTION = {
    "fr": "Chaque jeu de données est tenu par une administration et transmis à une autre, sous habilitation, quand une "
    "application le demande.",
    "en": "Each dataset is held by one administration and passed on to another, under a habilitation, when an "
    "application asks.",
}
_HOLDS = {"fr": "Renseignements : {fields}.", "en": "Information: {fields}."}


def record_of(views: Iterable[DatasetView], *, base: str) -> Json:
    """The catalogue with every dataset, and the service that gives access to them. ``base``: the deployment's URL."""
    datasets = list(views)
    publisher = {"@id": f"{base}/", "@type": "foaf:Agent", "foaf:name": f"Accord, {urlsplit(base).hostname}"}
    return {
        "@context": _CONTEXT,
        "@id": f"{base}{DCAT_PATH}",
        "@type": "dcat:Catalog",
        "dct:title": _words(_TITLE),
        "dct:description": _words(_DESCRIPTION),
        "dct:publisher": publisher,
        "dct:language": [_link(f"{_AUTHORITY}/language/{code}") for code in ("FRA", "ENG")],
        "dct:spatial": _link(f"{_AUTHORITY}/country/FRA"),
        "dcat:themeTaxonomy": _link(f"{_AUTHORITY}/data-theme"),
        "foaf:homepage": _link(f"{base}{PAGE_PATH}"),
        "dcat:service": _service(datasets, base=base),
        "dcat:dataset": [_dataset(one, base=base) for one in datasets],
    }


def _service(datasets: Iterable[DatasetView], *, base: str) -> Json:
    return {
        "@id": _service_id(base),
        "@type": "dcat:DataService",
        "dct:title": _words(_TITLE),
        "dcat:endpointURL": _link(base),
        "dcat:endpointDescription": _link(f"{base}/openapi.yaml"),
        "dct:accessRights": _restricted(),
        "dcat:servesDataset": [_link(one.links["self"]) for one in datasets],
    }


def _dataset(view: DatasetView, *, base: str) -> Json:
    labels = {
        language: _HOLDS[language].format(fields="; ".join(one.label[language] for one in view.fields))
        for language in _HOLDS
    }
    return {
        "@id": view.links["self"],
        "@type": "dcat:Dataset",
        "dct:identifier": view.dataset,
        "dct:title": _words(view.title),
        "dct:description": _words(labels),
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": _words(view.provider)},
        "dct:accessRights": _restricted(),
        "dct:spatial": _link(f"{_AUTHORITY}/country/FRA"),
        "dcat:theme": _link(_THEMES[view.subject]),
        "dcat:keyword": _words(view.title),
        "dcat:landingPage": _link(view.links["page"]),
        "dcat:distribution": _distribution(view, base=base),
    }


def _distribution(view: DatasetView, *, base: str) -> Json:
    return {
        "@type": "dcat:Distribution",
        "dct:title": _words(view.title),
        "dcat:accessURL": _link(view.doors[0].url),
        "dcat:accessService": _link(_service_id(base)),
        "dct:conformsTo": _link(view.links["answer_schema"]),
        "dct:format": _link(f"{_AUTHORITY}/file-type/JSON"),
    }


def _service_id(base: str) -> str:
    return f"{base}{DCAT_PATH}#service"


def _restricted() -> Json:
    return _link(f"{_AUTHORITY}/access-right/RESTRICTED")


def _link(iri: str) -> Json:
    return {"@id": iri}


def _words(labels: Mapping[str, str]) -> list[Json]:
    return [{"@value": labels[language], "@language": language} for language in ("fr", "en")]
