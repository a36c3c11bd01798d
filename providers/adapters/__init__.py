"""One file for each holder: pure, no I/O."""
