"""Landlock rights, capabilities and the base environment: what each kernel knows, and what a workload gets."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.policy import capabilities, environment, landlock


@every_row(
    ("abi", "rights", "newest"),
    [
        (-1, 0, None), (0, 0, None), (1, 13, "make_sym"), (2, 14, "refer"), (3, 15, "truncate"), (4, 15, "truncate"),
        (5, 16, "ioctl_dev"), (6, 16, "ioctl_dev"), (7, 16, "ioctl_dev"), (99, 16, "ioctl_dev"),
    ],
)  # fmt: skip
def test_every_right_of_an_abi_is_handled_and_no_other(abi: int, rights: int, newest: str | None) -> None:
    handled = landlock.handled_fs(abi)
    assert handled == (1 << rights) - 1
    assert (landlock.names_of(handled) or (None,))[-1] == newest


@every_row(("abi", "net", "scopes", "flags"), [(3, 0, 0, 0), (4, 3, 0, 0), (6, 3, 3, 0), (7, 3, 3, 2)])
def test_later_layers_begin_at_their_abi(abi: int, net: int, scopes: int, flags: int) -> None:
    assert landlock.handled_net(abi) == net
    assert landlock.handled_scopes(abi) == scopes
    assert landlock.restrict_flags(abi, log=True) == flags
    assert landlock.restrict_flags(abi, log=False) == 0


def test_reading_does_not_carry_execution_nor_writing() -> None:
    assert landlock.READ & (landlock.EXECUTE | landlock.WRITE) == 0
    assert landlock.WRITE & (landlock.EXECUTE | landlock.READ) == 0


def test_whoever_may_write_may_move_between_directories_but_make_no_device() -> None:
    assert landlock.WRITE & landlock.REFER
    assert not landlock.WRITE & (landlock.MAKE_CHAR | landlock.MAKE_BLOCK)


def test_a_rule_on_a_file_carries_no_right_of_directories() -> None:
    everything = landlock.handled_fs(7)
    assert landlock.names_of(landlock.for_kind(everything, is_file=True)) == (
        *("execute", "write_file", "read_file", "truncate", "ioctl_dev"),
    )
    assert landlock.for_kind(everything, is_file=False) == everything


def test_rules_are_cut_to_the_kernel_united_by_path_and_left_out_when_empty() -> None:
    wanted = [
        ("/data", landlock.READ, False),
        ("/dev/null", landlock.DEVICE | landlock.READ_DIR, True),
        ("/data", landlock.WRITE, False),
        ("/file", landlock.READ_DIR, True),
    ]
    assert dict(landlock.path_rules(wanted, abi=1)) == {
        "/data": (landlock.READ | landlock.WRITE) & landlock.handled_fs(1),
        "/dev/null": landlock.READ_FILE | landlock.WRITE_FILE,
    }
    assert dict(landlock.path_rules(wanted, abi=0)) == {}


def test_the_capabilities_are_those_of_the_kernel_headers() -> None:
    assert len(capabilities.NAMES) == 41
    assert capabilities.NUMBERS["SYS_ADMIN"] == 21
    assert capabilities.NUMBERS["CHECKPOINT_RESTORE"] == 40
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert last >= capabilities.NUMBERS["CHECKPOINT_RESTORE"]
    assert ctypes.CDLL(None).prctl(23, ctypes.c_ulong(last + 1)) == -1


def test_a_workload_keeps_no_capability() -> None:
    assert capabilities.DEFAULT == 0
    assert capabilities.names_in(capabilities.DEFAULT) == ()


@every_row("written", ["NET_RAW", "CAP_NET_RAW", "cap_net_raw", "net_raw"])
def test_a_capability_is_named_with_or_without_its_prefix(written: str) -> None:
    assert capabilities.mask_of([written]) == 1 << 13
    assert capabilities.names_in(1 << 13) == ("CAP_NET_RAW",)


def test_masks_and_names_are_each_others_inverse() -> None:
    assert capabilities.mask_of(capabilities.names_in(capabilities.EVERY)) == capabilities.EVERY
    assert capabilities.names_in(1 << 45) == ("CAP_45",)


def test_the_dangerous_ones_exist() -> None:
    assert set(capabilities.DANGEROUS) <= set(capabilities.NAMES)


def test_a_misspelt_capability_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError) as caught:
        capabilities.mask_of(["NET_ADMN"], where="caps.toml:3")
    assert caught.value.where == "caps.toml:3"
    assert "CAP_NET_ADMIN" in caught.value.remedy


def test_the_base_environment_is_complete_and_what_is_given_wins() -> None:
    assert set(environment.base(home="/h")) == {"PATH", "TERM", "HOME", "LANG"}
    merged = environment.merge({"HOME": "/mine", "CI": "1"}, home="/h", terminal="dumb")
    assert merged == {**environment.base(home="/mine", terminal="dumb"), "CI": "1"}


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"])
def test_what_steers_the_dynamic_loader_never_enters(name: str) -> None:
    assert not environment.may_enter(name)
    assert name not in environment.merge({name: "/x.so"}, home="/h")
