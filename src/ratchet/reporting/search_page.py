"""A search on one page that needs no network: how it went, what mattered, and every trial."""

from collections.abc import Iterator

from ratchet.charts.comparison_charts import COSTS
from ratchet.charts.search import search_front, search_history, search_importance
from ratchet.comparison.results import metric_name
from ratchet.config import SearchConfig
from ratchet.reporting.blocks import Block, Cell, Column, Figure, Paragraph, Section, Table, amount, number, text
from ratchet.reporting.page import render_page
from ratchet.search.results import SearchResult, TrialResult
from ratchet.search.space import overrides_of

_FOOTNOTE = "Every figure is one of val, on which the best trial was chosen. Test says, once, what it is worth."


def build_search_page(title: str, found: SearchResult, settings: SearchConfig, facts: list[tuple[str, str]]) -> str:
    """The page as HTML; `facts` are said at its head."""
    best, default = found.best, found.default
    gained = best is not None and default is not None and best is not default
    said = "something better was found" if gained else "nothing better was found"
    why = "on val, where it was chosen; what it is worth test alone can say" if gained else "than the settings before"
    parts: list[tuple[str, str, Iterator[Block]]] = [
        ("History", "Trial by trial", _history(found, settings)),
        ("Importance", "What mattered", _importance(found)),
        *([("Cost", "Quality against cost", _front(found, settings))] if found.front else []),
        ("Trials", "Every trial", _trials(found, settings)),
    ]
    sections = [Section(name, heading, list(blocks)) for name, heading, blocks in parts]
    headline = {"said": said, "why": why, "tone": "good" if gained else "even"}
    return render_page(title, headline, facts, sections, _FOOTNOTE)


def _history(found: SearchResult, settings: SearchConfig) -> Iterator[Block]:
    chart = search_history(found, _metric(settings))
    if chart is None:
        yield Paragraph("No trial has finished.")
        return
    caption = (
        "Circles are trials, the diamond is the settings as they were before; crosses were pruned, and stand at what "
        "they had reached by then. The line is the best so far."
    )
    yield Figure("history-chart", "What each trial reached", caption, chart)


def _importance(found: SearchResult) -> Iterator[Block]:
    chart = search_importance(found)
    if chart is None:
        yield Paragraph("Fewer than ten trials finished, or all are equally good: too little to tell what mattered.")
        return
    caption = (
        "How much of the variance between finished trials each key explains by itself (fANOVA), within the ranges that "
        "were searched. With few trials this is rough."
    )
    yield Figure("importance-chart", "Which keys mattered", caption, chart)


def _front(found: SearchResult, settings: SearchConfig) -> Iterator[Block]:
    assert settings.cost is not None
    chart = search_front(found, _metric(settings), COSTS.get(settings.cost.name, settings.cost.name))
    if chart is not None:
        yield Figure(
            "front-chart", "What quality costs", "Nothing that was tried beats the trials on the line in both.", chart
        )


def _trials(found: SearchResult, settings: SearchConfig) -> Iterator[Block]:
    cost = [] if settings.cost is None else [Column(settings.cost.name, numeric=True)]
    columns = [Column("trial", numeric=True), Column("state"), Column(_metric(settings), numeric=True), *cost]
    columns += [
        Column("epochs", numeric=True),
        Column("s", numeric=True, about="seconds from asked to told"),
        Column("settings"),
    ]
    yield Table("Every trial", columns, [_row(trial, settings, found.best) for trial in found.trials])


def _row(trial: TrialResult, settings: SearchConfig, best: TrialResult | None) -> list[Cell]:
    cost = [] if settings.cost is None else [amount(trial.cost)]
    state = text("best", "good") if trial is best else text(trial.state, "bad" if trial.state == "failed" else "")
    measured = [number(trial.metric), *cost, number(trial.epochs, "d"), amount(trial.seconds)]
    settings_of = " ".join(each.removeprefix("model.") for each in overrides_of(trial.values))
    return [number(trial.number, "d"), state, *measured, Cell(settings_of, code=True)]


def _metric(settings: SearchConfig) -> str:
    return f"{metric_name(settings.metric.name)} on val"
