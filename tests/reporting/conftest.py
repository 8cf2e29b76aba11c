"""Findings of real and made-up runs, and a parser for pages."""

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
    """Return the directory with runs of rule and regression on three splits. Tests must not change it."""
    return sample_runs


@pytest.fixture(scope="session")
def found(trained: Path) -> Findings:
    """Return the findings of both candidates."""
    return found_in(trained)


@pytest.fixture(scope="session")
def sections(found: Findings) -> list[Section]:
    """Return the sections of the report on both candidates, with texts."""
    return build_sections(found, read_texts(found.selection))


@cache
def found_in(runs_dir: Path, *names: str) -> Findings:
    no_promotions = runs_dir / "none"
    selection = select(runs_dir, names=names)
    return compute_findings(
        selection, objective(), runs_dir=runs_dir, baseline="rule", promotions_dir=no_promotions, resamples=RESAMPLES
    )


@cache
def objective(*overrides: str) -> Objective:
    return compose_objective(overrides)


def made_findings(directory: Path, *candidates: Candidate, overrides: Sequence[str] = (), **options: Any) -> Findings:
    """Return the findings of made-up runs. The first candidate is the baseline."""
    settings: dict[str, Any] = {"baseline": candidates[0].name, "resamples": 20, "promotions_dir": directory / "none"}
    return compute_findings(selected(*candidates), objective(*overrides), runs_dir=directory, **settings | options)


# --- blocks -----------------------------------------------------------------------------------------------------------


def flatten(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield all blocks, including those inside `Details`."""
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from flatten(block.blocks)


def of_kind(kind: type[Any], sections: Sequence[Section], name: str | None = None) -> list[Any]:
    """Return all blocks of a kind, from all sections or from one."""
    chosen = [section for section in sections if name in (None, section.name)]
    assert chosen
    return [block for section in chosen for block in flatten(section.blocks) if isinstance(block, kind)]


def paragraphs(sections: Sequence[Section], name: str | None = None) -> list[str]:
    return [paragraph.text for paragraph in of_kind(Paragraph, sections, name)]


def tables(sections: Sequence[Section], name: str | None = None) -> list[Table]:
    return of_kind(Table, sections, name)


def figures(sections: Sequence[Section], name: str | None = None) -> list[str]:
    return [figure.name for figure in of_kind(Figure, sections, name)]


def examples(sections: Sequence[Section]) -> list[ExampleList]:
    return of_kind(ExampleList, sections, "Examples")


def cells(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


# --- pages ------------------------------------------------------------------------------------------------------------

VOID = {"meta", "input", "br", "hr", "img", "link", "base"}


@dataclass
class Element:
    """A tag, its attributes and all text in it. `inside` lists the enclosing tags."""

    tag: str
    attributes: dict[str, str | None]
    inside: tuple[str, ...]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def has(self, **expected: str) -> bool:
        """Return whether the attributes have these values. `kind` means the class: `has(kind="tone good")`."""
        names = {"kind": "class"}
        return all(self.attributes.get(names.get(key, key)) == value for key, value in expected.items())


@dataclass(repr=False)
class Page(HTMLParser):
    """A parsed page. Every tag must be closed, in order, except void elements."""

    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "duplicate attribute"
        element = Element(tag, dict(attrs), tuple(parent.tag for parent in self._open))
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

    def all(self, tag: str | None = None, **expected: str) -> list[Element]:
        return [element for element in self.elements if tag in (None, element.tag) and element.has(**expected)]

    def texts(self, tag: str, **expected: str) -> list[str]:
        return [element.text for element in self.all(tag, **expected)]

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...], tuple[tuple[str, str | None], ...]]]:
        """Return what texts must not change: tags, their nesting, and their attributes without textual values."""
        textual = {"content", "aria-label", "title", "data-order"}
        return [
            (
                element.tag,
                element.inside,
                tuple(
                    (key, "" if key in textual else value)
                    for key, value in element.attributes.items()
                    if (element.tag, key, value) != ("td", "class", "short")
                ),
            )
            for element in self.elements
        ]


def parse(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page._open
    return page


def page_of(findings: Findings, texts: Texts = NO_TEXTS) -> Page:
    return parse(build_page(findings, texts))
