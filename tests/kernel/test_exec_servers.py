"""Servers of the distribution, told by a process that enters to read their configuration again, and to end."""

from __future__ import annotations

import pytest
from sandboxes import PATIENCE_S, Boxes, wait_until

SERVER = """
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
cd /data
initdb --pgdata=db --username=agent --auth=trust --no-sync --locale=C >log 2>&1 || { cat log; exit 1; }
echo ready
exec postgres -D db -k /data -c listen_addresses= -c fsync=off -c logging_collector=off
"""
ENTERED = "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; cd /data; "


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_database_server_is_reloaded_and_stopped_from_inside(boxes: Boxes) -> None:
    words = ("--tmpfs", "/data:256M", "--shm-size", "128M", "--", "sh", "-c", SERVER)
    server = boxes.start("--name", "db", *words)
    assert server.stdout is not None and server.stdout.readline() == "ready\n"

    def inside(script: str) -> str:
        return boxes.cli("exec", "db", "--", "sh", "-c", ENTERED + script).out.strip()

    def work_mem() -> str:
        return inside("psql -h /data -d postgres -Atc 'SHOW work_mem'")

    wait_until(lambda: work_mem() == "4MB")
    assert "server signaled" in inside("echo work_mem=9MB >>db/postgresql.conf; pg_ctl --pgdata=db reload")
    wait_until(lambda: work_mem() == "9MB")
    inside("pg_ctl --pgdata=db --mode=fast --no-wait stop")
    server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0
