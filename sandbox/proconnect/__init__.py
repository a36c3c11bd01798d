"""A stand-in for ProConnect v2 over real HTTP: FranceConnect's software with public agents, as in life."""

from sandbox.franceconnect.people import Partner
from sandbox.franceconnect.routes import login_router as router
from sandbox.proconnect.agents import Agent, agents_of
from sandbox.proconnect.provider import Provider

__all__ = ["Agent", "Partner", "Provider", "agents_of", "router"]
