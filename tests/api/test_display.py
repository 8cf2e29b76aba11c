"""Tests for tables as HTML, whatever text is in them."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from ratchet.api.display import to_html
from ratchet.reporting.blocks import Cell, Column, Facts, Paragraph, Table, text

ALLOWED = {"div", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Reader(HTMLParser):
    """Collects elements, their attributes, and the text of each."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.titles: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.titles += [value or "" for name, value in attrs if name == "title"]
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


ANY_TEXT = st.text(min_size=1).map(lambda value: f"x{value}")  # an empty text has no element


@given(ANY_TEXT)
def test_text_is_shown_as_it_is_and_makes_no_element(value: str) -> None:
    table = Table(
        value, [Column(value, about=value), Column("n", numeric=True)], [[text(value), Cell(value, code=True)]]
    )
    reader = Reader(to_html([Paragraph(value), Facts(value, [(value, "a"), ("", value)]), table]))
    assert set(reader.tags) <= ALLOWED
    assert reader.attributes == {"style", "title", "scope"}
    assert reader.titles == [value]
    assert [shown for shown in reader.texts if shown == value] == [value] * 7
    assert f"{value}: a" in reader.texts
    assert reader.texts[-1] == f"{value}: {value}", "the explanation of the column"


def test_tones_are_signs_and_no_colour_is_fixed() -> None:
    rows = [[text(tone, tone)] for tone in ("good", "bad", "even", "")]
    html = to_html([Table("", [Column("state")], rows)])
    assert Reader(html).texts[-8:] == ["", "▲ good", "", "▼ bad", "", "● even", "", ""]
    assert html.count("color") == 1
    assert "color: inherit" in html


def test_numbers_are_aligned_to_the_right_and_stay_on_one_line() -> None:
    html = to_html([Table("", [Column("name"), Column("n", numeric=True)], [[text("a b"), Cell("1 [0, 2]")]])])
    word, numbers = re.findall(r'<td style="(.*?)">', html)
    assert word.startswith("text-align: left;")
    assert numbers.startswith("text-align: right; white-space: nowrap;")


def test_half_a_surrogate_pair_is_written_as_its_escape() -> None:
    assert "a \\ud800 b" in to_html([Paragraph("a \ud800 b")])
