import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path


class Command(unittest.TestCase):
    def test_the_command_reads_files_and_prints_one_line_of_json_each(self):
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder, "poem.txt")
            text.write_text("So much depends.\nSo much.\n", encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-m", "textstats", str(text), str(text)],
                check=True,
                capture_output=True,
                text=True,
            )
        first, second = map(json.loads, done.stdout.splitlines())
        self.assertEqual(first, second)
        self.assertEqual((first["words"], first["sentences"], first["common"][0]), (5, 2, ["much", 2]))
