"""What citizens read: the consent screen, their authorisations, their accesses. Server-rendered, no script."""
