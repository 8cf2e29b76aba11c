"""A finished run as a directory that scores texts by itself, without torch: written, checked, read."""

from ratchet.exporting.reading import find_export, load_export

__all__ = ["find_export", "load_export"]
