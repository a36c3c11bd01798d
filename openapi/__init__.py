"""The ground floor: the published contract.

Value types, the registry of problems and the OpenAPI document. Every other package may import this
one; it imports none of them.
"""
