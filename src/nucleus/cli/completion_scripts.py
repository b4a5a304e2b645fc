"""Completion scripts for bash, zsh and fish, made of the tables of verbs and options.  ✗ prints, ✗ names of containers."""

from __future__ import annotations

from ..base.value import Value
from ..spec.options import OPTIONS
from .main import VERBS
from .verb_help import page_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..spec.options import Option

SHELLS = ("bash", "zsh", "fish")

FILE, FOLDER, NOTHING, CHOICES, BARE = "file", "folder", "nothing", "choices", "bare"
_FILES = frozenset((
    "config", "log", "env_file", "events_jsonl", "audit_log", "provider_config_ro", "provider_config_rw", "secret",
    "seccomp_profile", "volume",
))  # fmt: skip
_FOLDERS = frozenset(("path", "workspace"))
# Verbs that take the options of `run` and then a command.
RUN_LIKE = ("run", "explain", "create")


class Word(Value):
    """One option as a shell sees it.  value: what follows it; `bare`: nothing has to."""

    names: tuple[str, ...]
    text: str
    value: str = BARE
    choices: tuple[str, ...] = ()


def _of_option(option: Option) -> Word:
    names = tuple([n for n in (option.short, option.flag) if n])
    if option.bare is not None:
        return Word(names=names, text=option.help)
    if option.choices:
        return Word(names=names, text=option.help, value=CHOICES, choices=option.choices)
    value = NOTHING
    if option.key in _FILES:
        value = FILE
    elif option.kind in _FOLDERS or option.metavar == "DIR":
        value = FOLDER
    return Word(names=names, text=option.help, value=value)


def words_of(verb: str) -> list[Word]:
    """The options of a verb."""
    if verb in RUN_LIKE:
        return [_of_option(o) for o in OPTIONS if o.cli]
    found = []
    for flag in page_of(verb).flags:
        value, choices = BARE, tuple[str, ...]()
        if "|" in flag.metavar and flag.metavar.islower():  # words to type; kinds of words are in capitals
            value, choices = CHOICES, tuple(flag.metavar.split("|"))
        elif flag.metavar:
            value = {"DIR": FOLDER, "FILE": FILE}.get(flag.metavar, NOTHING)
        found.append(Word(names=flag.names, text=flag.text, value=value, choices=choices))
    return found


def arguments_of(verb: str) -> str:
    """What the words of a verb are: command, containers, verbs, shells or nothing."""
    if verb in RUN_LIKE:
        return "command"
    if verb == "help":
        return "verbs"
    if verb == "completion":
        return "shells"
    return "containers" if verb != "version" and page_of(verb).takes_containers else ""


# ---- bash ----------------------------------------------------------------------------------------

_BASH = r"""# bash completion for nucleus. Made by `nucleus completion bash`; do not edit.

_nucleus_containers() {
    "${COMP_WORDS[0]}" completion --containers "${root[@]}" 2>/dev/null
}

_nucleus_fill() { # WORDS...
    mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur")
}

_nucleus_value() { # VERB OPTION
    case "$1 $2" in
@VALUES@
    *) return 1 ;;
    esac
}

_nucleus() {
    local cur prev word verb="" commanded="" root=() at
    COMPREPLY=()
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    # The shell cuts --option=value into three words.
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        if [[ $word == --root ]]; then
            [[ ${COMP_WORDS[at + 1]} == "=" ]] && ((at++))
            ((at++))
            root=(--root "${COMP_WORDS[at]}")
        elif [[ -n $commanded ]]; then
            continue
        elif [[ -z $verb ]]; then
            case $word in
            --log | --log-format)
                [[ ${COMP_WORDS[at + 1]} == "=" ]] && ((at++))
                ((at++))
                ;;
            -*) ;;
            *) verb=$word ;;
            esac
        elif [[ $word == -- ]]; then
            commanded=yes
        elif [[ $word == -* ]]; then
            if _nucleus_value "$verb" "$word"; then
                [[ ${COMP_WORDS[at + 1]} == "=" ]] && ((at++))
                ((at++))
                COMPREPLY=()
            fi
        else
            case $verb in
            @RUN_LIKE@) commanded=yes ;;
            esac
        fi
    done
    if [[ -n $commanded ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    fi
    if _nucleus_value "$verb" "$prev"; then
        return
    fi
    COMPREPLY=()
    case $verb in
    "") _nucleus_fill @VERBS@ --root --log --log-format --help --version ;;
@ARGUMENTS@
    esac
}

complete -F _nucleus nucleus
"""


