"""What auditors and operators read: searches, charts, unusual patterns. Server-rendered, no script."""
