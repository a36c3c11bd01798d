"""The consent authority: grants, the OAuth server, FranceConnect, consent tokens, citizens' pages."""
