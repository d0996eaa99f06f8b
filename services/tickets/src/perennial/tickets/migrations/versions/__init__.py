"""The revisions, and what the first of them brought along."""

from pathlib import Path

PRESETS = Path(__file__).with_name("0001_presets.json")
