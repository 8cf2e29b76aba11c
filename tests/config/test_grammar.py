"""Tests for several values of one key: jobs of a grid, in Hydra's order, and ranges of a search."""

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # the reference implementation has no public name
from hydra.core.override_parser.overrides_parser import OverridesParser

from ratchet.config import COMPOSITION_ERRORS, ParameterConfig
from ratchet.config.grammar import (
    Argument,
    expand_grid,
    list_sweep_values,
    parse_arguments,
    parse_parameter,
    take_first_value,
)
from ratchet.errors import UserError


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["seed=1"],
        ["model=rule,regression", "split.seed=0,1,2", "name=x"],
        ["seed=range(0,3)", "+new=choice(a,b)", "++forced=1,2", "~model"],
        ["model.widths=[1],[1,2]", "name='a b','c,d'", "data.records.path='x=y'"],
        ["seed=0,1", "name=x", "seed=2,3"],
        ["seed=sort(3,1,2)", "model@second=cnn,rule", "trainer.x=null,true,1e-3"],
        ["model.options={a:1},{b:2}"],
    ],
    ids=" ".join,
)
def test_grid_jobs_match_hydra_sweeper_in_order(overrides: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(overrides)
    [expected] = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    assert expand_grid(overrides) == expected


def test_interval_is_rejected_in_a_grid() -> None:
    with pytest.raises(UserError, match=r"command line, model\.C=interval\(0,1\)"):
        expand_grid(["model.C=interval(0,1)"])


def test_syntax_error_raises_a_composition_error() -> None:
    with pytest.raises(COMPOSITION_ERRORS):
        parse_arguments(["seed=[1"])


def test_argument_key_is_parsed_without_prefix() -> None:
    assert parse_arguments(["+a.b=1,2", "~model", "hydra/launcher=basic"]) == [
        Argument("a.b", "+a.b=1,2", True),
        Argument("model", "~model", False),
        Argument("hydra/launcher", "hydra/launcher=basic", False),
    ]


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("k=2,3", ParameterConfig(choices=[2, 3])),
        ("k=choice('a b',3)", ParameterConfig(choices=["a b", 3])),
        ("k=interval(0.1,0.5)", ParameterConfig(low=0.1, high=0.5)),
        ("k=tag(log,interval(0.1,0.9))", ParameterConfig(low=0.1, high=0.9, log=True)),
        ("k=range(1,6,2)", ParameterConfig(low=1, high=5, step=2)),
    ],
)
def test_search_range_is_parsed_to_a_parameter(text: str, parameter: ParameterConfig) -> None:
    assert parse_parameter(text) == parameter


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("seed=2,3", "seed=2"),
        ("+a.b=range(1,4)", "+a.b=1"),
        ("seed=1", "seed=1"),
        ("seed=[1", "seed=[1"),
        ("k=interval(0,1)", None),
    ],
)
def test_first_of_several_values_is_taken(override: str, first: str | None) -> None:
    assert take_first_value(override) == first


def test_unsupported_sweep_is_rejected_in_a_search() -> None:
    with pytest.raises(UserError, match=r"command line, k=glob\(\*\)"):
        parse_parameter("k=glob(*)")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model=glob(r*)", "model=regression,rule"),
        ("model=glob(*, exclude=[trans*,r*])", "model=cnn"),
        ("model=glob([rule, cnn])", "model=cnn,rule"),
        ("model=glob(rule)", "model=rule"),
        ("+experiment=glob(rule_*)", "+experiment=rule_exact"),
        ("hypothesis='=glob(r*)'", "hypothesis='=glob(r*)'"),
        ("seed=range(0,3)", "seed=range(0,3)"),
        ("seed=sort(3,1)", "seed=sort(3,1)"),
        ("model=rule,regression", "model=rule,regression"),
        ("seed=[1", "seed=[1"),
    ],
)
def test_pattern_stands_for_the_files_of_its_group(override: str, expected: str) -> None:
    assert list_sweep_values([override]) == [expected]


def test_shuffled_values_are_written_out_in_one_order() -> None:
    [listed] = list_sweep_values(["name=shuffle('a b',c,'d,e')"])
    jobs = OverridesParser.create().parse_overrides([job[0] for job in expand_grid([listed])])
    assert {str(job.value()) for job in jobs} == {"a b", "c", "d,e"}
    [listed] = list_sweep_values(["seed=shuffle(range(0,5))"])
    assert sorted(job[0] for job in expand_grid([listed])) == [f"seed={seed}" for seed in range(5)]


@pytest.mark.parametrize("override", ["model=glob(z*)", "model=glob(base_*)", "model.C=glob(*)", "seed=glob(1*)"])
def test_pattern_without_a_match_is_refused(override: str) -> None:
    with pytest.raises(UserError) as refused:
        list_sweep_values([override])
    assert f"command line, {override}" in str(refused.value)