def bash() -> str:
    """The script for bash 4 or newer."""
    values, arguments = [], []
    for verb in VERBS:
        for word in _words(verb):
            if word.value != BARE:
                pattern = " | ".join([f'"{verb} {name}"' for name in word.names])
                values.append(f"    {pattern}) {_bash_action(word)} ;;")
        arguments.append(f"    {verb})\n{_bash_arguments(verb)}\n        ;;")
    for name, action in (("--root", "compgen -d"), ("--log", "compgen -f")):
        values.append(f'    " {name}") mapfile -t COMPREPLY < <({action} -- "$cur") ;;')
    values.append('    " --log-format") _nucleus_fill text json ;;')
    return _filled(
        _BASH, VALUES="\n".join(values), ARGUMENTS="\n".join(arguments), VERBS=" ".join(VERBS),
        RUN_LIKE=" | ".join(RUN_LIKE),
    )  # fmt: skip


def _bash_action(word: Word) -> str:
    if word.value == CHOICES:
        return f"_nucleus_fill {' '.join(word.choices)}"
    if word.value == NOTHING:
        return ":"
    flag = "-f" if word.value == FILE else "-d"
    return f'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen {flag} -- "$cur")'


def _bash_arguments(verb: str) -> str:
    flags = " ".join([name for word in _words(verb) for name in word.names])
    lines = [f"        if [[ $cur == -* ]]; then\n            _nucleus_fill {flags} --help"]
    other = {
        "command": 'mapfile -t COMPREPLY < <(compgen -c -f -- "$cur")',
        "containers": '_nucleus_fill "$(_nucleus_containers)"',
        "verbs": f"_nucleus_fill {' '.join(VERBS)}",
        "shells": f"_nucleus_fill {' '.join(SHELLS)}",
    }.get(arguments_of(verb))
    if other:
        lines.append(f"        else\n            {other}")
    return "\n".join([*lines, "        fi"])


# ---- zsh -----------------------------------------------------------------------------------------

_ZSH = r"""#compdef nucleus
# zsh completion for nucleus. Made by `nucleus completion zsh`; do not edit.

_nucleus_containers() {
    local -a found root
    local at=${words[(I)--root]}
    (( at )) && root=(--root "${(Q)words[at + 1]}")
    found=(${(f)"$(_call_program containers nucleus completion --containers $root 2>/dev/null)"})
    (( $#found )) && compadd -a found
}

_nucleus_verbs() {
    local -a verbs
    verbs=(
@VERBS@
    )
    _describe verb verbs
}

_nucleus() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C \
        '--root=[the state root]:directory:_directories' \
        '--log=[write messages to this file too]:file:_files' \
        '--log-format=[the form of messages]:format:(text json)' \
        '(-h --help)'{-h,--help}'[show help]' \
        '(-V --version)'{-V,--version}'[print the version]' \
        '1:verb:_nucleus_verbs' \
        '*::argument:->argument'
    [[ $state == argument ]] || return
    case $line[1] in
@CASES@
    esac
}

_nucleus "$@"
"""


def zsh() -> str:
    """The script for zsh: a file _nucleus on $fpath."""
    verbs = "\n".join([f"        {_single(f'{verb}:{text}')}" for verb, (_, text) in VERBS.items()])
    return _filled(_ZSH, VERBS=verbs, CASES="\n".join([_zsh_case(verb) for verb in VERBS]))


