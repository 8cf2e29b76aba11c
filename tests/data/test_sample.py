"""Tests that the embedded sample has the properties in its README: not trivial, not repetitive, with drift."""

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import fisher_exact
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from ratchet.config import Config, compose
from ratchet.data.prepared import Prepared, prepare
from ratchet.data.splits import PARTS, Split, make_split
from ratchet.data.taxonomy import NameMatcher, words


@pytest.fixture(scope="module")
def rows(project: Path) -> list[dict[str, Any]]:
    text = (project / "data/sample/projects.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def config() -> Config:
    return compose(["data=sample"])


@pytest.fixture(scope="module")
def prepared(config: Config) -> Prepared:
    return prepare(config.data)


@pytest.fixture(scope="module")
def split(prepared: Prepared, config: Config) -> Split:
    return make_split(prepared, config.split, None)


def join_text(row: dict[str, Any]) -> str:
    return f"{row['title']} {row['description']}"


def test_records_are_numerous_with_equal_fields(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 600
    for row in rows:
        assert list(row) == ["id", "created_at", "title", "description", "tags"]
        assert all(
            isinstance(row[key], str) and row[key].strip() for key in ("id", "created_at", "title", "description")
        )
    assert len({row["id"] for row in rows}) == len(rows)


def test_sample_is_read_completely_without_problems(rows: list[dict[str, Any]], prepared: Prepared) -> None:
    assert prepared.report.problems == []
    assert prepared.report.labels_left_out == {}
    assert len(prepared.records) == len(rows)


def test_every_tag_is_known_and_on_enough_records(prepared: Prepared) -> None:
    assert 12 <= len(prepared.labels) <= 18
    assert set(prepared.labels) == set(prepared.taxonomy.aliases)
    assert prepared.targets.sum(axis=0, dtype=int).min() >= 25


def test_records_have_one_to_four_tags_including_parents(rows: list[dict[str, Any]], prepared: Prepared) -> None:
    assert {len(row["tags"]) for row in rows} == {1, 2, 3, 4}
    for row in rows:
        assert len(set(row["tags"])) == len(row["tags"])
        assert all(prepared.taxonomy.ancestors(tag) <= set(row["tags"]) for tag in row["tags"]), row["id"]


@pytest.mark.parametrize("stemming", [False, True])
def test_many_tags_are_not_named_in_the_text(prepared: Prepared, stemming: bool) -> None:
    matcher = NameMatcher(prepared.taxonomy, prepared.labels, stemming=stemming)
    hidden = [
        label not in named
        for record in prepared.records
        for named in [{match.label for match in matcher.find(record.text)}]
        for label in record.labels
    ]
    assert np.mean(hidden) >= 0.4
    assert 0.55 < np.mean(hidden) < 0.65  # "about 60 %" in the README


def test_some_texts_name_a_tag_without_having_it(prepared: Prepared) -> None:
    matcher = NameMatcher(prepared.taxonomy, prepared.labels, stemming=False)
    misleading = [
        {match.label for match in matcher.find(record.text)} - set(record.labels) for record in prepared.records
    ]
    assert sum(map(bool, misleading)) >= 20


def test_content_words_of_record_pairs_overlap_little(rows: list[dict[str, Any]]) -> None:
    content = [sorted(set(words(join_text(row))) - ENGLISH_STOP_WORDS) for row in rows]
    column = {
        word: index for index, word in enumerate(sorted({word for record_words in content for word in record_words}))
    }
    row_of = np.repeat(np.arange(len(rows)), [len(record_words) for record_words in content])
    has = csr_array(
        (np.ones(len(row_of)), (row_of, [column[word] for record_words in content for word in record_words])),
        shape=(len(rows), len(column)),
    )
    shared = (has @ has.T).toarray()
    size = shared.diagonal()
    similarity = shared / (size[:, None] + size - shared)
    np.fill_diagonal(similarity, 0)
    assert size.min() >= 5  # with fewer words, the similarity would mean little
    assert similarity.max() <= 0.4


def test_five_word_phrases_occur_in_at_most_three_records(rows: list[dict[str, Any]]) -> None:
    records_with: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        text = words(join_text(row))
        records_with.update({tuple(text[start : start + 5]) for start in range(len(text) - 4)})
    phrase, count = records_with.most_common(1)[0]
    assert count <= 3, phrase


def test_text_lengths_range_from_a_line_to_sentences(rows: list[dict[str, Any]]) -> None:
    lengths = np.array([len(words(join_text(row))) for row in rows])
    assert np.quantile(lengths, 0.05) < 30 < 40 < np.quantile(lengths, 0.95)
    assert lengths.max() < 100


# --- drift ------------------------------------------------------------------------------------------------------------


def test_dates_span_eighteen_calendar_months(rows: list[dict[str, Any]]) -> None:
    dates = sorted(datetime.fromisoformat(row["created_at"]) for row in rows)
    assert dates[-1] - dates[0] >= timedelta(days=17.5 * 365.25 / 12)
    assert len({(date.year, date.month) for date in dates}) >= 18  # every month has a record


def count_in_thirds(rows: list[dict[str, Any]], tag: str) -> tuple[int, int, int]:
    """Count the records with `tag` in the first and in the last third by date; return both and the size of a third."""
    ordered = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    size = len(ordered) // 3
    return sum(tag in row["tags"] for row in ordered[:size]), sum(tag in row["tags"] for row in ordered[-size:]), size


@pytest.mark.parametrize(("tag", "direction"), [("language-models", "greater"), ("graphs", "less")])
def test_topic_drift_is_statistically_significant(rows: list[dict[str, Any]], tag: str, direction: str) -> None:
    first, last, size = count_in_thirds(rows, tag)
    # One-sided Fisher's exact test: the README states the direction.
    assert fisher_exact([[last, size - last], [first, size - first]], alternative=direction).pvalue < 0.05


@pytest.mark.parametrize(
    ("tags", "sign"),
    [
        (["language-models", "generative-models", "mlops"], 1),
        (["graphs", "image-segmentation", "time-series", "recommender-systems"], -1),
    ],
)
def test_topics_drift_in_the_direction_of_the_readme(rows: list[dict[str, Any]], tags: list[str], sign: int) -> None:
    for tag in tags:
        first, last, _ = count_in_thirds(rows, tag)
        assert (last - first) * sign > 0, tag


# --- the default split ------------------------------------------------------------------------------------------------


def test_default_test_part_has_a_fifth_of_the_records(prepared: Prepared, split: Split) -> None:
    assert len(split.test) >= 0.2 * len(prepared.records)
    assert len(split.train) > len(split.test)


def test_every_label_is_in_every_part(prepared: Prepared, split: Split) -> None:
    for part in PARTS:
        assert prepared.select(getattr(split, part)).targets.any(axis=0).all()
