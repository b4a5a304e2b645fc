"""Options that are refused, a line each: what is wrong | options | where | says | remedy.  ✗ runs nothing."""

from __future__ import annotations

from dataclasses import replace

from bad_case import HERE, Case

_TABLE = """
unknown option | --memry 1G | run | unknown option --memry | did you mean --memory?
option of a later release | --publish | run | --publish is not in this release | leave it away
short option of a later release | -p 80:80 | run | --publish is not in this release | leave it away
option of another tool | --privileged | run | is not an option of nucleus | leave it away
value of a later release | --network bridge | --network | not in this release | use none or host
forgotten value | --memory | --memory | needs a value | such as --memory 512M
no size | --memory 12Q | --memory | '12Q' is not a size | 512M
size of nothing | --memory 0 | --memory | 0 leaves nothing | such as
size beyond all memory | --memory 99999999999T | --memory | more than a machine | at most
no duration | --timeout soon | --timeout | 'soon' is not a duration | 90s
no number of processors | --cpus -1 | --cpus | '-1' is not a number of processors | 2 or 0.5
no variable | --env 1X=2 | --env | name of the variable | write KEY=VALUE
variable of the dynamic linker | --env LD_PRELOAD=/x.so | --env | steers the dynamic linker | install the library
variable that is not set | --env NOT_SET_ANYWHERE | --env | is not set | NOT_SET_ANYWHERE=VALUE
volume without a target | --volume /srv | --volume | is not SRC:DEST | ./data:/data:ro
volume with an option that there is not | --volume /srv:/data:rw,z | --volume | 'rw,z' is neither ro nor rw | ./data:/data:ro
forbidden source | --volume /etc:/data | --volume | '/etc' is never let in | copy what is needed
source with .. | --volume /srv/../proc:/data | --volume | /proc of the host | copy what is needed
reserved target | --volume /srv:/usr/lib | --volume | /usr belongs to the sandbox | another path
target with .. | --tmpfs /a/../etc | --tmpfs | contains '..' | without it
two things at one path | --tmpfs /a --tmpfs /a/ | --tmpfs | target of two options | its own path
secret outside its place | --secret x:/etc/x | --secret | outside /run/secrets | use /run/secrets
host network not agreed to | --network host | --network | --allow-host-network | --network none
half an id map | --uidmap 0:1:1 | --uidmap | needs --gidmap too | add --gidmap
overlapping id map | --uidmap 0:1:9 --uidmap 5:90:1 --gidmap 0:1:1 | --uidmap | map the same id | be disjoint
no name | --name ../x | --name | '../x' is not a name | letters, digits
no label | --label team | --label | is not KEY=VALUE | team=search
no signal | --stop-signal HUMP | --stop-signal | 'HUMP' is not a signal | TERM
no resource limit | --ulimit nofiles=1 | --ulimit | not a resource limit | did you mean nofile?
soft limit above the hard one | --ulimit nofile=9:8 | --ulimit | above the hard one | SOFT ≤ HARD
too few open files | --ulimit nofile=8:64 | --ulimit | fewer open files than it takes | at least nofile=16
user beyond all ids | --user 4294967295 | --user | beyond the ids | at most
user whom nobody knows | --user nosuch | --user | no user 'nosuch' | give the number
group that nobody knows | --group nosuch | --group | no group 'nosuch' | give the number
profile that is not there | --seccomp-profile ./p.json | --seccomp-profile | cannot be opened | that you can read
no system call | --seccomp-allow nosuch | --seccomp-allow | not a system call | syscalls(2)
no layer | --allow-degraded-security=landlok | --allow-degraded-security | not a layer | landlock?
swap without memory | --memory-swap 1G | --memory-swap | no effect without --memory | add --memory
two documents | --config a.toml --config b.toml | --config | two launch documents | merge them
descriptor that is not open | --env-fd 9 | --env-fd | is not open | open it for the command
"""


def _rows(table: str) -> tuple[Case, ...]:
    found = []
    for line in table.strip().splitlines():
        title, words, where, says, remedy = [cell.strip() for cell in line.split(" | ")]
        found.append(
            Case(
                title=title,
                words=("run", *words.split(), "--", "true"),
                where=where,
                says=says,
                remedy=remedy,
            )
        )
    return tuple(found)


_ROWS = (
    *_rows(_TABLE),
    Case(
        title="no command",
        words=("run", "--pids", "5"),
        where="command",
        says="no command",
        remedy="after --",
    ),
    Case(title="unknown verb", words=("ruun",), where="", says="unknown verb 'ruun'", remedy="mean run?"),
    Case(
        title="unknown option of a verb",
        words=("ps", "--al"),
        where="ps",
        says="unknown option '--al'",
        remedy="nucleus ps --help",
    ),
    Case(
        title="no such state root",
        words=("inspect", "nobody"),
        where="state",
        says="no state root",
        remedy="made in",
    ),
)
FLAGS = tuple([replace(case, identities=HERE) for case in _ROWS])
