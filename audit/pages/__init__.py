"""What auditors and operators read: searches, entries, charts, unusual patterns. Server-rendered, no script."""
