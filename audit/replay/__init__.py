"""The whole log made again from its bytes and compared with what is kept and signed: pure, but for the processes."""
