"""Launch documents that are refused.  ✗ runs nothing."""

from __future__ import annotations

from dataclasses import replace

from bad_case import HERE, Case


def _document(
    title: str, text: str | bytes, where: str, says: str, remedy: str, name: str = "d.toml"
) -> Case:
    """A row of a launch document."""
    return Case(
        title=title,
        words=("run", "--config", name),
        where=where,
        says=says,
        remedy=remedy,
        files={name: text},
    )


_ROWS = (
    _document(
        "misspelt key", 'command = ["true"]\nmemry = "1G"\n', "d.toml:2 $.memry", "unknown key", "memory?"
    ),
    _document(
        "key of a later release",
        "\npublish = true\n",
        "d.toml:2 $.publish",
        "not in this release",
        "leave it",
    ),
    _document(
        "key with a dash", "\nshm-size = 1\n", "d.toml:2 $.shm-size", "unknown key", "did you mean shm_size?"
    ),
    _document(
        "wrong type",
        'command = "true"\n',
        "d.toml:1 $.command",
        "is a string, but must be",
        "such as command",
    ),
    _document(
        "wrong type in a list", 'command = ["a", 1]\n', "d.toml:1 $.command[1]", "a whole number", "such as"
    ),
    _document("bad value", 'pids = 5\nmemory = "12Q"\n', "d.toml:2 $.memory", "'12Q'", "512M"),
    _document("key twice (TOML)", "pids = 1\npids = 2\n", "d.toml:2", "is not TOML", "mend that line"),
    _document(
        "key twice (JSON)", '{"pids": 1,\n"pids": 2}', "d.json:2 $.pids", "stands twice", "keep one", "d.json"
    ),
    _document(
        "NaN (TOML)", "cpus = nan\n", "d.toml:1 $.cpus", "'nan' is not a number of processors", "2 or 0.5"
    ),
    _document("NaN (JSON)", '{"cpus": NaN}', "d.json:1", "is not JSON", "mend that line", "d.json"),
    _document(
        "number beyond all numbers",
        '{"pids": 1e999}',
        "d.json:1",
        "number out of range",
        "mend that line",
        "d.json",
    ),
    _document("binary file", bytes(range(256)), "d.toml:2", "is not UTF-8 text", "save it as UTF-8"),
    _document("other encoding", b'\n\nname = "\xe4"\n', "d.toml:3", "is not UTF-8 text", "save it as UTF-8"),
    _document(
        "NUL byte in a value", '{"command": ["a\\u0000b"]}', "$.command[0]", "NUL byte", "remove it", "d.json"
    ),
    _document("huge document", "#" * (2 << 20), "d.toml", "is larger than 1M", "a few lines"),
    _document("deep nesting", "[" * 100_000, "d.json", "nested too deeply", "one level of tables", "d.json"),
    _document("cut short", 'command = ["tr', "d.toml:1", "is not TOML", "mend that line"),
    _document("not a table", "[1]", "d.json:1 $", "is not a table of options", "begin with", "d.json"),
    _document(
        "descriptor in a document", "env_fd = 3\n", "$.env_fd", "cannot stand in a document", "--env-fd"
    ),
    _document(
        "argument beyond the kernel's",
        f'{{"command": ["{"x" * 140_000}"]}}',
        "$.command[0]",
        "is longer than 131072",
        "put it into a file",
        "d.json",
    ),
    _document("empty document", "", "command", "no command was given", "after --"),
    Case(
        title="no such document",
        words=("run", "--config", "none.toml"),
        where="none.toml",
        says="cannot be opened",
        remedy="that you can read",
    ),
    Case(
        title="directory as a document",
        words=("run", "--config", "."),
        where=".",
        says="cannot be",
        remedy="file",
    ),
    _document(
        "more mounts than a launch can have",
        "command = ['true']\nvolume = [" + ", ".join([f"'d.toml:/v/{n}:ro'" for n in range(260)]) + "]\n",
        "--volume",
        "more than 256 mounts",
        "a directory above them",
    ),
    _document(
        "more secrets than a launch can have",
        "command = ['true']\nsecret = [" + ", ".join([f"'s{n}=d.toml'" for n in range(70)]) + "]\n",
        "--secret",
        "more descriptors than",
        "into one file",
    ),
    _document(
        "plan beyond the launcher's limits",
        "command = ['true']\ntmpfs = [" + ", ".join([f"'/t/{n}'" for n in range(9000)]) + "]\n",
        "launch plan",
        "is too large",
        "stay below",
    ),
)
DOCUMENTS = tuple([replace(case, identities=HERE) for case in _ROWS])
