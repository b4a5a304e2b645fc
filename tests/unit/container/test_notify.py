"""What a container says by sd_notify(3): read line by line, handed on in part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.container.supervision import notify


@given(st.binary(max_size=4096))
def test_no_message_is_too_strange_to_be_read(data: bytes) -> None:
    said = notify.parse(data)
    assert all("\n" not in value and key for key, value in said.items())


def test_what_is_the_supervisors_own_is_not_handed_on() -> None:
    said = notify.parse(b"READY=1\nMAINPID=7\nFDSTORE=1\nSTATUS=a=b\nnonsense\n=x\nBUSERROR=y\n")
    assert notify.relayed(said) == {"READY": "1", "STATUS": "a=b"}


@every_row("path", ["", "relative", "/run/../tmp/x", "/run/.."])
def test_a_managers_socket_has_an_absolute_path_or_an_abstract_name(path: str) -> None:
    with pytest.raises(SpecError, match="NOTIFY_SOCKET"):
        notify.Manager({"NOTIFY_SOCKET": path})
    assert notify.Manager({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "5"}).watchdog_us == 5
    assert notify.Manager({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "x"}).watchdog_us == 0
