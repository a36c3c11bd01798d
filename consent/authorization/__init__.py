"""The OAuth 2.0 authorization server, one file per step or endpoint."""
