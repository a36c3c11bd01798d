"""A stand-in for FranceConnect v2 over real HTTP: its endpoints, formats, refusals and lifetimes, with test people."""

from sandbox.franceconnect.people import DataProvider, Partner, Person
from sandbox.franceconnect.provider import Provider
from sandbox.franceconnect.routes import router

__all__ = ["DataProvider", "Partner", "Person", "Provider", "router"]
