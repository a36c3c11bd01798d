"""The append-only log: every access, every authorisation given or withdrawn, provable by anyone.

Knows nothing of consent, providers or the gateway; imports only ``openapi``.
"""
