"""What a search's command line means, and what is refused before anything is trained."""

import dataclasses
import re
from pathlib import Path

import pytest

from ratchet.cli.search_request import default_values, read_request
from ratchet.config import ParameterConfig, SearchConfig
from ratchet.errors import UserError
from ratchet.project import CONF

SWEEPS = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))


def test_every_model_of_the_ladder_can_be_searched() -> None:
    assert {"rule", "regression", "cnn", "transformer"} <= set(SWEEPS)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweeps_file_is_a_search_of_its_model_on_val(name: str) -> None:
    request = read_request([f"sweep={name}"])
    config = request.config
    assert (config.model.name, config.name, config.evaluate.name) == (name, f"{name}_search", "val")
    default = default_values(request)
    assert default is not None, "the settings in force are within what is searched"
    assert default.keys() == request.space.keys()
    lines = (CONF / "sweep" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith(f"# python train.py -m sweep={name}")


def test_a_value_on_the_command_line_is_not_searched_and_several_are() -> None:
    request = read_request(
        [
            "sweep=regression",
            "model.C=2",
            "model.min_df=2,3",
            "model.mention_weight=interval(0.1,0.5)",
            "threshold.value=tag(log,interval(0.1,0.9))",
            "calibration.method=choice(none,temperature)",
            "model.complexity=range(1,4)",
        ]
    )
    space = request.space
    assert "model.C" not in space
    assert request.fixed == ["sweep=regression", "model.C=2"]
    assert space["model.min_df"] == ParameterConfig(choices=[2, 3])
    assert (space["model.mention_weight"].low, space["model.mention_weight"].high) == (0.1, 0.5)
    assert space["threshold.value"].log
    assert space["calibration.method"].choices == ["none", "temperature"]
    assert (space["model.complexity"].low, space["model.complexity"].high) == (1, 3)
    assert space["model.char_ngrams"].choices, "what the file says stays"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=regression", "seed=0,1"], "seed=0,1: a search chooses among settings"),
        (["sweep=rule,cnn"], "sweep=rule,cnn: a search chooses among settings"),
        (["sweep=regression", "evaluate=test"], "reads val alone"),
        (["sweep=regression", "model.C=glob(*)"], "takes choice"),
        (["sweep=regression", "model.Cc=interval(1,2)"], "sweep.space: .*unknown key|sweep.space: .*did you mean"),
        (["sweep=regression", "model.min_df=interval(0.5,1.5)"], "sweep.space: .*model.min_df"),
        (["sweep=regression", "model.mention_weight=interval(0,-1)"], "low=0.0 is above high=-1.0"),
        (["sweep=regresion"], "did you mean 'regression'"),
        (["sweep=regression", "sweep.trials=0"], "sweep.trials=0 is out of range"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_request(arguments)


def test_a_default_outside_of_the_space_is_not_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        default_values(read_request(["sweep=rule", "model.stemming=true", "threshold.value=interval(0.6,0.7)"])) is None
    )
    assert "threshold.value=0.5, is outside" in capsys.readouterr().out


def test_the_docs_name_keys_that_there_are(project: Path) -> None:
    named = set(re.findall(r"sweep\.(\w+)", (project / "docs" / "search.md").read_text(encoding="utf-8")))
    assert {"trials", "metric", "cost", "margin", "parallel", "prune", "seed", "experiment", "minutes"} <= named
    assert named <= {field.name for field in dataclasses.fields(SearchConfig)}
