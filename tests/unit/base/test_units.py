"""Sizes, durations and processor shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row
from texts import CHARACTERS

from nucleus.base import units
from nucleus.base.errors import SpecError


@every_row(
    ("text", "value"),
    [
        ("0", 0), ("4096", 4096), ("512M", 512 << 20), ("512m", 512 << 20), ("1.5G", 3 << 29),
        ("1GiB", 1 << 30),        ("2kb", 2048), (" 1T ", 1 << 40), ("0.5k", 512), ("7b", 7),
    ],
)  # fmt: skip
def test_a_size_is_read_in_powers_of_1024(text: str, value: int) -> None:
    assert units.parse_bytes(text) == value


@every_row(
    "text",
    [
        "",
        "M",
        "12Q",
        "-1",
        "+1",
        "1e3",
        "0x10",
        "1_000",
        "1 2",
        ".5",
        "5.",
        "1.2.3",
        "١",
        "nan",
        "1MM",
        "9" * 30,
    ],
)
def test_what_is_no_size_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        units.parse_bytes(text)
    assert caught.value.remedy


def test_a_size_beyond_63_bits_is_refused() -> None:
    assert units.parse_bytes(str(units.MAX_BYTES)) == units.MAX_BYTES
    with pytest.raises(SpecError, match="more than a machine"):
        units.parse_bytes("8388608T")


@every_row(
    ("text", "value"),
    [
        ("0", 0), ("90", 90_000), ("1.5", 1500), ("250ms", 250), ("1h30m", 5_400_000), ("2d", 172_800_000),
        ("1m0.5s", 60_500),
    ],
)  # fmt: skip
def test_a_duration_is_read_in_milliseconds(text: str, value: int) -> None:
    assert units.parse_duration(text) == value


@every_row("text", ["", "s", "1x", "1m1h", "1s1s", "-1s", "1 h", "1h 30m", "inf", "3651d", "9" * 30])
def test_what_is_no_duration_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        units.parse_duration(text)
    assert caught.value.remedy


@every_row(("text", "value"), [("1", 100_000), ("0.5", 50_000), ("1.5", 150_000), ("0.01", 1000)])
def test_processors_become_a_quota_of_each_period(text: str, value: int) -> None:
    assert units.parse_cpus(text) == value


@every_row("text", ["", "0", "0.009", "-1", "65537", "inf", "nan", "1,5", "1e1", "two"])
def test_processors_that_no_kernel_can_give_are_refused(text: str) -> None:
    with pytest.raises(SpecError):
        units.parse_cpus(text)


@every_row("text", ["", "-1", "+1", "1.0", "٣", "1_0", "9" * 20])
def test_a_whole_number_has_digits_alone(text: str) -> None:
    with pytest.raises(SpecError):
        units.parse_integer(text)


@given(st.integers(0, units.MAX_BYTES))
def test_sizes_survive_being_written(value: int) -> None:
    assert units.parse_bytes(units.format_bytes(value)) == value


@given(st.integers(0, units.MAX_DURATION_MS))
def test_durations_survive_being_written(value: int) -> None:
    assert units.parse_duration(units.format_duration(value)) == value


@given(st.integers(1000, units.MAX_CPUS * units.CPU_PERIOD_US))
def test_quotas_survive_being_written(value: int) -> None:
    assert units.parse_cpus(units.format_cpus(value)) == value


@given(st.text(CHARACTERS, max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (units.parse_bytes, units.parse_duration, units.parse_cpus, units.parse_integer):
        try:
            assert parse(text) >= 0
        except SpecError as error:
            assert error.message and error.remedy
