from ratchet.cli.completing import places
from ratchet.cli.main import VERBS, actions_of


def test_there_is_a_place_for_every_verb_and_each_of_its_actions() -> None:
    found = places()
    assert set(VERBS) <= set(found[""].words)
    for verb in VERBS:
        assert {f"{verb} {action}".strip() for action in actions_of(verb)} | {verb} <= found.keys()
        assert set(actions_of(verb)) - {""} <= set(found[verb].words)


def test_keys_are_those_of_the_options_with_what_each_may_be() -> None:
    found = places()
    assert found["export"].keys["precision"] == ["float32", "int8"]
    assert found["runs list"].keys["ladder"] == ["false", "true"]
    assert found["gate"].keys.keys() > {"objective", "resamples"}
    assert found["report"].keys.keys() > {"out", "texts"}
    assert found["explain"].keys["text"] == []


def test_training_takes_groups_keys_and_the_settings_of_all_models() -> None:
    keys = places()["train"].keys
    assert keys.keys() > {"model", "data", "experiment", "seed", "split.seed", "model.stemming", "model.lexical.C"}
    assert keys["threshold.method"] == ["tuned", "per_label", "fixed"]
    assert not {"sweep_id", "objective"} & keys.keys()


def test_runs_are_named_where_the_verb_says_so() -> None:
    taking = {words for words, place in places().items() if place.takes_run}
    assert taking >= {"evaluate", "predict", "reproduce", "export", "explain", "runs show"}
    assert not taking & {"runs list", "runs", "train", "data list", "promote"}
