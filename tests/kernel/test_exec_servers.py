"""Servers of the distribution, told by a process that enters to read their configuration again, and to end."""

from __future__ import annotations

import pytest
from sandboxes import PATIENCE_S, PROJECT, Boxes, wait_until

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


NGINX = """
daemon off; worker_processes 2; pid /tmp/nginx.pid; error_log /tmp/e;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
    scgi_temp_path /tmp/s;
    server { listen 127.0.0.1:8080; location / { return 200 "first\\n"; } }
}
"""
ASK = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3"


@pytest.mark.identity("root", "user", "nosub", "nested")
def test_a_web_server_reads_its_configuration_again_when_told_from_inside(boxes: Boxes) -> None:
    program = PROJECT / ".cache/nginx/usr/sbin/nginx"
    assert program.is_file(), "tools/setup-test.sh unpacks it"
    configuration = boxes.directory("conf") / "nginx.conf"
    configuration.write_text(NGINX)
    configuration.parent.chmod(0o755)
    volumes = ("--volume", f"{program}:/srv/nginx:ro", "--volume", f"{configuration.parent}:/conf:ro")
    start = "cp /conf/nginx.conf /tmp/c && exec /srv/nginx -e /tmp/e -c /tmp/c"
    server = boxes.start(
        "--name", "web", *volumes, "--workspace", str(boxes.directory("w")), "--", "sh", "-c", start
    )

    def inside(script: str) -> str:
        return boxes.cli("exec", "web", "--", "bash", "-c", script).out.strip()

    def processes() -> tuple[str, set[str]]:
        master = inside("cat /tmp/nginx.pid")
        workers = inside(f"cat /proc/{master}/task/{master}/children").split()
        return master, set(workers)

    def both() -> tuple[str, set[str]] | None:
        found = processes()
        return found if len(found[1]) == 2 else None

    wait_until(lambda: inside(ASK) == "first")
    master, workers = wait_until(both)
    reload = boxes.cli(
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "sed -i s/first/second/ /tmp/c && /srv/nginx -e /tmp/e -c /tmp/c -s reload",
    )
    assert reload.code == 0, reload.err
    wait_until(lambda: inside(ASK) == "second")
    wait_until(lambda: not workers & processes()[1])
    assert processes()[0] == master
    inside("/srv/nginx -e /tmp/e -c /tmp/c -s quit")  # whoever tells it may end with the container
    server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0
