"""Describe the verbs: `ratchet --help`, `ratchet VERB --help` and `python train.py --help`.

Keys, defaults, allowed values and sentences are read from the dataclasses of the options and of the configuration.
This module adds what no dataclass contains: the purpose of a verb, its positional arguments, groups of conf/, examples.
"""

import dataclasses
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from ratchet.config.directories import list_configs, list_groups
from ratchet.config.fields import Setting, help_of, settings_in, written
from ratchet.config.schema import Config
from ratchet.project import PACKAGED

_WIDTH = 80  # columns, where the output is piped or the terminal is wider
_START = 26  # column at which the text next to a key starts


@dataclasses.dataclass(frozen=True)
class Action:
    """Describe a verb: its sentence, positional arguments, groups of conf/, and keys that no dataclass has."""

    sentence: str = ""
    arguments: str = ""
    groups: tuple[str, ...] = ()
    keys: tuple[Setting, ...] = ()


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb of `ratchet`: its sentence, its actions by name ("" for none), and examples."""

    sentence: str
    actions: Mapping[str, Action]
    examples: tuple[str, ...]


_ALL = tuple(
    sorted(path.name for path in (PACKAGED / "conf").glob("[!.]*") if path.is_dir() and path.name != "objective")
)
_DATA = ("data",)
_OBJECTIVE = ("objective",)
_CONFIG_DIR = "--config-dir DIR"
_ARGUMENTS = {
    "RUN": "A run: its id, its directory, or `last`, the last finished run.",
    "MODEL": "A model: the name of a file in conf/model.",
    "SWEEP": "The id of a grid or of a search, or `last`.",
    "[DIR]": "Directory of the project; the working directory by default.",
    "SHELL": "The shell: bash, zsh or fish.",
    _CONFIG_DIR: "Directory with further options of the groups of conf/; they win over those of the project.",
}
_GROUPS = {
    "objective": "Objective: what a model must fulfil to ship; objective.KEY=VALUE changes one key.",
    "experiment": "Stored settings of one run: a model and what differs from its defaults.",
    "launcher": "Where the jobs of a grid or a search run.",
    "debug": "Short runs to test whether the code works.",
}
_EVALUATE = (
    Setting("part", "test", "train | val | test | all", "Part of the data to score."),
    Setting("runs_dir", "runs", "str", "Directory of all runs."),
)
_EXPLAIN = (Setting("text", "", "str", "Text to explain."),)
VERBS: Mapping[str, Verb] = {
    "init": Verb(
        "Create a project: for the sample, or for a file of records.",
        {"": Action(arguments="[DIR]")},
        ("ratchet init topics", "ratchet init topics data=tickets.csv text=subject,body labels=topics"),
    ),
    "train": Verb(
        "Train one configuration, or with -m a grid or a search (the same as python train.py).",
        {"": Action(groups=_ALL)},
        ("ratchet train model=regression data=madewithml", "ratchet train -m model=rule,regression seed=0,1"),
    ),
    "evaluate": Verb(
        "Score a finished run on other records.",
        {"": Action("Keys of the configuration change what is scored.", "RUN", _DATA, _EVALUATE)},
        ("ratchet evaluate last part=val", "ratchet evaluate last data=madewithml part=all"),
    ),
    "predict": Verb(
        "Label the texts of a file.",
        {"": Action(arguments="RUN")},
        ("ratchet predict last input=texts.csv output=predictions.csv",),
    ),
    "reproduce": Verb(
        "Train a run again from its record and compare the predictions (exit code 0: identical).",
        {"": Action(arguments="RUN")},
        ("ratchet reproduce last", "ratchet reproduce last keep=again"),
    ),
    "export": Verb(
        "Write a directory that scores texts without torch, and check it against the run.",
        {"": Action(arguments="RUN")},
        ("ratchet export last", "ratchet export last precision=int8 out=small"),
    ),
    "explain": Verb(
        "Show the words behind the labels that a run predicts for a text.",
        {"": Action(arguments="RUN", keys=_EXPLAIN)},
        ("ratchet explain last text='Segmenting tumours in CT scans'",),
    ),
    "data": Verb(
        "List, describe and fetch data sets; suggest aliases.",
        {
            "list": Action("List the data sets of conf/data."),
            "describe": Action("Count and check the records, labels and slices of a data set.", groups=_DATA),
            "fetch": Action("Download the files of a data set.", groups=_DATA),
            "suggest-taxonomy": Action("Suggest aliases from the train part.", groups=_DATA),
        },
        ("ratchet data describe data=madewithml", "ratchet data fetch data=madewithml"),
    ),
    "models": Verb(
        "List the models, show every setting of one, or check one against the contract.",
        {
            "": Action(arguments="[MODEL]"),
            "check": Action("Run the contract's checks on a model (exit code 1: one fails).", "MODEL"),
        },
        ("ratchet models", "ratchet models cnn", "ratchet models check cnn"),
    ),
    "compare": Verb(
        "Compare candidates with the baseline: intervals, p-values, verdicts.",
        {"": Action(groups=("objective", "tracker"))},
        ("ratchet compare data=madewithml", "ratchet compare data=sample name=rule,regression format=md"),
    ),
    "gate": Verb(
        "Decide which model ships under an objective (exit code 0: one ships, 3: none does).",
        {
            "": Action("Decide from the stored runs.", groups=_OBJECTIVE),
            "--check": Action("Print the verdict of the pipeline, with its exit code."),
        },
        ("ratchet gate data=madewithml", "ratchet gate data=madewithml objective=strict"),
    ),
    "promote": Verb(
        "Record which model is promoted.",
        {
            "": Action("Promote what the gate lets ship (exit code 3: it refuses).", groups=_OBJECTIVE),
            "show": Action("Show the promotions."),
            "rollback": Action("Return to the candidate that was promoted before."),
        },
        ("ratchet promote data=madewithml", 'ratchet promote rollback data=madewithml reason="too slow"'),
    ),
    "report": Verb(
        "Write one page with charts of what each iteration improved.",
        {"": Action(groups=_OBJECTIVE)},
        ("ratchet report data=madewithml", "ratchet report data=madewithml out=page.html texts=false"),
    ),
    "objective": Verb(
        "Review the objective.",
        {"review": Action("Show what would ship under other plausible objectives.", groups=_OBJECTIVE)},
        ("ratchet objective review data=madewithml",),
    ),
    "pipeline": Verb(
        "Run a stage of the pipeline (`dvc repro` runs those that are out of date), or compare its results.",
        {
            "config": Action("Compose the configuration of each model."),
            "prepare": Action("Read and check the records."),
            "split": Action("Divide the records for one repeat."),
            "train": Action("Train one model for one repeat."),
            "compare": Action("Compare the models."),
            "gate": Action("Decide which model ships."),
            "report": Action("Write the report."),
            "lock": Action("Write what results.lock.json holds."),
            "check": Action("Compare the results with those of a commit."),
            "diff": Action("Show which metrics changed since a commit."),
        },
        ("dvc repro", "ratchet pipeline diff against=HEAD~1"),
    ),
    "sweep": Verb(
        "List grids and searches, and show one.",
        {
            "list": Action("List grids and searches."),
            "show": Action("Show the jobs of a grid or the trials of a search; the last one by default.", "[SWEEP]"),
        },
        ("ratchet sweep list", "ratchet sweep show last out=search.html"),
    ),
    "runs": Verb(
        "List, show, measure and delete runs.",
        {
            "list": Action("List runs, the newest first."),
            "show": Action("Show one run.", "RUN"),
            "measure": Action("Measure the latency of finished runs again, without training.", "RUN [RUN ...]"),
            "prune": Action("Delete runs that nothing refers to."),
        },
        ("ratchet runs list data=sample ladder=true", "ratchet runs show last", "ratchet runs prune delete=true"),
    ),
    "doctor": Verb(
        "Check the installation and the project: each line is ok, or has a remedy (exit code 1: a problem).",
        {"": Action()},
        ("ratchet doctor", "ratchet doctor format=json"),
    ),
    "config": Verb(
        "Write what editors need to complete and check configuration files.",
        {"schema": Action("Write a JSON schema for each group of conf/, and for params.yaml.")},
        ("ratchet config schema", "ratchet config schema out=schemas"),
    ),
    "completion": Verb(
        "Print a script that completes verbs, keys and values on TAB.",
        {"": Action(arguments="SHELL")},
        ("source <(ratchet completion bash)",),
    ),
}
_TRAIN = """\
usage: python train.py [-m] [group=option ...] [key=value ...]
       ratchet train [-m] [group=option ...] [key=value ...]

