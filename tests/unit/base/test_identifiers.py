"""Ids, names and host names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row
from texts import CHARACTERS

from nucleus.base import identifiers as ids


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_32_hex_digits_of_the_given_bytes(data: bytes) -> None:
    made = ids.new_id(data)
    assert ids.is_id(made) and bytes.fromhex(made) == data
    assert ids.is_id_prefix(ids.short_id(made)) and not ids.is_id(ids.short_id(made))


def test_an_id_needs_all_its_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ids.new_id(b"short")


@every_row("text", ["a", "A.b_c-9", "0", "x" * 128])
def test_a_name_is_safe_as_a_file_name(text: str) -> None:
    assert ids.is_name(text)


@every_row("text", ["", ".", "..", "-x", "_x", "a/b", "a b", "a\n", "é", "²", "x" * 129, "a\0"])
def test_what_could_be_taken_for_something_else_is_no_name(text: str) -> None:
    assert not ids.is_name(text)


@every_row("text", ["a", "a-b.c1", "x" * 63, "x" * 31 + "." + "y" * 32])
def test_host_names_are_labels(text: str) -> None:
    assert ids.is_hostname(text)


@every_row("text", ["", "-a", "a-", "a..b", ".a", "a.", "a_b", "ä", "x" * 64, ("x" * 20 + ".") * 4])
def test_what_is_no_host_name(text: str) -> None:
    assert not ids.is_hostname(text)


@given(st.text(CHARACTERS, max_size=200))
def test_every_name_yields_a_host_name(name: str) -> None:
    assert ids.is_hostname(ids.hostname_from(name))
