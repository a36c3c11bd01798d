"""The public catalogue: what may be asked for here, for programs (JSON, JSON Schemas, DCAT-AP) and for people (pages).

Everything in it is said once, in the datasets' manifests, and derived from there.
"""