def _zsh_case(verb: str) -> str:
    specs = [_zsh_option(word, name) for word in _words(verb) for name in word.names]
    specs.append("'--help[show help]'")
    other = {
        "command": ["'(-)1:command: _command_names -e'", "'*::argument:_normal'"],
        "containers": ["'*:container:_nucleus_containers'"],
        "verbs": ["'1:verb:_nucleus_verbs'"],
        "shells": [f"'1:shell:({' '.join(SHELLS)})'"],
    }.get(arguments_of(verb), [])
    lines = " \\\n            ".join(specs + other)
    return f"    {verb})\n        _arguments -s \\\n            {lines}\n        ;;"


def _zsh_option(word: Word, name: str) -> str:
    text = word.text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    form = {
        BARE: "",
        NOTHING: ":value: ",
        FILE: ":file:_files",
        FOLDER: ":directory:_directories",
        CHOICES: f":value:({' '.join(word.choices)})",
    }[word.value]
    sign = "" if word.value == BARE else "=" if name.startswith("--") else "+"
    return _single(f"*{name}{sign}[{text}]{form}")


# ---- fish ----------------------------------------------------------------------------------------

_FISH = r"""# fish completion for nucleus. Made by `nucleus completion fish`; do not edit.

function __nucleus_verb
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --root --log --log-format
                set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return
        end
        set -e words[1]
    end
end

function __nucleus_is
    contains -- (__nucleus_verb) $argv
end

function __nucleus_containers
    set -l root
    set -l words (commandline -opc)
    if set -l at (contains -i -- --root $words)
        set root --root $words[(math $at + 1)]
    end
    command nucleus completion --containers $root 2>/dev/null
end

complete -c nucleus -f
complete -c nucleus -n 'test -z (__nucleus_verb)' -l root -x -a '(__fish_complete_directories)' -d 'the state root'
complete -c nucleus -n 'test -z (__nucleus_verb)' -l log -r -F -d 'write messages to this file too'
complete -c nucleus -n 'test -z (__nucleus_verb)' -l log-format -x -a 'text json' -d 'the form of messages'
"""


def fish() -> str:
    """The script for fish."""
    lines = [
        f"complete -c nucleus -n 'test -z (__nucleus_verb)' -a {verb} -d {_single(text)}"
        for verb, (_, text) in VERBS.items()
    ]
    for verb in VERBS:
        start = f"complete -c nucleus -n '__nucleus_is {verb}'"
        other = {
            "command": "-F -a '(__fish_complete_subcommand)'",
            "containers": "-a '(__nucleus_containers)'",
            "verbs": f"-a '{' '.join(VERBS)}'",
            "shells": f"-a '{' '.join(SHELLS)}'",
        }.get(arguments_of(verb))
        lines += [f"{start} {other}"] if other else []
        lines += [f"{start} {_fish_option(word)}" for word in _words(verb)]
    return _FISH + "\n".join(lines) + "\n"


def _fish_option(word: Word) -> str:
    names = [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in word.names]
    form = {
        BARE: "",
        NOTHING: "-x",
        FILE: "-r -F",
        FOLDER: "-x -a '(__fish_complete_directories)'",
        CHOICES: f"-x -a '{' '.join(word.choices)}'",
    }[word.value]
    return " ".join([*names, *([form] if form else []), "-d", _single(word.text)])


# ---- both ----------------------------------------------------------------------------------------


def _words(verb: str) -> list[Word]:
    return [] if verb in ("help", "version") else words_of(verb)


def _single(text: str) -> str:
    """In single quotes, which zsh and fish read alike but for the quote itself."""
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


def _filled(template: str, **parts: str) -> str:
    for name, part in parts.items():
        template = template.replace(f"@{name}@", part)
    return template


SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
