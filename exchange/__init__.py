"""The top floor: the gateway, its registry, the application and the command line. It alone knows the others."""
