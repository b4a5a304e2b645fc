"""THE table of bad input: what is typed, or written, or missing on the machine, and what nucleus answers.

`test_bad_input.py` runs every row; tools/gen_errors_page.py makes docs/reference/errors.md of it.
✗ runs nothing.
"""

from __future__ import annotations

from bad_documents import DOCUMENTS
from bad_flags import FLAGS
from bad_hosts import HOST

GROUPS = {
    "Options": FLAGS,
    "Launch documents": DOCUMENTS,
    "Files, commands and the machine": HOST,
}
CASES = tuple([case for cases in GROUPS.values() for case in cases])
