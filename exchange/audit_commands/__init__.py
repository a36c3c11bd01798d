"""The commands ``accord audit ...``, one file each."""

from exchange.audit_commands import archive, retain, verify, witness
from exchange.audit_commands.app import audit_app

__all__ = ["archive", "audit_app", "retain", "verify", "witness"]
