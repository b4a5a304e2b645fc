"""The grammar of container ids, names and host names.

✗ no randomness: the bytes of an id come as an argument.
"""

from __future__ import annotations

ID_BYTES = 16
MAX_NAME = 128
MAX_HOSTNAME = 64  # sethostname(2): __NEW_UTS_LEN
_HEX = "0123456789abcdef"


def new_id(random_bytes: bytes) -> str:
    """16 random bytes → the 32 lower-case hex digits that name a container."""
    if len(random_bytes) != ID_BYTES:
        raise ValueError(f"an id is made of {ID_BYTES} bytes, not {len(random_bytes)}")
    return random_bytes.hex()


def is_id(text: str) -> bool:
    """A whole container id."""
    return len(text) == 2 * ID_BYTES and not text.strip(_HEX)


def is_id_prefix(text: str) -> bool:
    """What may abbreviate an id on the command line."""
    return 0 < len(text) <= 2 * ID_BYTES and not text.strip(_HEX)


def short_id(text: str) -> str:
    """The twelve digits that tables show."""
    return text[:12]


def is_name(text: str) -> bool:
    """1–128 letters, digits, '.', '_', '-', beginning with a letter or digit: safe as a file name."""
    plain = text.replace(".", "a").replace("_", "a").replace("-", "a")
    return 0 < len(text) <= MAX_NAME and text[0].isalnum() and plain.isascii() and plain.isalnum()


def is_hostname(text: str) -> bool:
    """RFC 1123 labels, at most the 64 bytes that the kernel keeps."""
    return 0 < len(text) <= MAX_HOSTNAME and all(_is_label(label) for label in text.split("."))


def _is_label(label: str) -> bool:
    plain = label.replace("-", "a")
    return (
        0 < len(label) <= 63 and label[0] != "-" and label[-1] != "-" and plain.isascii() and plain.isalnum()
    )


def hostname_from(name: str) -> str:
    """The host name that a container of that name gets when none is asked for."""
    kept = "".join([c if c.isascii() and c.isalnum() else "-" for c in name])[:63].strip("-")
    return kept or "nucleus"


def is_variable(text: str) -> bool:
    """The name of an environment variable: [A-Za-z_][A-Za-z0-9_]*."""
    return text.isascii() and text.isidentifier()
