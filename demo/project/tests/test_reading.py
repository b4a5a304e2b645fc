import unittest

from textstats import reading_ease, syllables


class Reading(unittest.TestCase):
    def test_syllables_of_common_words(self):
        expected = {"cat": 1, "table": 2, "reading": 2, "make": 1, "tree": 1, "beautiful": 3, "hmm": 1}
        self.assertEqual({word: syllables(word) for word in expected}, expected)

    def test_short_words_are_easier_than_long_ones(self):
        easy = "The cat sat. The dog ran."
        hard = "Institutional considerations necessitate comprehensive documentation."
        self.assertGreater(reading_ease(easy), reading_ease(hard) + 100)

    def test_a_text_without_words_has_no_reading_ease(self):
        with self.assertRaises(ValueError):
            reading_ease("1 2 3")
