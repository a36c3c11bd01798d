"""The log on its way out: tables for auditors, an archive that says what it holds, events for a SIEM.

Everything here turns an iterator of records into an iterator of bytes: nothing is read, nothing is kept, and memory
does not grow with the number of records. Who may see sealed details is decided by the caller (``details``); what he
denied does not leave, whatever the records hold.
"""
