"""Text of the user's stays on its line and cannot act on the terminal."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hier
from hier.estimate.text_columns import align
from hier.text import blocks, shown, shown_lines

TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # Unicode's marks that turn the direction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, [T.a] & <b>", "plain text, [T.a] & <b>"),
        ("Größe Ωμέγα 体重 вес وزن", "Größe Ωμέγα 体重 вес وزن"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner is a part of how Persian is spelled
        ("two\nlines", "two\\nlines"),
        ("carriage\rreturn\ttab", "carriage\\rreturn\\ttab"),
        ("clear\x1b[2Jscreen", "clear\\x1b[2Jscreen"),
        ("one\x9bmove", "one\\x9bmove"),
        ("null\0", "null\\x00"),
        ("turned\u202edenrut", "turned\\u202edenrut"),
        ("isolate\u2066x\u2069", "isolate\\u2066x\\u2069"),
        ("line\u2028paragraph\u2029next\x85", "line\\u2028paragraph\\u2029next\\x85"),
        ("hidden\u200b\ufeff", "hidden\\u200b\\ufeff"),
        ("wide\xa0space", "wide\\xa0space"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        (12, "12"),
        (None, "None"),
    ],
)
def test_what_is_no_visible_character_shows_as_its_escape(text: object, expected: str) -> None:
    assert shown(text) == expected


@given(st.text())
def test_shown_text_is_one_line_without_control_characters(text: str) -> None:
    found = shown(text)
    assert len(found.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in found} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in found} & TURNS
    assert shown(found) == found


def test_line_breaks_of_hiers_own_stay() -> None:
    assert shown_lines("a\n\x1b\nb") == "a\n\\x1b\nb"
    assert blocks([["a", "b\nforged"], ["c"]]) == "a\nb\\nforged\n\nc"


def test_a_row_of_a_table_is_one_line() -> None:
    assert align([["", "estimate"], ["a\nb 9.99", "1.0"]], left=1) == ["            estimate", " a\\nb 9.99       1.0"]


def test_every_part_of_a_refusal_is_shown_on_its_own_line() -> None:
    forged = "x\n  try:      rm -rf"
    error = hier.DataError(forged, where=forged, found=f"{forged}\n", expected=forged, hint=forged)
    escaped = "x\\n  try:      rm -rf"
    labels = ("  where:    ", "  found:    ", "  expected: ", "  try:      ")
    assert str(error).split("\n") == [escaped, *(label + escaped for label in labels)]
    assert error.found == f"{forged}\n"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_caret_stands_below_the_marked_text_as_it_is_shown() -> None:
    text = "y ~ \tx\x1b + oops\n"
    error = hier.FormulaError("no such column", text, (text.index("oops"), text.index("oops") + 4))
    _, line, marks = str(error).split("\n")
    assert line == "    y ~ \\tx\\x1b + oops"
    assert marks == " " * line.index("oops") + "^^^^"


def test_the_caret_is_as_wide_as_an_escape() -> None:
    _, line, marks = str(hier.FormulaError("what is this", "y ~ \x1b", (4, 5))).split("\n")
    assert line == "    y ~ \\x1b"
    assert marks == "        ^^^^"
