"""Ratchet: iterate on a machine-learning system, one config a rung, without fooling yourself."""

__version__ = "0.1.0"
