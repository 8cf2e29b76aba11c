import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.commands import run_command

from ratchet.runs.predictions import read_predictions

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def rule(make_run: Make) -> Path:
    return make_run("model=rule")


@pytest.fixture(scope="module")
def regression(make_run: Make) -> Path:
    return make_run("model=regression", "model.char_ngrams=null")


@pytest.fixture(scope="module")
def failed(make_run: Make) -> Path:
    return make_run("data.records.path=nowhere.jsonl")


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a directory with a file of texts and return it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.csv").write_text("id,title,description\n007,Speech,with a GAN\n008,,\n009,nothing,known\n")
    return tmp_path


def test_predict_prints_summary_and_writes_file(rule: Path, verb: Verb) -> None:
    code, out, err = verb("predict", str(rule), "input=texts.csv", "output=out.csv")
    assert (code, err) == (0, "")
    facts = [line.split(maxsplit=1) for line in out.replace("without ", "without_").splitlines()]
    assert facts[:6] == [
        ["model", f"rule ({rule.name})"],
        ["text", "title description"],
        ["rows", "3"],
        ["without_text", "1"],
        ["without_words", "0"],
        ["without_label", "1"],
    ]
    assert out.splitlines()[-1] == "written to     out.csv"
    assert Path("out.csv").read_text().splitlines() == [
        "id,title,description,predicted,scores",
        "007,Speech,with a GAN,audio;generative-models,1.0;1.0",
        "008,,,,",
        "009,nothing,known,,",
    ]


def test_scores_match_stored_predictions_of_run(project: Path, regression: Path, verb: Verb) -> None:
    """The text is built from the same columns, so the scores agree bit for bit."""
    source = project / "data/sample/projects.jsonl"
    code, _, err = verb("predict", str(regression), f"input={source}", "output=out.parquet", "scores=all")
    assert (code, err) == (0, "")
    written, stored = pl.read_parquet("out.parquet"), read_predictions(regression / "predictions/test.parquet")
    labels = json.loads((regression / "labels.json").read_text())
    row_of = {identifier: row for row, identifier in enumerate(written["id"])}
    rows = [row_of[identifier] for identifier in stored.ids]
    assert np.array_equal(written[rows].select(f"score:{label}" for label in labels).to_numpy(), stored.scores)
    assert written.schema["tags"] == pl.List(pl.String)
    thresholds = json.loads((regression / "thresholds.json").read_text())["values"]
    for scores, predicted in zip(stored.scores, written["predicted"][rows].to_list(), strict=True):
        assert predicted == [label for label, score in zip(labels, scores, strict=True) if score >= thresholds[label]]


def test_summary_supports_json_and_markdown(rule: Path, verb: Verb) -> None:
    code, out, _ = verb("predict", str(rule), "input=texts.csv", "output=out.jsonl", "text=title", "format=json")
    summary = json.loads(out)
    assert code == 0
    assert (summary["rows"], summary["labels"], summary["without_text"], summary["resumed_at"]) == (3, 1, 1, 0)
    assert summary["texts_per_second"] > 0
    assert verb("predict", str(rule), "input=texts.csv", "output=md.csv", "format=md")[1].startswith("| fact | value |")


def test_input_in_another_dialect_is_read_with_its_options(rule: Path, verb: Verb) -> None:
    Path("semicolons.csv").write_text("Tickets of May\ntitle;description\n'Speech; loud';with a GAN\n")
    call = ("predict", str(rule), "input=semicolons.csv", "output=out.jsonl", "scores=none")
    code, _, err = verb(*call)
    assert code == 2
    assert "input_separator" in err
    assert "input_skip_rows=1" in err
    code, _, err = verb(*call, "input_separator=;", "input_skip_rows=1", "input_quote='")
    assert (code, err) == (0, "")
    assert json.loads(Path("out.jsonl").read_text()) == {
        "title": "Speech; loud",
        "description": "with a GAN",
        "predicted": ["audio", "generative-models"],
    }


def test_training_reads_what_predict_writes(project: Path, rule: Path, verb: Verb, tmp_path: Path) -> None:
    source = project / "data/sample/projects.jsonl"
    for name in ("out.csv", "out.tsv", "out.jsonl.gz", "out.parquet"):
        assert verb("predict", str(rule), f"input={source}", f"output={name}", "prefix=p_")[0] == 0
    original = verb("data", "describe")[1]
    for name in ("out.csv", "out.tsv", "out.jsonl.gz", "out.parquet"):
        code, out, err = verb("data", "describe", f"data.records.path={tmp_path / name}")
        assert (code, err) == (0, "")
        assert find_version(out) == find_version(original)


def find_version(description: str) -> str:
    return next(line for line in description.splitlines() if line.startswith("dataset version"))


