"""Tests that nothing printed can act on a terminal: the function, the streams, and every command with hostile data."""

import ast
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_runs import rewrite_record

import ratchet.cli
from ratchet.cli.main import main, run_guarded
from ratchet.config import compose
from ratchet.errors import UserError
from ratchet.printable import filter_output, printable, unfiltered
from ratchet.reporting.blocks import Facts, Paragraph, table_of_rows
from ratchet.reporting.terminal import print_blocks, print_json
from ratchet.training import train

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
TITLE, COLOUR, TURNED = "\x1b]0;pwned\x07", "\x9b31m", "\u202eslow\u2066"
LABEL = f"{TURNED}[red]"  # a label with a control character is refused
HOSTILE = f"a{TITLE}{COLOUR}{TURNED}[red]z"
Call = Callable[..., tuple[object, str]]


@given(st.text())
def test_printable_text_keeps_all_other_characters(text: str) -> None:
    safe = printable(text)
    assert not UNSAFE.search(safe)
    assert printable(safe) == safe
    if not UNSAFE.search(text):
        assert safe == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_printable_json_has_the_same_value(text: str) -> None:
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_streams_are_filtered_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with filter_output(), filter_output():
        print(HOSTILE)
        sys.stderr.writelines([HOSTILE, "\n\t"])
        assert sys.stdout.isatty() is False
        unfiltered(sys.stdout).write("\x1b[32mgreen")
    assert (sys.stdout, sys.stderr) == (out, err)
    assert out.getvalue() == f"{printable(HOSTILE)}\n\x1b[32mgreen"
    assert err.getvalue() == f"{printable(HOSTILE)}\n\t"


@pytest.mark.parametrize("error", [UserError(HOSTILE), OSError(28, "full", HOSTILE)], ids=["user", "disk"])
def test_messages_of_errors_are_printable(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.cli.main._discard_output", lambda: None)

    def fail() -> int:
        raise error

    run_guarded(fail)
    assert printable(TITLE) in (shown := capsys.readouterr().err)
    assert not UNSAFE.search(shown)


def test_trace_of_an_unexpected_error_is_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter prints it, after the command."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(RuntimeError) as caught:
        run_guarded(_fail)
    sys.excepthook(caught.type, caught.value, caught.tb)
    assert printable(TITLE) in stream.getvalue()
    assert not UNSAFE.search(stream.getvalue())


def _fail() -> int:
    raise RuntimeError(HOSTILE)


@pytest.mark.parametrize("markdown", [False, True])
def test_blocks_are_printable_without_a_command(markdown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of_rows([{f"name {HOSTILE}": HOSTILE}], left=1)
    print_blocks([Paragraph(HOSTILE), Facts(HOSTILE, [(HOSTILE, HOSTILE)]), table], markdown=markdown)
    shown = capsys.readouterr().out
    assert not UNSAFE.search(shown)
    assert shown.count("pwned") == 6
    assert shown.count("[red]") == 6, "rich takes no brackets for its markup"


def test_json_is_printable_and_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: [HOSTILE]})
    shown = capsys.readouterr().out
    assert not UNSAFE.search(shown)
    assert json.loads(shown) == {HOSTILE: [HOSTILE]}


def test_bars_and_coloured_tables_alone_pass_the_filter() -> None:
    """A new console needs the stream behind the filter, and must be given printable text."""
    for path in sorted(Path(ratchet.cli.__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console":
                names = {keyword.arg for keyword in node.keywords}
                assert names & {"file", "width"}, f"{path}:{node.lineno}: Console(file=unfiltered(...))"


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with hostile labels, texts, names and paths, and runs of two models on them."""
    root = tmp_path_factory.mktemp("hostile")
    labels = [f"{LABEL}{number}" for number in range(3)]
    rows = [
        {"id": f"{LABEL}{row}", "text": f"{HOSTILE} word{row % 3} {row * 7919}", "labels": [labels[row % 3]]}
        for row in range(60)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "bad.jsonl").write_text(json.dumps({"id": HOSTILE, "text": HOSTILE, "labels": [HOSTILE]}) + "\n")
    (root / "mine/data").mkdir(parents=True)
    (root / "mine/data/hostile.yaml").write_text(
        "defaults: [base_data, _self_]\nname: hostile\nrecords: {path: rows.jsonl}\nid: id\ntext: [text]\n"
        "labels: {column: labels, kind: list}\nsplit: {method: stratified, val: 0.2, test: 0.2, duplicates: exact}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for model in ("rule", "regression"):
            for seed in (0, 1):
                config = compose(["data=hostile", f"model={model}", f"split.seed={seed}"], config_dir=Path("mine"))
                config.hypothesis, config.tags, config.evaluation.resamples = HOSTILE, [HOSTILE], 100
                path = train(config, overrides=[f"hypothesis={HOSTILE}"]).path
                if model == "regression":  # as a run from elsewhere may be called
                    rewrite_record(path, name=f"regression {COLOUR}{TURNED}", tags=[HOSTILE], parent=HOSTILE)
    return root


@pytest.fixture
def call(hostile_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a command in the hostile project, and returns its exit code and all it printed."""
    monkeypatch.chdir(hostile_project)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(*arguments: str) -> tuple[object, str]:
        capsys.readouterr()
        try:
            code: object = main(list(arguments))
        except SystemExit as stop:  # Hydra's way to end
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


DATA = ("--config-dir", "mine", "data=hostile")


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list"),
        ("runs", "list", "format=json"),
        ("runs", "list", "format=md"),
        ("runs", "show", "last"),
        ("runs", "show", "last", "format=json"),
        ("compare", "resamples=100"),
        ("compare", "resamples=100", "format=json"),
        ("compare", "resamples=100", "format=md"),
        ("gate", "resamples=100"),
        ("objective", "review", "resamples=100"),
        ("explain", "last", f"text={HOSTILE} word1"),
        ("explain", "last", f"text={HOSTILE} word1", "format=json"),
        ("data", "describe", *DATA),
        ("data", "describe", *DATA, "format=json"),
        ("data", "describe", *DATA, "data.records.path=bad.jsonl"),
        ("data", "suggest-taxonomy", *DATA),
        ("evaluate", "last", "part=val"),
        ("predict", "last", "input=rows.jsonl", f"output={HOSTILE.replace('/', '')}.csv", "replace=true"),
        ("promote", f"candidate={HOSTILE}"),
        ("promote", "candidate=rule", "force=true", f"reason={HOSTILE}"),
        ("promote", "show", "data=hostile"),
        ("train", *DATA, "model=rule", f"hypothesis='{HOSTILE}'", "evaluation.resamples=100"),
        ("train", *DATA, "model=rule", f"seed={HOSTILE}"),
        ("train", *DATA, f"model={HOSTILE}"),
        ("train", *DATA, "model=rule", f"+{HOSTILE}=1"),
        ("train", *DATA, f"data.records.path={HOSTILE}"),
        ("reproduce", HOSTILE),
        ("runs", "show", HOSTILE),
        ("doctor",),
        ("models", HOSTILE),
        ("sweep", HOSTILE),
        ("completion", HOSTILE),
        (HOSTILE,),
        ("report", f"out={HOSTILE}/x.html"),
        ("init", "new", f"data={HOSTILE}.csv"),
        ("--project", HOSTILE, "runs", "list"),
    ],
    ids=lambda arguments: printable(" ".join(arguments))[:40],
)
def test_no_command_prints_control_characters(arguments: tuple[str, ...], call: Call) -> None:
    _, shown = call(*arguments)
    assert shown
    assert not UNSAFE.search(shown), printable(shown)
