"""Launch documents: TOML and JSON, places in messages, all problems at once."""

from __future__ import annotations

from rows import every_row

from nucleus.base.errors import Problem, SpecError
from nucleus.spec.assemble import assemble
from nucleus.spec.decode import MAX_DOCUMENT
from nucleus.spec.parse import document_entries

BROKEN = """\
# comment
memroy = "1G"
memory = "12Q"   # two things wrong

pids = "4"
volume = [
  "./a:/data", 7,
  "x",
]
publish = true
user-name = 1
network = ["none"]

[env]
LD_PRELOAD = "x"
A = 1
"b c" = "x"
[no.such.table]
"""


def problems(text: str, name: str = "app.toml") -> list[Problem]:
    try:
        entries, found = document_entries(text.encode("utf-8", "surrogateescape"), name)
        assemble(entries, environ={}, read_file=lambda _: b"", problems=found)
    except SpecError as error:
        return list(error.problems)
    return []


def test_all_problems_of_a_document_are_told_with_file_line_and_path() -> None:
    found = problems(BROKEN)
    assert [p.where for p in found] == [
        "app.toml:2 $.memroy",
        "app.toml:5 $.pids",
        "app.toml:7 $.volume[1]",
        "app.toml:10 $.publish",
        "app.toml:11 $.user-name",
        "app.toml:12 $.network",
        "app.toml:16 $.env.A",
        "app.toml:18 $.no",
        "app.toml:3 $.memory",
        "command",
    ]
    assert all(p.message and p.remedy for p in found)


def test_values_are_judged_at_their_own_line() -> None:
    text = 'command = ["true"]\nvolume = [\n  "./a:/data",\n  "x",\n'
    text += ']\n[env]\nA = "1"\nLD_PRELOAD = "x"\n"b c" = ""\n'
    assert [p.where for p in problems(text)] == [
        "app.toml:4 $.volume[1]",
        "app.toml:8 $.env.LD_PRELOAD",
        "app.toml:9 $.env.'b c'",
    ]


def test_json_has_lines_too() -> None:
    text = '{\n "command": ["true"],\n "tmpfs": ["/a",\n  "b"],\n'
    text += ' "env": {"A": "x",\n  "LD_AUDIT": ""},\n "cpus": true\n}'
    assert [p.where for p in problems(text, "app.json")] == [
        "app.json:7 $.cpus",
        "app.json:4 $.tmpfs[1]",
        "app.json:6 $.env.LD_AUDIT",
    ]


@every_row(
    ("name", "text", "where", "says"),
    [
        ("a.json", '{"command":["a"],\n"memory":"1G",\n"memory":"2G"}', "a.json:3 $.memory", "stands twice"),
        ("a.json", '{"command":["a"],"env":{"A":"1",\n"A":"2"}}', "a.json:2 $.env.A", "stands twice"),
        (
            "a.json",
            '{"command":["a"],\n"\\u006demory":"1G","memory":"1G"}',
            "a.json:2 $.memory",
            "stands twice",
        ),
        ("a.toml", 'command=["a"]\nmemory="1"\nmemory="2"', "a.toml:3", "is not TOML"),
        ("a.json", '{"cpus":\n NaN}', "a.json:2", "is not JSON"),
        ("a.json", "{", "a.json:1", "is not JSON"),
        ("a.json", "", "a.json:1", "is not JSON"),
        ("a.json", "[1]", "a.json:1 $", "not a table"),
        ("a.toml", 'command=["a"]\ncpus = nan', "a.toml:2 $.cpus", "not a number of processors"),
        ("a.toml", 'command=["a"]\ncpus = inf', "a.toml:2 $.cpus", "not a number of processors"),
        ("a.toml", 'command=["a"]\ntimeout = -1', "a.toml:2 $.timeout", "not a duration"),
        ("a.toml", 'command=["a"]\ntimeout = 1e400', "a.toml:2 $.timeout", "not a duration"),
        ("a.toml", 'command=["a"]\nname = 1979-05-27', "a.toml:2 $.name", "must be a string"),
        ("a.toml", 'command=["a"]\nrm = "yes"', "a.toml:2 $.rm", "must be true or false"),
        ("a.toml", 'command="a"', "a.toml:1 $.command", "must be a list"),
        ("a.toml", "command=[]", "command", "no command"),
        ("a.toml", "x = [\n", "a.toml:2", "is not TOML"),
        ("a.toml", "memory = " + "9" * 5000, "a.toml", "out of range"),
        ("a.toml", "\udcff = 1", "a.toml:1", "not UTF-8"),
        ("a.toml", 'command=["a"]\nconfig = "b"', "a.toml:2 $.config", "cannot stand in a document"),
        ("a.toml", 'command=["a"]\nenv_fd = 3', "a.toml:2 $.env_fd", "cannot stand in a document"),
        ("a.toml", 'command=["a"]\nmemory-swap = 0', "a.toml:2 $.memory-swap", "unknown key"),
        ("a.toml", "x = " + "[" * 5000 + "]" * 5000, "a.toml", "nested too deeply"),
        ("a.json", '{"x": ' + "[" * 5000 + "]" * 5000 + "}", "a.json", "nested too deeply"),
        ("a.toml", "#" * (MAX_DOCUMENT + 1), "a.toml", "larger than 1M"),
    ],
)
def test_a_document_that_cannot_be_used_says_where(name: str, text: str, where: str, says: str) -> None:
    (problem, *rest) = problems(text, name)
    assert (problem.where, rest) == (where, [])
    assert says in problem.message and problem.remedy


@every_row(
    ("name", "text"),
    [
        ("a.toml", 'command = ["true"]'),
        ("a.json", '{"command": ["true"]}'),
        ("--config-fd 3", 'command = ["true"]'),
        ("--config-fd 3", ' {"command": ["true"]}'),
        ("launch", '\ufeffcommand = ["true"]'),
    ],
)
def test_the_name_or_the_first_byte_says_the_format(name: str, text: str) -> None:
    assert problems(text, name) == []


def test_strange_spellings_of_toml_still_find_their_lines() -> None:
    text = (
        'command = ["true"]\nname = """a\nb"""\nlabel = { "x.y" = "1", z = 2 }\n'
        "env.A = 5\n'memory' = '''x'''\nsecret = [ # a comment ] with \"quotes\n  '''a\nb''', 5,\n]\n"
    )
    assert [p.where for p in problems(text)] == [
        "app.toml:4 $.label.z",
        "app.toml:5 $.env.A",
        "app.toml:9 $.secret[1]",
        "app.toml:2 $.name",
        "app.toml:6 $.memory",
    ]
