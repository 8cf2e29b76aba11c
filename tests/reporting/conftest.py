"""What was found of runs, real and made up, and a page as a browser would see it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.builders import selected

from ratchet.config import Objective, compose_objective
from ratchet.reporting.blocks import Block, Details, ExampleList, Figure, Paragraph, Section, Table
from ratchet.reporting.findings import Findings, Texts, compute_findings, read_texts
from ratchet.reporting.page import build_page
from ratchet.reporting.sections import build_sections
from ratchet.runs.selection import Candidate, select

RESAMPLES = 100
NO_TEXTS = Texts(None, "none were asked for")


@pytest.fixture(scope="session")
def trained(sample_runs: Path) -> Path:
    """rule and regression on three splits, to read."""
    return sample_runs


@pytest.fixture(scope="session")
def found(trained: Path) -> Findings:
    """Of both."""
    return found_in(trained)


@pytest.fixture(scope="session")
def sections(found: Findings) -> list[Section]:
    """The report on both, with texts."""
    return build_sections(found, read_texts(found.selection))


@cache
def found_in(runs_dir: Path, *names: str) -> Findings:
    nowhere = runs_dir / "none"
    selection = select(runs_dir, names=names)
    return compute_findings(
        selection, objective(), runs_dir=runs_dir, baseline="rule", promotions_dir=nowhere, resamples=RESAMPLES
    )


@cache
def objective(*overrides: str) -> Objective:
    return compose_objective(overrides)


def made_findings(directory: Path, *candidates: Candidate, overrides: Sequence[str] = (), **options: Any) -> Findings:
    """Of runs that were made up; the first candidate is the baseline."""
    settings: dict[str, Any] = {"baseline": candidates[0].name, "resamples": 20, "promotions_dir": directory / "none"}
    return compute_findings(selected(*candidates), objective(*overrides), runs_dir=directory, **settings | options)


# --- blocks -----------------------------------------------------------------------------------------------------------


def flat(blocks: Sequence[Block]) -> Iterator[Block]:
    """With those that fold away."""
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from flat(block.blocks)


def of_kind(kind: type[Any], sections: Sequence[Section], name: str | None = None) -> list[Any]:
    """All blocks of a kind, of all sections or of one."""
    chosen = [each for each in sections if name in (None, each.name)]
    assert chosen
    return [block for each in chosen for block in flat(each.blocks) if isinstance(block, kind)]


def paragraphs(sections: Sequence[Section], name: str | None = None) -> list[str]:
    return [each.text for each in of_kind(Paragraph, sections, name)]


def tables(sections: Sequence[Section], name: str | None = None) -> list[Table]:
    return of_kind(Table, sections, name)


def figures(sections: Sequence[Section], name: str | None = None) -> list[str]:
    return [each.name for each in of_kind(Figure, sections, name)]


def examples(sections: Sequence[Section]) -> list[ExampleList]:
    return of_kind(ExampleList, sections, "Examples")


def cells(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


# --- pages ------------------------------------------------------------------------------------------------------------

VOID = {"meta", "input", "br", "hr", "img", "link", "base"}


@dataclass
class Element:
    """A tag, its attributes, and all of the text in it; `inside` are the tags around it."""

    tag: str
    attributes: dict[str, str | None]
    inside: tuple[str, ...]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def has(self, **wanted: str) -> bool:
        """`has(kind="tone good")`: its class is one of these, or its attributes have these values."""
        names = {"kind": "class"}
        return all(self.attributes.get(names.get(key, key)) == value for key, value in wanted.items())


@dataclass(repr=False)
class Page(HTMLParser):
    """A parsed page. Every tag that is opened must be closed, in order, but for those that have no end."""

    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute stands there once"
        element = Element(tag, dict(attrs), tuple(each.tag for each in self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.parts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def all(self, tag: str | None = None, **wanted: str) -> list[Element]:
        return [each for each in self.elements if tag in (None, each.tag) and each.has(**wanted)]

    def texts(self, tag: str, **wanted: str) -> list[str]:
        return [each.text for each in self.all(tag, **wanted)]

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...], tuple[tuple[str, str | None], ...]]]:
        """What words must not change: tags, where they stand, and their attributes without those that are words."""
        free = {"content", "aria-label", "title", "data-order"}
        return [
            (
                each.tag,
                each.inside,
                tuple(
                    (key, "" if key in free else value)
                    for key, value in each.attributes.items()
                    if (each.tag, key, value) != ("td", "class", "short")
                ),
            )
            for each in self.elements
        ]


def parse(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page._open
    return page


def page_of(found: Findings, texts: Texts = NO_TEXTS) -> Page:
    return parse(build_page(found, texts))
