import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]

FAST = ("model=regression", "model.char_ngrams=null")


@pytest.fixture(scope="module")
def trained(make_run: Make) -> Path:
    return make_run(*FAST)


@pytest.fixture(scope="module")
def failed(make_run: Make) -> Path:
    return make_run("data.records.path=nowhere.jsonl")


@pytest.fixture
def run(trained: Path, failed: Path, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the runs to the working directory. Return the trained one."""
    shutil.copytree(workplace / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Path("runs", trained.relative_to(workplace / "runs"))


def read_evaluation(run: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Return the directory of the evaluation, its description and its metrics."""
    (directory,) = (run / "evaluations").iterdir()
    return (
        directory,
        json.loads((directory / "evaluation.json").read_text()),
        json.loads((directory / "metrics.json").read_text()),
    )


def read_run_metrics(run: Path, part: str) -> dict[str, Any]:
    metrics = json.loads((run / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if key.startswith(f"{part}/")}


def test_evaluation_on_test_matches_metrics_of_run(run: Path, verb: Verb) -> None:
    code, out, err = verb("evaluate", run.name)
    assert (code, err) == (0, "")
    directory, description, metrics = read_evaluation(run)
    assert metrics == read_run_metrics(run, "test")
    assert description["run"] == run.name
    assert description["seen_in_training"] == 0
    assert description["unknown_labels"] == {}
    assert f"{metrics['test/f1_weighted']:.3f}" in out
    assert "not an estimate" not in out
    assert out.rstrip().endswith(str(directory))


@pytest.mark.parametrize("setting", ["split.seed=2", "split.test=0.3", "split.method=temporal", "data.split.test=0.3"])
def test_evaluation_uses_split_settings_of_run(
    setting: str, make_run: Make, verb: Verb, monkeypatch: pytest.MonkeyPatch, workplace: Path
) -> None:
    """Otherwise the run would be scored on records that it was trained on."""
    monkeypatch.chdir(workplace)
    run = make_run("model=rule", setting)
    assert verb("evaluate", str(run))[0] == 0
    assert read_evaluation(run)[2] == read_run_metrics(run, "test")


def test_evaluation_uses_data_settings_of_run(
    make_run: Make, verb: Verb, monkeypatch: pytest.MonkeyPatch, workplace: Path
) -> None:
    monkeypatch.chdir(workplace)
    run = make_run("model=rule", "data.filter.exclude=[audio,graphs]", "data.filter.drop_unlabelled=true")
    assert verb("evaluate", str(run))[0] == 0
    _, description, metrics = read_evaluation(run)
    assert description["unknown_labels"] == {}
    assert metrics == read_run_metrics(run, "test")


def test_every_test_set_access_is_counted_and_reported(run: Path, verb: Verb) -> None:
    accesses = Path("runs/sample/test_readings.jsonl")
    before = len(accesses.read_text().splitlines())
    counts = [
        int(match[1])
        for match in (
            re.search(r"test set +(\d+) access(?:es)? so far", verb("evaluate", run.name)[1]) for _ in range(2)
        )
        if match
    ]
    assert len(counts) == 2
    assert counts[1] == counts[0] + 1 > 2
    assert len(accesses.read_text().splitlines()) == before + 2
    out = verb("evaluate", run.name, "part=val")[1]
    assert "so far" not in out
    assert len(accesses.read_text().splitlines()) == before + 2


def test_evaluation_on_val_matches_metrics_of_run(run: Path, verb: Verb) -> None:
    assert verb("evaluate", run.name, "part=val")[0] == 0
    assert read_evaluation(run)[2] == read_run_metrics(run, "val")


def test_evaluation_on_train_is_marked_as_no_estimate(run: Path, verb: Verb) -> None:
    code, out, _ = verb("evaluate", run.name, "part=train")
    assert code == 0
    count = len(json.loads((run / "split.json").read_text())["train"])
    assert f"not an estimate of new data: the run was trained on {count} of {count} records" in out
    assert read_evaluation(run)[1]["seen_in_training"] == count


def test_records_under_another_name_are_marked_as_no_estimate(run: Path, verb: Verb, project: Path) -> None:
    other = ("data.name=other", f"data.records.path={project / 'data/sample/projects.jsonl'}", "part=all")
    out = verb("evaluate", run.name, *other)[1]
    train, val = (len(json.loads((run / "split.json").read_text())[part]) for part in ("train", "val"))
    assert f"the run was trained on {train} of 720 records, and its thresholds were chosen on {val} others" in out
    (run / "seen_texts.npz").unlink()
    assert "it is not known whether the run was trained on these records" in verb("evaluate", run.name, *other)[1]


def test_part_all_evaluates_all_records(run: Path, verb: Verb) -> None:
    code, out, _ = verb("evaluate", run.name, "part=all")
    assert code == 0
    split = json.loads((run / "split.json").read_text())
    total = sum(len(split[part]) for part in ("train", "val", "test"))
    assert f"all: {total} records" in out
    assert f"trained on {len(split['train'])} of {total}" in out


BEES = """\
defaults: [base_data, _self_]
name: bees
records: {path: bees.csv}
id: id
text: [text]
labels: {column: tags, kind: separated}
"""


def write_bees(pictures: int, bees: int) -> None:
    """Write a custom data set whose ids also occur in the sample."""
    generator = random.Random(0)

    def make_text(topic: str) -> str:
        return " ".join([topic, *("".join(generator.choices("abcdefghij", k=6)) for _ in range(10))])

    rows = ["id,text,tags"]
    rows += [f"sample-{i:04d},{make_text('pictures from a camera')},computer-vision" for i in range(1, pictures + 1)]
    rows += [f"sample-{i + pictures:04d},{make_text('honey in summer')},beekeeping" for i in range(1, bees + 1)]
    Path("bees.csv").write_text("\n".join(rows) + "\n")
    Path("mine/data").mkdir(parents=True)
    Path("mine/data/bees.yaml").write_text(BEES)


def test_evaluation_on_other_data_counts_unknown_labels(run: Path, verb: Verb) -> None:
    """Unknown labels are counted. Records of another data set do not count as seen in training."""
    write_bees(30, 10)
    code, out, err = verb("evaluate", run.name, "--config-dir", "mine", "data=bees", "part=all")
    assert (code, err) == (0, "")
    assert "on bees, all: 40 records" in out
    assert "labels that the run does not know (10 times): beekeeping" in out
    _, description, metrics = read_evaluation(run)
    assert (description["seen_in_training"], description["unknown_labels"]) == (0, {"beekeeping": 10})
    assert metrics["all/labels_per_record_true"] == pytest.approx(30 / 40)


def test_part_all_accepts_few_records(run: Path, verb: Verb) -> None:
    """`part=all` makes no split, so it needs no minimum number of records."""
    write_bees(3, 0)
    code, out, err = verb("evaluate", run.name, "--config-dir", "mine", "data=bees", "part=all")
    assert (code, err) == (0, "")
    assert "on bees, all: 3 records" in out


def test_evaluation_writes_only_to_its_own_directory(run: Path, verb: Verb) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for _ in range(2):
        assert verb("evaluate", run.name, "part=val")[0] == 0
    assert len(list((run / "evaluations").iterdir())) == 2
    assert {path: path.read_bytes() for path in before} == before


def test_evaluate_accepts_runs_dir(run: Path, verb: Verb) -> None:
    Path("runs").rename("elsewhere")
    assert verb("evaluate", "last", "part=val")[0] == 2
    assert verb("evaluate", run.name, "part=val", "runs_dir=elsewhere")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["ratchet evaluate RUN"]),
        (["part=test"], ["which run?"]),
        (["unknown"], ["'unknown'", "runs there"]),
        (["{run}", "part=tset"], ["part='tset'", "'test'"]),
        (["{run}", "data=sampel"], ["data=sampel", "'sample'"]),
        (["{run}", "data=null"], ["data"]),
        (["{run}", "prat=val"], ["prat"]),
        (["{run}", "data.records.path=nowhere.csv"], ["nowhere.csv"]),
        (["{failed}"], ["failed"]),
        (["{run}", "--config-dir", "nowhere"], ["nowhere"]),
        (
            [
                "{run}",
                "data.labels.kind=single",
                "data.labels.column=title",
                "data.text=[description]",
                "data.taxonomy=null",
            ],
            ["multiclass", "multilabel"],
        ),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(
    arguments: list[str], parts: list[str], run: Path, failed: Path, verb: Verb
) -> None:
    names = {"run": run.name, "failed": failed.name}
    code, out, err = verb("evaluate", *(argument.format(**names) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err
    assert not (run / "evaluations").exists() or not list((run / "evaluations").iterdir())


def test_data_without_known_labels_is_rejected(run: Path, verb: Verb) -> None:
    Path("bees.csv").write_text("text,tags\n" + "".join(f"honey {i} in the hive,bees\n" for i in range(20)))
    code, _, err = verb(
        "evaluate",
        run.name,
        "data.records.path=bees.csv",
        "data.id=null",
        "data.text=[text]",
        "data.labels.kind=separated",
        "data.created_at=null",
        "data.taxonomy=null",
        "part=all",
    )
    assert code == 2
    assert "labels" in err


def test_run_on_custom_data_needs_no_config_dir(run: Path, verb: Verb) -> None:
    """The config directory was named at training; the saved configuration holds what is needed."""
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("  name: sample\n", "  name: tickets\n", 1))
    code, out, err = verb("evaluate", run.name)
    assert (code, err) == (0, "")
    assert "on tickets, test" in out
