"""Correlated calls to span data: names, times, attributes, status, resources and traces.

Source: span-mapping; attribute names from the semantic conventions package where it has them, else ``csm.``.
"""
