"""CPU per exchange: Accord beside nginx, Envoy and a naive peer, in one run (``make bench``)."""