def test_single_label_model_predicts_one_label(make_run: Make, tmp_path: Path, verb: Verb) -> None:
    rows = [
        {"id": str(number), "title": f"{topic} {number}", "description": "", "topic": topic}
        for number, topic in enumerate(["audio; loud", "graphs", "vision"] * 20)
    ]
    pl.DataFrame(rows).write_ndjson("topics.jsonl")
    data = [f"data.records.path={tmp_path / 'topics.jsonl'}", "data.labels.column=topic", "data.labels.kind=single"]
    disabled = ["data.taxonomy=null", "data.behaviour=null", "~data.slices.medical_images", "data.created_at=null"]
    run = make_run("model=regression", "model.char_ngrams=null", *data, *disabled)
    assert verb("predict", str(run), "input=texts.csv", "output=out.csv", "scores=none")[0] == 0
    labels = [line.rpartition(",")[2] for line in Path("out.csv").read_text().splitlines()[1:]]
    assert labels[1] == ""
    assert {labels[0], labels[2]} <= {"audio; loud", "graphs", "vision"}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["which run?", "input=texts.csv"]),
        (["input=texts.csv", "output=out.csv"], ["which run?"]),
        (["{rule}", "output=out.csv"], ["input= is missing"]),
        (["{rule}", "input=texts.csv"], ["output= is missing"]),
        (["{failed}", "input=texts.csv", "output=out.csv"], ["failed"]),
        (["{rule}", "input=texts.csv", "output=out.csv", "score=all"], ["'score'", "'scores'"]),
        (["{rule}", "input=texts.csv", "output=out.csv", "scores=some"], ["all, none, predicted"]),
        (["{rule}", "input=texts.csv", "output=out.csv", "batch_size=0"], ["batch_size"]),
        (["{rule}", "input=texts.csv", "output=out.csv", "text=,"], ["text=','", "text=title,description"]),
        (["{rule}", "input=texts.csv", "output=out.csv", "text=body"], ["no column 'body'", "id, title, description"]),
        (["{rule}", "input=texts.csv", "output=out.json"], ["out.json"]),
        (["{rule}", "input=none.csv", "output=out.csv"], ["none.csv: "]),
        (["{rule}", "input=texts.csv", "output=texts.csv", "replace=true"], ["texts.csv"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(
    arguments: list[str], parts: list[str], rule: Path, failed: Path, workdir: Path, verb: Verb
) -> None:
    code, out, err = verb("predict", *(argument.format(rule=rule, failed=failed) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert all(part in err for part in parts), err
    assert [path.name for path in workdir.iterdir()] == ["texts.csv"]


@pytest.mark.parametrize("content", ["title\na\n", "id,title,description\n1,only a title\n"], ids=["refused", "broken"])
def test_directory_with_the_name_of_the_parts_survives(content: str, rule: Path, workdir: Path, verb: Verb) -> None:
    (workdir / "out.csv.parts").mkdir()
    (workdir / "out.csv.parts/thesis.txt").write_text("my only copy")
    for text in (Path("texts.csv").read_text(), content):  # an input that can be predicted, and one that cannot
        Path("texts.csv").write_text(text)
        for option in ("restart=false", "restart=true", "replace=true"):
            code, _, err = verb("predict", str(rule), "input=texts.csv", "output=out.csv", option)
            assert code == 2
            assert "files that are not of `predict`, such as thesis.txt" in err
    assert [path.name for path in (workdir / "out.csv.parts").iterdir()] == ["thesis.txt"]
    assert not Path("out.csv").exists()


def test_interrupted_prediction_resumes(rule: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("predict", str(rule), "input=texts.csv", "output=out.csv", "batch_size=2")
    with monkeypatch.context() as patched:
        calls = iter([None])

        def interrupt(scorer: object, batch: object, text: object, original: Callable[..., object]) -> object:
            if next(calls, "over") == "over":
                signal.raise_signal(signal.SIGINT)
            return original(scorer, batch, text)

        from ratchet.inference import predict_file

        original = predict_file.predict_batch
        patched.setattr(predict_file, "predict_batch", lambda *values: interrupt(*values, original))
        code, out, err = verb(*arguments)
    assert (code, out) == (130, "")
    assert "out.csv.parts" in err
    code, out, err = verb(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith("resuming after row 2 of 3\n")
    assert len(Path("out.csv").read_text().splitlines()) == 4


def test_regression_predicts_without_importing_torch(regression: Path, workdir: Path) -> None:
    script = "import sys; from ratchet.cli.main import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    arguments = ("predict", str(regression), "input=texts.csv", "output=out.parquet")
    process = run_command(sys.executable, "-c", script, *arguments, cwd=workdir)
    assert (process.stderr, process.stdout.splitlines()[-1]) == ("", "False")
