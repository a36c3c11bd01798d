"""The demo's world: stand-ins for FranceConnect and the holders, and a sample application. Never in production."""
