"""Locate the project: its root directory and its conf/."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"
