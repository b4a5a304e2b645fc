import unittest

from textstats import Counts, count, most_common


class Counting(unittest.TestCase):
    def test_an_empty_text_has_nothing(self):
        self.assertEqual(count(""), Counts(characters=0, words=0, lines=0, sentences=0))

    def test_a_text_without_a_full_stop_is_one_sentence(self):
        self.assertEqual(count("no stop here").sentences, 1)

    def test_abbreviated_and_hyphenated_words_count_once(self):
        self.assertEqual(count("It's a well-known fact.").words, 4)

    def test_numbers_are_no_words(self):
        self.assertEqual(count("42 is 6 times 7").words, 2)

    def test_letters_of_other_scripts_are_words(self):
        self.assertEqual(count("Ωμέγα и Альфа").words, 3)

    def test_lines_are_counted_with_every_line_ending(self):
        self.assertEqual(count("one\ntwo\r\nthree").lines, 3)

    def test_the_most_common_words_ignore_case_and_break_ties_by_alphabet(self):
        self.assertEqual(most_common("b a B c A d", 3), [("a", 2), ("b", 2), ("c", 1)])