Train one configuration, measure it on fixed splits, and store the run.

  python train.py                                    the baseline on the sample
  python train.py model=regression data=madewithml   another model and data set
  python train.py -m model=rule,regression seed=0,1  a grid, ending in one table

  -m, --multirun          Run a job for each combination of the listed values,
                          or a search: -m sweep=cnn.
  --config-dir DIR        Directory with further options of the groups.
  --project DIR           Project to work in, instead of that of the directory.
  --cfg job               Print the composed configuration.
  --info                  Print how the configuration is composed.
  --hydra-help            Print further flags of Hydra.

HYDRA_FULL_ERROR=1 prints a stack trace with an error. `ratchet` lists verbs."""


def find_options(verb: str) -> dict[str, type]:
    """Return the dataclass of the options of each action of a verb; "" stands for no action."""
    module = import_module(f"ratchet.cli.{verb}")
    alone = {"": module.Options} if hasattr(module, "Options") else {}
    options: dict[str, type] = getattr(module, "ACTIONS", alone)
    return options


def print_overview() -> None:
    """Print what `ratchet` without a verb does."""
    print("usage: ratchet VERB [key=value ...]\n")
    for name, verb in VERBS.items():
        _print_pair(name, [verb.sentence], start=14)
    print("\n--project DIR works in another project than that of the working directory.")
    print("`ratchet VERB --help` describes a verb, `ratchet train --help` all settings.")


def print_verb(name: str, arguments: Sequence[str] = ()) -> None:
    """Print what a verb does and takes; only one of its actions, if `arguments` begin with it."""
    verb, options = VERBS[name], find_options(name)
    actions = {action: verb.actions[action] for action in arguments[:1] if action in verb.actions} or verb.actions
    for number, (action, described) in enumerate(actions.items()):
        keys = "[key=value ...]" if _list_keys(described, options.get(action)) else ""
        words = " ".join(filter(None, [f"ratchet {name}", action, described.arguments, keys]))
        print(f"{'       ' if number else 'usage: '}{words}")
    print()
    _print_wrapped(verb.sentence)
    print()
    for example in verb.examples:
        if len(actions) == len(verb.actions) or example.startswith(f"ratchet {name} {next(iter(actions))}"):
            print(f"  {example}")
    explained = [word for word in _ARGUMENTS if any(word in action.arguments for action in actions.values())]
    if any(action.groups for action in actions.values()):
        explained.append(_CONFIG_DIR)
    if explained:
        print()
    for word in explained:
        _print_pair(word, [_ARGUMENTS[word]])
    for action, described in actions.items():
        _print_action(f"ratchet {name} {action}".strip(), described, options.get(action))


def _print_action(words: str, action: Action, options: type | None) -> None:
    settings = _list_keys(action, options)
    if not settings and not action.sentence:
        return
    print()
    _print_wrapped(f"{words}: {action.sentence}" if action.sentence else "keys:")
    print_settings(settings)


def _list_keys(action: Action, options: type | None) -> list[Setting]:
    groups = [_group_setting(group, "NAME", None) for group in action.groups]
    return [*groups, *action.keys, *(settings_in(options) if options else [])]


def _group_setting(group: str, chosen: str, config_dir: Path | None) -> Setting:
    names = " | ".join(list_configs(group, config_dir))
    return Setting(group, chosen, names, _GROUPS.get(group) or help_of(Config)[group])


def print_configuration(config: Config, chosen: Mapping[str, str | None], config_dir: Path | None) -> None:
    """Print what can be set of a run: the options of each group of conf/, and every key with its composed value."""
    print(_TRAIN)
    print("\ngroup=option:")
    groups = [group for group in list_groups(config_dir) if group != "objective"]
    known = [group for group in groups if group in help_of(Config) or group in _GROUPS]
    print_settings([_group_setting(group, chosen.get(group) or "null", config_dir) for group in known])
    for title, settings in _iterate_nodes(config):
        print()
        _print_wrapped(title)
        print_settings(settings)


def _iterate_nodes(config: Config) -> Iterator[tuple[str, list[Setting]]]:
    """Yield the keys of the run itself, then those of each node of its configuration, below a title."""
    settings = settings_in(config)
    yield "key=value:", [setting for setting in settings if "." not in setting.key]
    for node, sentence in help_of(Config).items():
        inside = [setting for setting in settings if setting.key.startswith(f"{node}.")]
        if inside:
            yield f"{node}: {sentence}", inside


def print_settings(settings: Sequence[Setting]) -> None:
    """Print keys with their defaults, each with its sentence and its allowed values next to it."""
    for setting in settings:
        value = setting.value if setting.value == "NAME" else written(setting.value)
        _print_pair(f"{setting.key}={value}", [setting.remark, setting.kind])


def _print_pair(name: str, texts: Sequence[str], start: int = _START) -> None:
    """Print a name and its texts in two columns; texts next to a long name begin on the line below it."""
    width = _measure_width()
    names = textwrap.wrap(name, width - 2, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
    lines = [
        line
        for text in texts
        for line in textwrap.wrap(text, max(width - start, 20), break_long_words=False, break_on_hyphens=False)
    ]
    above = names if len(names) > 1 or len(name) > start - 4 else []
    for line in above:
        print(f"  {line}")
    for number, line in enumerate(lines):
        print(f"{'' if above or number else f'  {name}':{start}}{line}")


def _print_wrapped(text: str) -> None:
    print(textwrap.fill(text, _measure_width(), break_long_words=False, break_on_hyphens=False))


def _measure_width() -> int:
    return min(_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _WIDTH
