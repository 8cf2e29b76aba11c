"""What notebooks and scripts use, as `from ratchet import ...`. docs/reference/api.md describes it."""
