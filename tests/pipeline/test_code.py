"""A fingerprint changes with the code that a stage runs, and with nothing else."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.pipeline import code
from ratchet.pipeline.code import fingerprints

Write = Callable[..., None]
STAGE = "made.stage"
FILES = {
    "__init__": "",
    "stage": """\
        '''A stage.'''

        from made.helper import double


        def run(x):
            return double(x) + 1
        """,
    "helper": """\
        import json


        class Lazy:
            async def go(self):
                from made import late

                return late


        def double(x):
            return 2 * x
        """,
    "late": "VALUE = (1, 2)\n",
    "unused": "VALUE = 3\n",
}


def write_package(project: Path, **changed: str) -> None:
    """A package `made` under src/, some of its modules as given."""
    directory = project / "src" / "made"
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in {**FILES, **changed}.items():
        (directory / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """`write(stage="...")`: the package in the place of the project's own, that module changed."""
    monkeypatch.setattr(code, "PROJECT", tmp_path)
    write_package(tmp_path)
    return lambda **changed: write_package(tmp_path, **changed)


@pytest.mark.usefixtures("write")
def test_all_that_is_imported_is_in_it_lazily_or_not_and_nothing_else() -> None:
    assert list(fingerprints([STAGE])) == ["made", "made.helper", "made.late", "made.stage"]
    assert list(fingerprints(["made.late"])) == ["made", "made.late"]
    assert list(fingerprints(["made.late", "made.unused"])) == ["made", "made.late", "made.unused"]


STAYS = {
    "comment": "# why\nfrom made.helper import double  # it\n\ndef run(x):\n    # so\n    return double(x) + 1\n",
    "docstrings": "'What.'\nfrom made.helper import double\ndef run(x):\n    'What.'\n    return double(x) + 1\n",
    "blank lines": "\n\n\nfrom made.helper import double\n\n\n\n\ndef run(x):\n\n    return double(x) + 1\n\n\n",
    "reformatted": "from made.helper import (\n  double,\n)\ndef run( x ) :\n  return (double(\n    x\n  )+1)",
    "line ends": "from made.helper import double\r\ndef run(x):\r\n    return double(x) + 1\r\n",
}


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_what_does_not_run_leaves_it_as_it_is(text: str, write: Write) -> None:
    before = fingerprints([STAGE])
    write(stage=text)
    assert fingerprints([STAGE]) == before


def test_docstrings_of_classes_and_of_async_functions_do_not_count(write: Write) -> None:
    before = fingerprints([STAGE])
    helper = textwrap.dedent(FILES["helper"]).replace("class Lazy:\n", "class Lazy:\n    'It waits.'\n\n")
    write(helper=helper.replace("go(self):\n", "go(self):\n        'Away.'\n"))
    assert fingerprints([STAGE]) == before


CHANGES = {
    "constant": ("stage", "+ 1", "+ 2"),
    "type of a constant": ("stage", "+ 1", "+ 1.0"),
    "line": ("stage", "def run", "x = 1\n\n\ndef run"),
    "default": ("stage", "run(x)", "run(x=0)"),
    "imported": ("helper", "2 * x", "x * 2"),
    "imported lazily": ("late", "(1, 2)", "(1, 3)"),
    "text in the middle": ("stage", "    return", '    x = x\n    "no docstring"\n    return'),
}


@pytest.mark.parametrize(("module", "old", "new"), CHANGES.values(), ids=CHANGES)
def test_what_runs_changes_it_for_its_own_module(module: str, old: str, new: str, write: Write) -> None:
    before = fingerprints([STAGE])
    text = textwrap.dedent(FILES[module])
    assert old in text
    write(**{module: text.replace(old, new)})
    now = fingerprints([STAGE])
    assert {name for name in before if before[name] != now[name]} == {f"made.{module}"}
    assert before.keys() == now.keys()


def test_a_module_that_is_not_imported_does_not_count(write: Write) -> None:
    before = fingerprints([STAGE])
    write(unused="VALUE = 4\n")
    assert fingerprints([STAGE]) == before


def test_a_tracker_only_looks_on_and_an_export_comes_after_the_run(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "_ONLOOKERS", ["made.late"])
    assert "made.late" not in fingerprints([STAGE])
    monkeypatch.undo()
    assert code._ONLOOKERS == ["ratchet.tracking", "ratchet.neural.export"]
    found = fingerprints(["ratchet.pipeline.train_stage", "ratchet.models.cnn"])
    assert {"ratchet.models.cnn_network", "ratchet.neural.fitting"} <= set(found)
    assert not {"ratchet.neural.export", "ratchet.neural.quantising"} & set(found)


def test_a_text_that_no_encoding_can_write_has_a_hash(write: Write) -> None:
    before = fingerprints([STAGE])
    write(late='VALUE = "\\ud800"\n')
    assert fingerprints([STAGE])["made.late"] != before["made.late"]


COMMENTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(comments=st.lists(COMMENTS.map("# {}".format) | st.just(""), min_size=4, max_size=4))
def test_comments_between_statements_change_nothing(comments: list[str], write: Write) -> None:
    statements = ["import json", "LIMIT = 3", "def run(x):\n    return x + LIMIT", "run(1)"]
    write(stage="\n".join(statements))
    before = fingerprints([STAGE])
    write(stage="\n".join(line for pair in zip(comments, statements, strict=True) for line in pair))
    assert fingerprints([STAGE]) == before


def fingerprinted(model: str) -> set[str]:
    return set(fingerprints(["ratchet.pipeline.train_stage", f"ratchet.models.{model}"]))


@pytest.mark.parametrize("model", ["rule", "regression"])
def test_a_model_without_a_network_does_not_depend_on_the_code_of_networks(model: str) -> None:
    found = fingerprinted(model)
    own = {name for name in found if name.startswith("ratchet.models.")} - {"ratchet.taggers"}
    assert own == {f"ratchet.models.{model}"}
    neural = {name for name in found if name.startswith("ratchet.neural")}
    assert neural == {"ratchet.neural", "ratchet.neural.settings"}, "training asks whether a model has epochs"
    assert {"ratchet.training", "ratchet.data.storing", "ratchet.evaluation.metrics"} <= found


@pytest.mark.parametrize(("model", "other"), [("cnn", "transformer"), ("transformer", "cnn")])
def test_a_network_depends_on_what_it_imports_when_it_is_fitted(model: str, other: str) -> None:
    found = fingerprinted(model)
    assert {f"ratchet.models.{model}", f"ratchet.models.{model}_network"} <= found
    assert {"ratchet.neural.fitting", "ratchet.neural.modules", "ratchet.neural.losses"} <= found
    assert not {name for name in found if name.startswith((f"ratchet.models.{other}", "ratchet.models.r"))}


def test_no_stage_depends_on_the_command_line_that_it_is_called_by() -> None:
    assert not {name for name in fingerprinted("rule") if name.startswith(("ratchet.cli", "ratchet.tracking"))}


def test_only_this_package_is_looked_at() -> None:
    assert {name.partition(".")[0] for name in fingerprinted("cnn")} == {"ratchet"}
