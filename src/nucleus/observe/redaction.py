"""A command line for the audit log: what is, or may be, a secret is left out.

In doubt a word goes: an audit log that shows too little is read with a question, one that shows a password is an incident.
✗ environment variables: of those only the names are ever recorded.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

REDACTED = "[redacted]"

# Compared without case, '-' and '_': api_key, --api-key and APIKEY are one.
_STEMS = (
    "pass", "pwd", "secret", "token", "key", "auth", "cred", "bearer", "cookie", "session", "signature", "jwt", "otp",
    "private", "cert", "login", "dsn", "webhook", "salt", "seed", "mnemonic", "license",
)  # fmt: skip
# What follows is a password, a header, a body or an assignment in some well-known program.
_TAKES_SECRET = frozenset((
    "-p", "-P", "-a", "-u", "-U", "-k", "-H", "-d", "-b", "-F", "--user", "--proxy-user", "--header", "--data",
    "--data-raw", "--data-binary", "--data-urlencode", "--form", "--json", "--proxy-header", "--url-query",
))  # fmt: skip
_TAKES_ASSIGNMENT = frozenset(
    ("-e", "--env", "-v", "--var", "--set", "--build-arg", "-c", "--config", "-o", "--option")
)
_NAME = re.compile(r"-{0,2}[A-Za-z0-9_.-]*\Z")
_ASSIGNMENT = re.compile(r"(-{0,2}[A-Za-z_][A-Za-z0-9_.-]*)=", re.ASCII)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(.*)\Z", re.ASCII | re.DOTALL)
_HOST = re.compile(r"\[?[A-Za-z0-9._:-]*\]?", re.ASCII)
# Keys and tokens of well-known services, and what is too long and too mixed for a word.
_KNOWN = re.compile(
    r"gh[pousr]_|github_pat_|glpat-|\bsk-|xox[abeprs]-|AKIA|ASIA|AIza|ya29\.|npm_|pypi-|hf_|dop_v1_|SG\.|eyJ|-----BEGIN"
)
_LONG = re.compile(r"[A-Za-z0-9+_=~-]{16,}", re.ASCII)


def redact(words: Sequence[str]) -> list[str]:
    """The words, each as it is, in part, or as REDACTED."""
    found: list[str] = []
    before = ""
    for number, word in enumerate(words):
        if number and _takes_secret(before):
            shown = REDACTED
        elif number and before in _TAKES_ASSIGNMENT:
            shown = _assignment(word)
        else:
            shown = _word(word, program=number == 0)
        found.append(shown)
        before = word
    return found


def _takes_secret(before: str) -> bool:
    """Is the next word a secret?  After `--password`, `-p`, `requirepass`, but not after `--password=x`."""
    return before in _TAKES_SECRET or (_NAME.match(before) is not None and _sensitive(before))


def _sensitive(text: str) -> bool:
    plain = text.lower().replace("-", "").replace("_", "")
    return any(stem in plain for stem in _STEMS)


def _word(word: str, *, program: bool = False) -> str:
    if _KNOWN.search(word) or any(_mixed(run) for run in _LONG.findall(word)):
        return REDACTED
    # mysql -pPASSWORD, curl -uNAME:PASSWORD
    if len(word) > 2 and word[1] != "-" and word[:2] in _TAKES_SECRET:
        return word[:2] + REDACTED
    assigned = _ASSIGNMENT.match(word)
    if assigned:
        return _pair(assigned[1], word[assigned.end() :])
    if _sensitive(word):
        # A flag, or the program itself, is no secret; what follows it is.
        flag = word.startswith("-") and _NAME.match(word) is not None
        return word if flag or (program and _is_path(word)) else REDACTED
    return _value(word)


def _pair(name: str, value: str) -> str:
    if _sensitive(name) or _sensitive(value) or name in _TAKES_SECRET:
        return f"{name}={REDACTED}"
    if name in _TAKES_ASSIGNMENT:
        return f"{name}={_assignment(value)}"
    return f"{name}={_word(value)}"


def _assignment(word: str) -> str:
    """NAME=VALUE of an environment: the name alone; what is no assignment is judged as any word."""
    name, equals, _ = word.partition("=")
    return f"{name}={REDACTED}" if equals and _NAME.match(name) else _word(word)


def _value(word: str) -> str:
    if "://" in word:
        return _url(word)
    # name:password@host, and anything of that form amid other words
    at = word.rfind("@")
    return REDACTED if at >= 0 and ":" in word[:at] else word


def _url(word: str) -> str:
    """The scheme and the host: what stands before the host is a password, what stands behind it may be a token."""
    match = _URL.match(word)
    if match is None or "://" in match[2] or any(c.isspace() for c in word):
        return REDACTED
    scheme, rest = match.groups()
    _, at, host = rest.rpartition("@")
    found = _HOST.match(host)
    name = found[0] if found else ""
    if not name or (at and ":" in name.partition(":")[2]):
        return scheme + REDACTED
    return (
        scheme
        + (f"{REDACTED}@" if at else "")
        + name
        + (f"/{REDACTED}" if host[len(name) :].strip("/") else "")
    )


def _is_path(word: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_./+-]*", word, re.ASCII) is not None


def _mixed(run: str) -> bool:
    """Letters and digits by turns, as no name has them."""
    turns = sum(a.isdigit() != b.isdigit() for a, b in zip(run, run[1:], strict=False))
    return turns >= 4 or (len(run) >= 32 and turns >= 1)
