"""Tests for the hash of the code that a run uses: what changes it, what does not, on every Python version."""

import itertools
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.own_projects import write_project

from ratchet.errors import UserError
from ratchet.models import model_modules
from ratchet.project import VARIABLE
from ratchet.runs import code as module
from ratchet.runs.code import changed_definitions, code_of_run, definitions_of, hash_definitions

Identify = Callable[..., dict[str, str]]
FILES = {
    "__init__": "",
    "stage": '''
        """A stage."""

        import logging

        from made.helper import Settings, double as twice

        log = logging.getLogger(__name__)


        def run(x, settings: Settings):
            """Run it."""
            # why
            log.info("run %s", x)
            if x < 0:
                raise ValueError(f"{x}: must not be negative")
            from made import late

            return twice(x) + late.VALUE[0]


        def not_reached():
            return 1
        ''',
    "helper": '''
        from dataclasses import dataclass


        @dataclass
        class Settings:
            rate: float = 0.1
            """How fast."""


        def double(x):
            return factor() * x


        def factor():
            return 2


        def unused():
            return 3
        ''',
    "late": "VALUE = (1, 2)\n",
    "other": "def unrelated():\n    return 0\n",
}


@pytest.fixture
def identify(tmp_path: Path) -> Identify:
    """Return a function that finds the definitions of `made.stage:run` after `stage=(old, new)` edits that module."""

    def identify(root: str = "made.stage:run", **edits: tuple[str, str]) -> dict[str, str]:
        package = tmp_path / "made"
        package.mkdir(exist_ok=True)
        texts = {name: textwrap.dedent(text).lstrip() for name, text in FILES.items()}
        for name, (old, new) in edits.items():
            assert old in texts.get(name, ""), f"{old!r} is not in {name}"
            texts[name] = texts[name].replace(old, new) if old else new + texts.get(name, "")
        for path in package.glob("*.py"):
            path.unlink()
        for name, text in texts.items():
            (package / f"{name}.py").write_text(text, encoding="utf-8")
        module._parse.cache_clear()
        return definitions_of([root], {"made": package})

    return identify


def test_only_used_definitions_are_reached(identify: Identify) -> None:
    names = {key.partition(":")[2] for key in identify()}
    assert names == {"run", "log", "Settings", "double", "factor", "VALUE"}


def test_hash_is_the_same_on_every_python(identify: Identify) -> None:
    """Run directories and dvc.lock hold such hashes; each Python that runs the tests must compute this one."""
    assert hash_definitions(identify()) == "bf4ad937ec29e688a7acc1423d279be77bcdfadc51be1aef530e45de522d44ae"


@pytest.mark.parametrize(
    "edits",
    [
        {"stage": ("# why", "# for another reason")},
        {"stage": ('"""Run it."""\n', "")},
        {"stage": ("run %s", "running %s")},
        {"stage": ("must not be negative", "is below 0")},
        {"stage": ('f"{x}: must not be negative"', '"negative"')},
        {"stage": ("return 1", "return 2")},
        {"stage": ("double as twice", "double")} | {"helper": ("", "")},
        {"helper": ("How fast.", "The learning rate.")},
        {"helper": ("return 3", "return 4")},
        {"helper": ("", "import json\n")},
        {"other": ("return 0", "return 1")},
    ],
    ids=str,
)
def test_texts_and_unused_code_do_not_change_hash(identify: Identify, edits: Mapping[str, tuple[str, str]]) -> None:
    before = identify()
    if "double as twice" in str(edits):
        text = FILES["stage"].replace("double as twice", "double").replace("twice(x)", "double(x)")
        edits = {"stage": (textwrap.dedent(FILES["stage"]).lstrip(), textwrap.dedent(text).lstrip())}
    assert identify(**edits) == before


@pytest.mark.parametrize(
    ("edits", "names"),
    [
        ({"stage": ("x < 0", "x < 1")}, ["run"]),
        ({"stage": ("ValueError", "TypeError")}, ["run"]),
        ({"helper": ("return 2", "return 5")}, ["factor"]),
        ({"helper": ("rate: float = 0.1", "rate: float = 0.2")}, ["Settings"]),
        ({"helper": ("@dataclass\n", "@dataclass(frozen=True)\n")}, ["Settings"]),
        ({"late": ("(1, 2)", "(1, 3)")}, ["VALUE"]),
        ({"helper": ("import dataclass\n", "import dataclass\n\nprint()\n")}, ["<executed>"]),
    ],
    ids=str,
)
def test_changed_definition_is_named_and_changes_hash(
    identify: Identify, edits: Mapping[str, tuple[str, str]], names: list[str]
) -> None:
    before, after = identify(), identify(**edits)
    assert hash_definitions(before) != hash_definitions(after)
    changed = changed_definitions(before, after, same_model=True)
    assert [name for name in changed if name in names] == names
    assert set(changed) <= {*names, "Settings"}, "the decorator is part of the class"


