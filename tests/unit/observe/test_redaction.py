"""The audit log's command line: no part of a secret is in it, and what is none mostly stays."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from rows import every_row

from nucleus.observe.redaction import REDACTED, redact

# Digits stand for the secret's own bytes: no digit is anywhere else in the words below.  The others are what could
# lead a reader of words astray.
SECRET = st.text(alphabet="0123456789=:@/ -'\"?&#%,;.\n\\{}[]()$", min_size=1, max_size=24).filter(
    lambda s: any(c.isdigit() for c in s)
)
NAMES = (
    "password", "PASSWORD", "db-password", "DB_PASSWORD", "passwd", "api-key", "API_KEY", "apikey", "secret",
    "client_secret", "token", "GITHUB_TOKEN", "access-token", "auth", "authorization", "credential", "private-key",
)  # fmt: skip
NAME = st.sampled_from(NAMES)
# How a secret gets into a command line; {n} is the name, {s} the secret.
WITH_NAME = (
    ("tool", "--{n}={s}"),
    ("tool", "-{n}={s}"),
    ("tool", "--{n}", "{s}"),
    ("tool", "-{n}", "{s}"),
    ("tool", "--{n}", "{s}", "next"),
    ("env", "{n}={s}", "tool"),
    ("tool", "-e", "{n}={s}"),
    ("tool", "-e{n}={s}"),
    ("tool", "--env={n}={s}"),
    ("tool", "--set", "a.{n}={s}"),
    ("tool", "config", "{n}", "{s}"),
    ("sh", "-c", "export {n}={s}; run"),
    ("sh", "-c", "tool --{n} {s}"),
    ("curl", "-H", "X-{n}: {s}"),
    ("curl", "--header=X-{n}: {s}"),
    ("curl", "https://host/path?{n}={s}"),
    ("curl", "--url=https://host/path?{n}={s}"),
    ("curl", "--data", '{{"{n}": "{s}"}}'),
    ("tool", '{{"{n}": "{s}"}}'),
    ("tool", "--opt={n}:{s}"),
)
ALONE = (
    ("curl", "https://user:{s}@host/path"),
    ("curl", "https://{s}@host/path"),
    ("curl", "https://:{s}@host"),
    ("psql", "postgres://user:{s}@host/db"),
    ("tool", "DATABASE_URL=postgres://user:{s}@host/db"),
    ("tool", "--url=postgres://user:{s}@host/db"),
    ("tool", "--a=b=postgres://user:{s}@host/db"),
    ("git", "clone", "git+https://oauth:{s}@host/repo"),
    ("sh", "-c", "git clone https://user:{s}@host/repo"),
    ("rsync", "user:{s}@host"),
    ("curl", "-u", "user:{s}"),
    ("curl", "-uuser:{s}"),
    ("curl", "--user", "user:{s}"),
    ("curl", "--user=user:{s}"),
    ("curl", "-H", "{s}"),
    ("curl", "-d", "{s}"),
    ("mysql", "-p{s}"),
    ("sshpass", "-p", "{s}"),
    ("redis-cli", "-a", "{s}"),
    ("docker", "run", "-e", "HARMLESS={s}"),
    ("docker", "run", "--env", "HARMLESS={s}"),
    ("docker", "run", "--env=HARMLESS={s}"),
    ("docker", "build", "--build-arg", "HARMLESS={s}"),
)


def filled(template: tuple[str, ...], secret: str, name: str = "") -> list[str]:
    return [word.format(s=secret, n=name) for word in template]


@given(secret=SECRET, name=NAME)
@example(secret="0", name="password")
@example(secret="=0", name="password")
@example(secret="--0", name="token")
@example(secret="@0:", name="API_KEY")
@every_row("template", WITH_NAME, ids=" ".join)
def test_no_byte_of_a_secret_with_a_name_is_shown(template: tuple[str, ...], secret: str, name: str) -> None:
    shown = redact(filled(template, secret, name))
    assert not any(c.isdigit() for c in "".join(shown)), shown
    assert len(shown) == len(template)


@given(secret=SECRET)
@example(secret="0/1@2:3")
@example(secret="0 1")
@example(secret="://0@")
@every_row("template", ALONE, ids=" ".join)
def test_no_byte_of_a_password_in_its_place_is_shown(template: tuple[str, ...], secret: str) -> None:
    shown = redact(filled(template, secret))
    assert not any(c.isdigit() for c in "".join(shown)), shown


@every_row(
    "token",
    [
        "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11AAAAAAA0abcdefgh",
        "glpat-abcdefghijklmnopqrst",
        "sk-abcdefghijklmnop",
        "xoxb-" + "1234-abcd",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "hf_abcdefgh",
        "npm_abcdefgh",
        "d41d8cd98f00b204e9800998ecf8427e",
        "8b5f48702995c1598c573db1e21866a9b825d4a794d169d7060a03605796360b",
        "wJalrXUtnFEMIK7MDENG3bPxRfiCYEXAMPLEKEY",
        "-----BEGIN RSA PRIVATE KEY-----\nabc",
    ],
)
@every_row("form", ["{}", "--option={}", "x={}", "prefix:{}", "/path/{}", "run {} now"])
def test_a_token_is_known_by_its_look(token: str, form: str) -> None:
    (_, shown) = redact(["tool", form.format(token)])
    assert token[5:] not in shown and token[-8:] not in shown


@every_row(
    "words",
    [
        ["python3", "-m", "pytest", "-x", "tests/unit"],
        ["make", "-j4", "test"],
        ["ls", "-la", "/usr/lib/python3.11/site-packages"],
        ["gcc", "-O2", "-Wall", "-std=c11", "main.c"],
        ["tar", "xzf", "linux-6.12.tar.gz", "--strip-components=1"],
        ["sh", "-c", "echo hello | wc -l"],
        ["git", "clone", "https://example.org"],
        ["sleep", "60"],
    ],
    ids=" ".join,
)
def test_what_is_no_secret_stays(words: list[str]) -> None:
    assert redact(words) == words


def test_of_a_url_scheme_and_host_stay() -> None:
    assert redact(["curl", "https://u:p@example.org:8443/a/b?c#d"]) == [
        "curl",
        f"https://{REDACTED}@example.org:8443/{REDACTED}",
    ]
