"""The catalogue's pages say everything that the manifests say, in words, to anybody."""

import html
import re
from dataclasses import replace
from datetime import time
from importlib import resources
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.catalogue.description import WindowView, describe
from exchange.catalogue.pages.search import Entry, folded, words_of
from exchange.catalogue.pages.texts import texts
from exchange.catalogue.pages.words import duration, page_of
from openapi.pages.language import LANGUAGES
from providers.manifest import manifests
from providers.model import Limits, Window
from providers.retention import Retention
from tests.exchange.catalogue.conftest import BASE

SENTENCES = [
    pytest.param(sentence, id=f"{section}.{name}")
    for section, names in texts().items()
    for name, sentence in names.items()
]
DATASETS = list(manifests())
PAGE = "/catalogue/quotient_familial"


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_has_both_languages_with_the_same_facts(sentence):
    assert sentence.keys() == set(LANGUAGES)
    assert placeholders(sentence["fr"]) == placeholders(sentence["en"])
    assert all(text for text in sentence.values())


def test_every_sentence_is_said_somewhere():
    pages = resources.files("exchange.catalogue.pages")
    layout = resources.files("openapi.pages").joinpath("templates")
    sources = [each.read_text() for each in pages.iterdir() if each.name.endswith(".py")]
    sources += [each.read_text() for folder in (pages.joinpath("templates"), layout) for each in folder.iterdir()]
    code = "\n".join(sources)
    by_code = {"subject", "basis", "company_basis", "ground", "type", "duration", "day", "problem", "schema", "asked"}
    unused = [
        f"{section}.{name}"
        for section, names in texts().items()
        for name in names
        if section not in by_code
        and f"{section}.{name}" not in code
        and f"{section}.{name.rsplit('_', 1)[0]}" not in code
    ]
    assert set(unused) <= {"dataset.door_accord", "dataset.door_drop_in"}


@pytest.fixture(autouse=True)
def _nothing_chosen(reader):
    """A language chosen in one test is not chosen in the next."""
    reader.cookies.clear()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_datasets_page_names_every_field_and_leads_to_every_schema(reader, dataset, language):
    manifest = manifests()[dataset]
    reply = reader.get(f"/catalogue/{dataset}?lang={language}")
    assert reply.status_code == 200
    text = html.unescape(reply.text)
    for path, field in manifest.fields.items():
        assert f"<code>{path}</code>" in text
        assert field.label[language] in text
    for wanted in (manifest.title[language], manifest.provider[language], f"{BASE}/v1/data/{dataset}"):
        assert wanted in text
    for name in describe(manifest, base=BASE).links:
        assert name == "self" or f"/v1/datasets/{dataset}/schemas/" in text
    assert not re.search(r"\{\w+\}|undefined", re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", text, flags=re.DOTALL))


def test_the_page_is_public_and_obeys_the_strictest_policy(reader):
    reply = reader.get("/catalogue")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "form-action 'self';" in policy
    assert "<script" not in reply.text
    assert "style=" not in reply.text
    assert 'name="robots"' not in reply.text


def test_french_comes_first_and_english_is_kept_once_chosen(reader):
    reader.cookies.clear()
    assert '<html lang="fr">' in reader.get("/catalogue").text
    reply = reader.get(f"{PAGE}?lang=en")
    assert "What can be passed on" in reply.text
    assert "accord-lang=en" in reply.headers["set-cookie"]
    assert '<html lang="en">' in reader.get("/catalogue").text
    reader.cookies.clear()


@pytest.mark.parametrize("text", ["prenoms enfant", "PRÉNOMS des ENFANTS", "given children", "enfants.prenoms"])
def test_a_search_finds_words_in_any_case_accent_order_and_language(reader, text):
    reply = reader.get("/catalogue", params={"q": text})
    assert "/catalogue/quotient_familial" in reply.text
    assert "Prénoms des enfants" in reply.text
    assert "/catalogue/attestation_fiscale" not in reply.text


def test_a_search_can_be_held_to_companies_or_to_citizens(reader):
    companies = reader.get("/catalogue", params={"sujet": "company"}).text
    citizens = reader.get("/catalogue", params={"sujet": "citizen"}).text
    for name, manifest in manifests().items():
        link = f'"/catalogue/{name}"'
        assert (link in companies, link in citizens) == (manifest.subject == "company", manifest.subject == "citizen")


def test_what_can_be_asked_for_together_stands_beside_what_is_about_companies(reader):
    for path in ("/catalogue", "/catalogue?sujet=company"):
        assert "GET https://accord.example/v1/bundles/dossier_marche_public" in reader.get(path).text
    for path in ("/catalogue?sujet=citizen", "/catalogue?q=kbis"):
        assert "/v1/bundles/" not in reader.get(path).text


def test_a_search_that_finds_nothing_says_what_to_do(reader):
    reply = reader.get("/catalogue", params={"q": "zzz <b>"})
    assert reply.status_code == 200
    assert "Aucune donnée ne correspond" in reply.text
    assert "<b>" not in reply.text
    assert "zzz &lt;b&gt;" in reply.text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/catalogue/unknown", 404, "pas au catalogue"),
        (f"/catalogue?q={'a' * 101}", 400, "mots plus courts"),
        ("/catalogue?sujet=plant", 400, "mots plus courts"),
        (f"/catalogue/{'a' * 65}", 400, "complète"),
        ("/catalogue/static/none.css", 404, "Accord"),
    ],
)
def test_a_trouble_is_a_page_too(reader, path, status, words):
    reply = reader.get(path)
    assert reply.status_code == status
    assert words in html.unescape(reply.text)
    assert 'content="noindex"' in reply.text


