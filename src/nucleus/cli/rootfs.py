"""`nucleus rootfs attest|verify`: the manifest of a root file system.

✗ what is in one (`container/inputs/attestation.py`).
"""

from __future__ import annotations

import os
import sys

from ..base.errors import SpecError

HELP = """usage: nucleus rootfs attest [-o FILE] DIR
       nucleus rootfs verify [--attestation FILE] [--sha256 HEX] DIR

Make the manifest of a root file system, or hold one against it.

  attest  write what lies at each path (type, mode, owner, content) into
          DIR/.nucleus-rootfs-sha256, or into FILE, and print the manifest's
          SHA-256, which `--rootfs-attestation-sha256` takes
  verify  tell every path that is not as the manifest says, one a line; the exit
          code is 1 where there is any

  -o, --output FILE   where the manifest goes (replaced at once; `-` is the
                      standard output)
  --attestation FILE  the manifest, where it is not in DIR
  --sha256 HEX        the manifest has to have this SHA-256

`run --verify-rootfs-attestation` does what verify does, before anything of a
container exists.
"""
_DIFFERENT = 1


def main(argv: list[str]) -> int:
    """Prints; of verify 1 where something differs."""
    from .arguments import Arguments

    values = ("-o", "--output", "--attestation", "--sha256")
    given = Arguments(argv, flags={}, values=values, help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 2 or given.words[0] not in ("attest", "verify"):
        raise SpecError(
            "what to do, and with which directory?", where="nucleus rootfs",
            remedy="nucleus rootfs attest DIR, or nucleus rootfs verify DIR",
        )  # fmt: skip
    verb, path = given.words
    root = _open(path)
    try:
        if verb == "attest":
            return _attest(root, given.values.get("-o") or given.values.get("--output", ""))
        return _verify(root, given.values.get("--attestation", ""), given.values.get("--sha256", ""))
    finally:
        os.close(root)


def _open(path: str) -> int:
    try:
        return os.open(os.path.realpath(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SpecError(
            f"{path} cannot be opened: {(error.strerror or '').lower()}", where="nucleus rootfs",
            remedy="name the directory of a root file system",
        ) from None  # fmt: skip


def _attest(root: int, output: str) -> int:
    from hashlib import sha256

    from ..container.inputs import attestation
    from ..state.store import write_file

    manifest = attestation.scan(root)
    data = attestation.text(manifest)
    if output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        folder, name = (os.path.dirname(output) or ".", os.path.basename(output)) if output else ("", "")
        directory = _open(folder) if output else root
        try:
            write_file(directory, name or attestation.FILE, data, mode=0o644)
        finally:
            if output:
                os.close(directory)
        sys.stdout.write(sha256(data).hexdigest() + "\n")
    files = [item for item in manifest.values() if item["type"] == "file"]
    size = sum(item["size"] for item in files)
    sys.stderr.write(f"{len(manifest)} paths, {len(files)} files, {size / (1 << 20):.1f} MiB\n")
    return 0


def _verify(root: int, path: str, wanted: str) -> int:
    from ..container.inputs import attestation

    manifest = attestation.read_manifest(root, path, wanted)
    said = attestation.differences(manifest, attestation.scan(root))
    for line in said:
        sys.stdout.write(line + "\n")
    return _DIFFERENT if said else 0
