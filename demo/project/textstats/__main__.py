"""`python3 -m textstats FILE...`: prints the statistics of each file as one line of JSON."""

import json
import sys
from pathlib import Path

from textstats import count, most_common, reading_ease


def describe(path):
    """All statistics of one file."""
    text = path.read_text(encoding="utf-8")
    counts = count(text)
    ease = round(reading_ease(text), 1) if counts.words else None
    return {"file": path.name, **vars(counts), "common": most_common(text, 3), "reading_ease": ease}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(describe(Path(name)), ensure_ascii=False))
