"""The auditors' pages' sentences in both languages."""

from openapi.pages.texts import Texts

TEXTS = Texts("audit.pages")

say, known, codes, named, texts = TEXTS.say, TEXTS.known, TEXTS.codes, TEXTS.named, TEXTS.all
