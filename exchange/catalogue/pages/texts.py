"""The catalogue's pages' sentences in both languages."""

from openapi.pages.texts import Texts

TEXTS = Texts("exchange.catalogue.pages")

say, known, named, texts = TEXTS.say, TEXTS.known, TEXTS.named, TEXTS.all
