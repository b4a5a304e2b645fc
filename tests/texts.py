"""The alphabet of properties about text.  ✗ knows no test."""

from __future__ import annotations

from hypothesis import strategies as st

# What UTF-8 can encode.  Hypothesis' default is the same set, found by encoding each character: a second in each process.
CHARACTERS = st.characters(exclude_categories=("Cs",))
