"""The commands ``accord audit ...``, one file each."""

from exchange.audit_commands import retain, verify, witness
from exchange.audit_commands.app import audit_app

__all__ = ["audit_app", "retain", "verify", "witness"]
