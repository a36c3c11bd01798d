"""Drop-in doors: the URLs, envelopes, errors and headers of API Particulier and API Entreprise, over Accord's exchange.

An application written for one of them works against Accord by changing its base URL and token.
"""
