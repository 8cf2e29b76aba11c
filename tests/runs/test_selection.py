"""Tests for the selection of runs: the newest of each kind, on common splits, with every omission reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.selection import Selection, select

Store = Callable[..., StoredRun]
Choose = Callable[..., Selection]


@pytest.fixture
def finish(store: Store) -> Store:
    """Return a function such that `finish("model=rule", split=1)` writes a finished run on that split."""

    def write_run(*overrides: str, split: int = 0, seed: int = 0, **fields: Any) -> StoredRun:
        measured = {"dataset_version": "version-1", "split_hash": f"split-{split}", "deterministic": False}
        return store(*overrides, f"split.seed={split}", f"seed={seed}", **{**measured, **fields})

    return write_run


@pytest.fixture
def choose(tmp_path: Path) -> Choose:
    return lambda **options: select(tmp_path / "runs", **options)


def get_ids(runs: list[StoredRun]) -> list[str]:
    return [run.record.id for run in runs]


def get_names(selection: Selection) -> list[str]:
    return [candidate.name for candidate in selection.candidates]


def test_candidate_has_common_settings_of_its_runs(finish: Store, choose: Choose) -> None:
    run = finish("model=regression")
    selection = choose()
    [candidate] = selection.candidates
    assert (candidate.name, candidate.model, candidate.complexity) == ("regression", "regression", 1)
    assert candidate.config_hash == run.record.config_hash
    assert (selection.data, selection.part, selection.dataset_version) == ("sample", "test", "version-1")
    assert get_ids(selection.runs) == [run.record.id]
    assert selection.left_out == ()


def test_newest_configuration_of_a_name_is_selected(finish: Store, choose: Choose) -> None:
    old = finish("model=regression", "model.C=1")
    new = finish("model=regression", "model.C=2")
    selection = choose()
    assert get_ids(selection.runs) == [new.record.id]
    old_hash = old.record.config_hash[:8]
    assert selection.left_out == (f"1 run of regression: an older configuration ({old_hash}; all=true includes it)",)


def test_configuration_is_as_new_as_its_newest_run(finish: Store, choose: Choose) -> None:
    finish("model=regression", "model.C=1")
    finish("model=regression", "model.C=2")
    newest = finish("model=regression", "model.C=1", split=1)
    selection = choose()
    assert selection.candidates[0].config_hash == newest.record.config_hash
    assert len(selection.runs) == 2, "its older run of another split is included"


def test_newest_run_of_split_and_seed_is_selected(finish: Store, choose: Choose) -> None:
    finish()
    newer = finish()
    other_seed, other_split = finish(seed=1), finish(split=1)
    selection = choose()
    assert get_ids(selection.runs) == get_ids([newer, other_seed, other_split]), "ordered by split and seed"
    assert selection.left_out == ("1 of rule: newer runs of the same splits and seeds replace them",)


def test_deterministic_model_needs_one_run_per_split(finish: Store, choose: Choose) -> None:
    finish(deterministic=True)
    newer = finish(seed=1, deterministic=True)
    other_split = finish(split=1, deterministic=True)
    regressions = [finish("model=regression", seed=seed, split=split) for split in (0, 1) for seed in (0, 1)]
    selection = choose()
    assert [get_ids(list(candidate.runs)) for candidate in selection.candidates] == [
        get_ids([newer, other_split]),
        get_ids(regressions),
    ]
    assert selection.left_out == ("1 of rule: one run per split is enough for a deterministic model",)


@pytest.mark.parametrize(
    ("overrides", "fields", "reason"),
    [
        ([], {"status": "failed"}, "failed"),
        ([], {"status": "interrupted"}, "interrupted"),
        ([], {"status": "running"}, "running"),
        ([], {"status": "running", "pid": 0}, "killed"),
        (["tags=[debug]"], {}, "debug"),
        (["evaluate=val"], {}, "evaluate=val"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusable_run_is_left_out_and_reported(
    overrides: list[str], fields: dict[str, Any], reason: str, finish: Store, choose: Choose
) -> None:
    kept = finish()
    finish(*overrides, split=1, **fields)
    selection = choose()
    assert get_ids(selection.runs) == [kept.record.id]
    [line] = selection.left_out
    assert line.startswith("1 run: ")
    assert reason in line
    finish(*overrides, split=2, **fields)
    [line] = choose().left_out
    assert line.startswith("2 runs: "), "one line per reason"
    assert reason in line


def test_every_finished_run_is_selected_on_val(finish: Store, choose: Choose) -> None:
    runs = [finish("evaluate=val"), finish(split=1)]
    selection = choose(part="val")
    assert get_ids(selection.runs) == get_ids(runs)
    assert (selection.part, selection.left_out) == ("val", ())


def test_names_select_candidates(finish: Store, choose: Choose) -> None:
    finish("model=rule")
    finish("model=regression")
    finish("model=cnn")
    assert get_names(choose()) == ["rule", "regression", "cnn"]
    assert get_names(choose(names=["cnn", "rule"])) == ["rule", "cnn"]


def test_unknown_name_error_suggests_nearest_name(finish: Store, choose: Choose) -> None:
    finish("model=regression")
    finish("model=cnn", status="failed")
    with pytest.raises(UserError, match=r"name=regresion: .*'regression'"):
        choose(names=["regression", "regresion"])
    with pytest.raises(UserError, match=r"name=cnn: .*regression"):
        choose(names=["cnn"])


def test_one_of_several_data_sets_must_be_named(finish: Store, choose: Choose) -> None:
    finish()
    other = finish("data.name=other")
    with pytest.raises(UserError, match=r"\b2 data sets.*data=other.*data=sample"):
        choose()
    assert get_ids(choose(data="other").runs) == [other.record.id]
    with pytest.raises(UserError, match=r"data=smaple: .*'sample'"):
        choose(data="smaple")


def test_error_without_runs_suggests_a_command(choose: Choose) -> None:
    with pytest.raises(UserError, match=r"`ratchet train -m model=rule,regression`"):
        choose()


def test_error_without_usable_runs_lists_reasons(finish: Store, choose: Choose) -> None:
    finish(status="failed")
    finish("evaluate=val")
    with pytest.raises(UserError) as error:
        choose()
    for part in ("data=sample", "of test", "1 run: the run is failed", "1 run: made with evaluate"):
        assert part in str(error.value)


def test_ids_select_exactly_those_runs(finish: Store, choose: Choose) -> None:
    old, older_split = finish("model=regression", "model.C=1"), finish("model=regression", "model.C=1", split=1)
    finish("model=regression", "model.C=1")
    debug = finish("tags=[debug]", split=1)
    selection = choose(ids=[old.record.id, older_split.path.name[-6:]])
    assert get_ids(selection.runs) == get_ids([old, older_split])
    assert selection.left_out == ()
    assert get_ids(choose(ids=[debug.record.id]).runs) == [debug.record.id], "a debug run can be selected by its id"


def test_ids_of_two_configurations_give_two_candidates(finish: Store, choose: Choose) -> None:
    runs = [finish("model=regression", f"model.C={value}") for value in (1, 2)]
    selection = choose(ids=get_ids(runs))
    assert sorted(get_names(selection)) == sorted(f"regression@{run.record.config_hash[:8]}" for run in runs)


@pytest.mark.parametrize(
    ("overrides", "fields", "reason"),
    [([], {"status": "failed"}, "failed"), (["evaluate=val"], {}, "evaluate=val")],
)
def test_requested_run_must_be_usable(
    overrides: list[str], fields: dict[str, str], reason: str, finish: Store, choose: Choose
) -> None:
    good, bad = finish(), finish(*overrides, split=1, **fields)
    with pytest.raises(UserError, match=f"{bad.record.id}: .*{reason}"):
        choose(ids=get_ids([good, bad]))
    with pytest.raises(UserError, match="'unknown'"):
        choose(ids=["unknown"])


def test_names_of_several_configurations_include_hash(finish: Store, choose: Choose) -> None:
    runs = [finish("model=regression", f"model.C={value}") for value in (1, 2)]
    finish("model=rule")
    selection = choose(every=True)
    rule, *regressions = get_names(selection)
    assert rule == "rule", "a name with one configuration is unchanged"
    assert sorted(regressions) == sorted(f"regression@{run.record.config_hash[:8]}" for run in runs)
    assert selection.left_out == ()


def test_runs_on_other_data_are_left_out_and_reported(finish: Store, choose: Choose) -> None:
    finish(split=1, dataset_version="version-0")
    newest = finish()
    selection = choose()
    assert get_ids(selection.runs) == [newest.record.id]
    assert selection.dataset_version == "version-1"
    assert selection.left_out == ("1 of rule: another version of the data",)


def test_candidates_on_different_data_raise(finish: Store, choose: Choose) -> None:
    finish("model=rule", dataset_version="version-0")
    finish("model=regression")
    finish("model=cnn")
    message = r"rule .*version-0.*regression, cnn .*version-1"
    with pytest.raises(UserError, match=message):
        choose()
    assert get_names(choose(names=["regression", "cnn"])) == ["regression", "cnn"]


def test_split_seed_with_two_different_splits_raises(finish: Store, choose: Choose) -> None:
    finish("model=rule")
    finish("model=regression", split_hash="another-division")
    with pytest.raises(UserError, match=r"split\.seed=0 .*rule.*regression.*split-0"):
        choose()


def test_candidates_are_limited_to_common_splits(finish: Store, choose: Choose) -> None:
    for split in (0, 1, 2):
        finish("model=rule", split=split)
    for split in (1, 2, 3, 4):
        finish("model=regression", split=split)
    selection = choose()
    assert [[run.record.split_seed for run in candidate.runs] for candidate in selection.candidates] == [[1, 2], [1, 2]]
    assert selection.left_out == (
        "split.seed=0 of rule: not measured there: regression",
        "split.seed=3,4 of regression: not measured there: rule",
        "to include them: `ratchet train -m model=rule seed=0 split.seed=3,4`",
        "to include them: `ratchet train model=regression seed=0 split.seed=0`",
    )


def select_by_splits(finish: Store, choose: Choose, splits: dict[str, str], **options: Any) -> dict[str, Any]:
    """Finish a run on each of the splits, such as `{"regression": "012"}`; return who is kept and who is set aside."""
    for name, seeds in splits.items():
        for seed in seeds:
            finish("model=regression", f"name={name}", split=int(seed))
    selection = choose(min_splits=3, **options)
    common = {run.record.split_seed for run in selection.candidates[0].runs}
    aside = [short.name for short in selection.set_aside]
    return {"kept": get_names(selection), "aside": aside, "common": "".join(map(str, sorted(common)))}


@pytest.mark.parametrize(
    ("splits", "aside", "common"),
    [
        ({"full": "012", "half": "012", "try": "1"}, ["try"], "012"),
        ({"full": "012", "try1": "1", "try2": "1", "try3": "1"}, ["try1", "try2", "try3"], "012"),
        ({"full": "012", "try": "5"}, ["try"], "012"),
        ({"full": "0123", "half": "012"}, [], "012"),
        ({"full": "0123", "half": "0124"}, [], "012"),
        ({"full": "012", "half": "012", "other": "234"}, ["other"], "012"),
        ({"full": "012", "half": "012", "long": "01234567", "other": "013"}, ["other"], "012"),
        ({"full": "012", "half": "123", "try": "1"}, ["try"], "12"),
        ({"full": "01", "try": "1"}, [], "1"),
    ],
    ids=["one", "most", "elsewhere", "fewer", "shared", "others", "long", "tie", "nobody"],
)
def test_candidates_short_of_splits_are_set_aside(
    splits: dict[str, str], aside: list[str], common: str, finish: Store, choose: Choose
) -> None:
    kept = sorted(splits.keys() - set(aside))
    assert select_by_splits(finish, choose, splits) == {"kept": kept, "aside": aside, "common": common}


def test_set_aside_candidate_has_the_command_that_completes_it(finish: Store, choose: Choose) -> None:
    for split in range(3):
        finish("model=rule", split=split)
    run = finish("model=regression", "name=try", "model.C=0.5", split=1)
    selection = choose(min_splits=3)
    [short] = selection.set_aside
    assert (short.name, get_ids(list(short.candidate.runs))) == ("try", [run.record.id])
    assert short.why == "measured on split.seed=1 only"
    assert short.complete == "ratchet train -m model=regression name=try model.C=0.5 seed=0 split.seed=0,2"
    assert selection.left_out == ()


@pytest.mark.parametrize("options", [{"names": ["full", "try"]}, {"min_splits": 1}], ids=["named", "not asked for"])
def test_named_candidates_are_never_set_aside(options: dict[str, Any], finish: Store, choose: Choose) -> None:
    for name, seeds in {"full": (0, 1, 2), "try": (1,)}.items():
        for seed in seeds:
            finish("model=regression", f"name={name}", split=seed)
    selection = choose(**{"min_splits": 3, **options})
    assert (get_names(selection), selection.set_aside) == (["full", "try"], ())
    assert selection.left_out[0] == "split.seed=0,2 of full: not measured there: try"


def test_error_without_common_split_lists_splits(finish: Store, choose: Choose) -> None:
    finish("model=rule", split=0)
    finish("model=regression", split=1)
    finish("model=regression", split=2)
    with pytest.raises(UserError, match=r"rule: 0; regression: 1,2"):
        choose()


def test_candidates_are_ordered_by_complexity_then_name(finish: Store, choose: Choose) -> None:
    finish("model=cnn")
    finish("model=regression")
    finish("model=rule", "name=zebra")
    finish("model=rule", "name=antelope")
    assert get_names(choose()) == ["antelope", "zebra", "regression", "cnn"]


def test_runs_of_edited_code_are_not_repeats_of_the_newest(finish: Store, choose: Choose) -> None:
    old = [finish(split=split, code_hash="0123456789") for split in (0, 1, 2)]
    new = finish(split=0, code_hash="abcdefghij")
    selection = choose()
    assert get_ids(selection.runs) == [new.record.id]
    [line] = selection.left_out
    assert line.startswith("3 runs of rule: made with other code (01234567) than the newest run; all=true includes it")
    assert line.endswith("Complete the newest: `ratchet train -m seed=0 split.seed=1,2`")
    both = choose(every=True)
    assert get_names(both) == ["rule@code-01234567", "rule@code-abcdefgh"]
    chosen = choose(ids=[run.record.id for run in (*old, new)])
    assert get_names(chosen) == get_names(both), "runs that are asked for by id are not pooled, either"


def test_run_whose_code_changed_meanwhile_is_left_out(finish: Store, choose: Choose) -> None:
    kept = finish(split=0)
    finish(split=1, code_hash=None, code_changed=["fit"])
    selection = choose()
    assert get_ids(selection.runs) == [kept.record.id]
    assert selection.left_out == ("1 run: the code changed while the run was in progress",)


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"packages": {"torch": "9.9"}}, "torch "),
        ({"machine": {"python": "3.99.0"}}, "Python "),
        ({"machine": {"features": "other"}}, "several kinds of processor"),
        ({"lock_hash": "another"}, "several lock files"),
    ],
    ids=["package", "python", "processor", "lock"],
)
def test_repeats_of_several_environments_are_noted(
    fields: dict[str, Any], note: str, finish: Store, choose: Choose
) -> None:
    packages = {"torch": "2.0", "ratchet-ml": "1"}
    same = {"packages": packages, "machine": {"python": "3.11.1", "features": "f"}, "lock_hash": "lock"}
    finish(split=0, **same)
    finish(split=1, **{**same, "packages": {**packages, "ratchet-ml": "2"}})
    assert choose().notes == (), "another version of Ratchet with the same code is no difference"
    changed = {key: {**same[key], **value} if isinstance(value, dict) else value for key, value in fields.items()}  # type: ignore[dict-item]
    finish(split=2, **{**same, **changed})
    [text] = choose().notes
    assert text.startswith("rule: its runs were made with ")
    assert note in text