def test_moved_definition_keeps_hash(identify: Identify) -> None:
    """Move it to another module, import it under another name, or import it from its package."""
    before = identify()
    moved = identify(
        stage=(
            "from made.helper import Settings, double as twice",
            "from made import Settings\nfrom made.late import twice",
        ),
        late=("VALUE", "from made.helper import double as twice\n\nVALUE"),
        __init__=("", "from made.helper import Settings\n"),
    )
    assert hash_definitions(moved) == hash_definitions(before)
    merged = identify(
        stage=(
            "from made.helper import Settings, double as twice\n",
            "from made.other import Settings, double as twice\n",
        ),
        helper=(textwrap.dedent(FILES["helper"]).lstrip(), ""),
        other=("", textwrap.dedent(FILES["helper"]).lstrip()),
    )
    assert set(merged) != set(before)
    assert hash_definitions(merged) == hash_definitions(before)
    assert changed_definitions(before, merged, same_model=True) == []


def test_table_of_lazy_imports_is_read() -> None:
    table = '_MODULES = {"Settings": "ratchet.helper"}\n'
    assert module._table_of_names(module.ast.parse(table).body[0].value) == {"Settings": "ratchet.helper"}


def test_module_as_root_includes_all_definitions(identify: Identify) -> None:
    assert "made.stage:not_reached" in identify(root="made.stage")


@pytest.mark.parametrize("root", ["made.nowhere", "made.stage:nothing", "json:loads"])
def test_missing_root_raises(identify: Identify, root: str) -> None:
    with pytest.raises(LookupError, match=root):
        identify(root=root)


def test_only_shared_definitions_of_two_models_are_compared() -> None:
    before = {"a:f": "1-x", "a:g": "2-x"}
    now = {"b:f": "3-x", "b:h": "4-x"}
    assert changed_definitions(before, now, same_model=False) == ["f"]
    assert changed_definitions(before, now, same_model=True) == ["f", "g", "h"]


@pytest.mark.parametrize("name", model_modules())
def test_run_uses_only_its_own_model(name: str) -> None:
    modules = {key.partition(":")[0] for key in code_of_run(name)}
    own = {module_name for module_name in modules if module_name.startswith("ratchet.models.")}
    assert own <= {f"ratchet.models.{name}", f"ratchet.models.{name}_network"}
    assert f"ratchet.models.{name}" in own
    assert {"ratchet.training", "ratchet.data.splits", "ratchet.evaluation.thresholds"} <= modules
    higher_layers = ("ratchet.cli", "ratchet.reporting", "ratchet.comparison", "ratchet.tracking", "ratchet.pipeline")
    assert not [module_name for module_name in modules if module_name.startswith(higher_layers)]


def test_lazily_imported_networks_are_reached() -> None:
    assert {"ratchet.models.cnn_network", "ratchet.neural.fitting", "ratchet.neural.losses"} <= {
        key.partition(":")[0] for key in code_of_run("cnn")
    }
    assert not [key for key in code_of_run("rule") if key.startswith(("ratchet.neural", "ratchet.lexical"))]