def test_limits_closures_and_keeping_are_said_in_words():
    manifest = replace(
        manifests()["quotient_familial"],
        limits=Limits(requests=250, seconds=60, max_in_flight=7),
        maintenance=(
            Window(frozenset({6}), time(7, 30), time(9)),
            Window(frozenset(range(7)), time(23), time(1)),
        ),
        cache_seconds=120,
    )
    facts = dict(page_of(describe(manifest, base=BASE), manifest, "fr", base=BASE).facts)
    assert facts["Limites"] == [
        "250 demandes par minute, pour tout ce service.",
        "7 demandes en cours à la fois.",
    ]
    assert facts["Fermetures prévues"] == [
        "dimanche, de 07:30 à 09:00 (heure de Paris)",
        "Chaque jour, de 23:00 à 01:00 (heure de Paris)",
    ]
    assert "120 secondes au plus, chiffrée" in facts["Conservation de la réponse"][0]
    assert describe(manifest, base=BASE).maintenance[0] == WindowView(days=["sunday"], start="07:30", until="09:00")


@pytest.mark.parametrize(("seconds", "words"), [(1, "par seconde"), (60, "par minute"), (10, "en 10 secondes")])
def test_a_limit_is_said_in_the_unit_that_it_has(seconds, words):
    manifest = replace(manifests()["quotient_familial"], limits=Limits(requests=20, seconds=seconds))
    facts = dict(page_of(describe(manifest, base=BASE), manifest, "fr", base=BASE).facts)
    assert facts["Limites"][0] == f"20 demandes {words}, pour tout ce service."


@pytest.mark.parametrize(
    ("written", "french", "english"),
    [
        ("P1Y", "un an", "one year"),
        ("P2Y6M", "2 ans et 6 mois", "2 years and 6 months"),
        ("P200D", "200 jours", "200 days"),
    ],
)
def test_a_retention_is_said_in_words(written, french, english):
    retention = Retention.parse(written)
    assert (duration("fr", retention), duration("en", retention)) == (french, english)


@given(st.text(max_size=200))
def test_any_search_is_words_that_are_folded_already(text):
    for word in words_of(text):
        assert word
        assert folded(word) == word


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_is_found_by_its_own_title_and_by_each_of_its_fields(dataset):
    view = describe(manifests()[dataset], base=BASE)
    entry = Entry(view)
    for text in (*view.title.values(), view.dataset, *(one.name for one in view.fields)):
        assert entry.has(words_of(text), "all")
