"""A run counts as done where making it again could only give the same."""

import json
from collections.abc import Callable

import pytest

from ratchet.config import Config
from ratchet.runs import StoredRun, done, provenance
from ratchet.runs.done import find_done

Configure = Callable[..., Config]
Store = Callable[..., StoredRun]
DATA = ("version", "split", "cases")
FIELDS = {"dataset_version": "version", "split_hash": "split", "behaviour_hash": "cases"}
Data = tuple[str, str, str | None]


@pytest.fixture
def made(store: Store) -> StoredRun:
    return store("seed=3", **FIELDS)


def found(config: Config, *, threads: int = 1, data: Data = DATA) -> StoredRun | None:
    return find_done(config, threads, lambda: data)


def test_the_same_again_is_done(made: StoredRun, configure: Configure) -> None:
    assert found(configure("seed=3")) == made


@pytest.mark.parametrize(
    "override",
    ["hypothesis=why", "parent=none", "trainer.progress_bar=false", "sweep_id=x", "tracker=wandb", "fresh=true"],
)
def test_what_only_says_why_or_for_whom_it_is_run_makes_no_other_run(
    made: StoredRun, configure: Configure, override: str
) -> None:
    assert found(configure("seed=3", override)) == made


@pytest.mark.parametrize(
    "override",
    [
        "seed=4",
        "split.seed=1",
        "model.stemming=false",
        "evaluate=val",
        "trainer=ddp_cpu",
        "evaluation.k=[2]",
        "evaluation.resamples=500",
        "threshold.method=per_label",
        "tags=[mine]",
        "name=other",
    ],
)
def test_what_changes_a_figure_or_a_name_makes_another_run(
    made: StoredRun, configure: Configure, override: str
) -> None:
    assert found(configure("seed=3", override)) is None


def test_threads_data_split_and_behavioural_cases_count(made: StoredRun, configure: Configure) -> None:
    assert found(configure("seed=3"), threads=2) is None
    assert found(configure("seed=3"), data=("another", "split", "cases")) is None
    assert found(configure("seed=3"), data=("version", "another", "cases")) is None
    assert found(configure("seed=3"), data=("version", "split", "other cases")) is None


def test_a_record_that_is_older_than_the_hash_of_cases_is_of_a_run_without_any(
    store: Store, configure: Configure
) -> None:
    older = store("seed=3", **FIELDS)
    content = json.loads((older.path / "record.json").read_text())
    del content["behaviour_hash"]
    (older.path / "record.json").write_text(json.dumps(content))
    assert found(configure("seed=3")) is None
    without = found(configure("seed=3"), data=("version", "split", None))
    assert without is not None
    assert without.path == older.path


def test_other_code_or_packages_make_another_run(
    made: StoredRun, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(done, "code_of_run", lambda model: {"ratchet.training:train": "another"})
    assert found(configure("seed=3")) is None
    monkeypatch.undo()
    monkeypatch.setattr(provenance, "package_versions", lambda: {"numpy": "0"})
    assert found(configure("seed=3")) is None


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_run_that_did_not_finish_is_not_done(store: Store, configure: Configure, status: str) -> None:
    store("seed=3", **FIELDS, status=status)
    assert found(configure("seed=3")) is None


def test_the_newest_of_several_is_taken(store: Store, configure: Configure) -> None:
    store(**FIELDS, started_at="2026-01-01T00:00:00+00:00")
    newest = store(**FIELDS, started_at="2026-01-02T00:00:00+00:00")
    assert found(configure()) == newest


def test_data_are_not_read_where_no_run_is_like_it(made: StoredRun, configure: Configure) -> None:
    def unread() -> Data:
        raise AssertionError("they were read")

    assert find_done(configure("seed=4"), 1, unread) is None


@pytest.mark.parametrize("content", [None, "", "[", "trainer: 1", "- 1", "\x00"], ids=repr)
def test_a_damaged_run_is_no_match(made: StoredRun, configure: Configure, content: str | None) -> None:
    path = made.path / "config.yaml"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert found(configure("seed=3")) is None
