"""A town's 'Portail famille': the sample application that asks Accord for a quotient familial, as a third party would.

It imports nothing of Accord: what it knows is the published contract.
"""

from sandbox.portail_famille.accord import Accord, PortalConfig
from sandbox.portail_famille.routes import router

__all__ = ["Accord", "PortalConfig", "router"]