IDENTIFY = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv.pop())
spec = importlib.util.spec_from_file_location("code_of_runs", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
roots = {name: ["ratchet.training:train", f"ratchet.models.{name}"] for name in sys.argv[2:]}
print(json.dumps({name: module.hash_definitions(module.definitions_of(roots[name])) for name in roots}))
"""


def _find_interpreters() -> list[Path]:
    roots = [Path.home() / ".pyenv" / "versions", Path("/opt/hostedtoolcache/Python")]
    paths = [path for root in roots for path in sorted(root.glob("3.1[123].*/**/bin/python3"))]
    return [Path(sys.executable), *paths]


def test_every_python_version_computes_same_hash() -> None:
    """Use the interpreters from 3.11 to 3.13 on this machine; the module needs only the standard library."""
    models = model_modules()
    expected = {name: hash_definitions(code_of_run(name)) for name in models}
    for python in _find_interpreters():
        command = [
            str(python),
            "-I",
            "-c",
            IDENTIFY,
            str(module.__file__),
            *models,
            str(Path(module.__file__).parents[2]),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout) == expected, python


def test_unknown_model_is_not_a_user_error() -> None:
    with pytest.raises(LookupError) as error:
        code_of_run("nothing")
    assert not isinstance(error.value, UserError), "the model name is checked earlier"


OWN_MODEL = """
from ratchet.taggers import Tagger as Contract
from ..features import ngrams
from ._parts import width


class Tagger(Contract):
    size = ngrams(width)
"""
OWN_FILES = {
    "models/own.py": OWN_MODEL,
    "models/_parts.py": "width = 2\n\n\ndef unused():\n    return 1\n",
    "features.py": "from .lib.text import split\n\n\ndef ngrams(n):\n    return split(n)\n",
    "lib/text.py": "def split(n):\n    return [n]\n",
    "unused.py": "x = 1\n",
}


@pytest.fixture
def identify_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Mapping[str, str]]:
    """Return a function that finds the code of a model of a project after edits: `identify_own({"features.py": ...})`.

    Each call writes another project, as other processes would see the same one.
    """
    monkeypatch.setenv(VARIABLE, "")
    projects = (tmp_path / f"project {number}" for number in itertools.count())

    def identify(edits: Mapping[str, str] | None = None) -> Mapping[str, str]:
        root = next(projects)
        monkeypatch.chdir(write_project(root, {**OWN_FILES, **(edits or {})}))
        return code_of_run("own")

    return identify


def test_code_of_own_model_is_followed_through_the_project(identify_own: Callable[..., Mapping[str, str]]) -> None:
    definitions = identify_own()
    own = {key for key in definitions if key.startswith("project.")}
    assert own == {
        "project.models.own:Tagger",
        "project.models._parts:width",
        "project.features:ngrams",
        "project.lib.text:split",
    }
    assert "ratchet.taggers:Tagger" in definitions
    assert not [key for key in definitions if key.startswith("ratchet.models.")]
    assert identify_own() == definitions, "the project may be anywhere"


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ({"models/own.py": OWN_MODEL.replace("ngrams(width)", "ngrams(width + 1)")}, ["Tagger"]),
        ({"models/_parts.py": "width = 3\n"}, ["width"]),
        ({"features.py": OWN_FILES["features.py"].replace("split(n)", "split(n + 1)")}, ["ngrams"]),
        ({"lib/text.py": "def split(n):\n    return [n, n]\n"}, ["split"]),
        ({"models/own.py": f"# Why.{OWN_MODEL}"}, []),
        ({"models/_parts.py": "width = 2\n"}, []),
        ({"unused.py": "x = 2\n", "conf/config.yaml": "seed: 1\n", "ratchet.yaml": "schema: 1\n"}, []),
        (
            {"models/own.py": OWN_MODEL.replace("._parts", "..moved"), "moved.py": OWN_FILES["models/_parts.py"]},
            [],
        ),
    ],
    ids=str,
)
def test_code_of_own_model_changes_with_what_it_uses(
    edits: Mapping[str, str], changed: list[str], identify_own: Callable[..., Mapping[str, str]]
) -> None:
    before, after = identify_own(), identify_own(edits)
    assert changed_definitions(before, after, same_model=True) == changed
    assert (hash_definitions(before) == hash_definitions(after)) == (not changed)


@pytest.mark.parametrize(
    "statement",
    [
        "from ..features import *",
        "from features import ngrams",
        "from .. import features\nngrams = features.ngrams",
        "import features\nngrams = features.ngrams",
    ],
)
def test_every_kind_of_import_is_followed(statement: str, identify_own: Callable[..., Mapping[str, str]]) -> None:
    """An absolute import works in `python train.py`, whose directory is on sys.path."""
    model = OWN_MODEL.replace("from ..features import ngrams", statement)
    changed = {"models/own.py": model, "features.py": "def ngrams(n):\n    return n\n"}
    assert hash_definitions(identify_own({"models/own.py": model})) != hash_definitions(identify_own(changed))


def test_own_model_with_the_name_of_a_packaged_one_is_followed_instead(
    identify_own: Callable[..., Mapping[str, str]],
) -> None:
    packaged = code_of_run("rule")
    identify_own({"models/rule.py": "class Tagger:\n    pass\n"})
    definitions = code_of_run("rule")
    assert "project.models.rule:Tagger" in definitions
    assert "ratchet.models.rule:Tagger" not in definitions
    assert hash_definitions(definitions) != hash_definitions(packaged)
