from typing import Any

import pytest

from ratchet.config import InvalidSetting
from ratchet.lexical.settings import LexicalSettings, check_lexical


@pytest.mark.parametrize("within", ["", "lexical."])
@pytest.mark.parametrize("key", ["word_ngrams", "char_ngrams"])
@pytest.mark.parametrize("value", [[2, 1], [0, 1], [-1, 2], [1], [], [1, 2, 3]], ids=str)
def test_ngrams_that_are_no_range_are_named_with_their_path(within: str, key: str, value: list[int]) -> None:
    with pytest.raises(InvalidSetting) as refused:
        check_lexical(LexicalSettings(**{key: value}), within)  # type: ignore[arg-type]
    assert f"model.{within}{key}={value}" in str(refused.value)
    assert "[shortest, longest], as [1, 2]" in str(refused.value)


@pytest.mark.parametrize("within", ["", "lexical."])
def test_stop_words_of_another_language_are_named_with_their_path(within: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"^model\.{within}stop_words=.?german.?\b.*english or null"):
        check_lexical(LexicalSettings(stop_words="german"), within)


@pytest.mark.parametrize(
    "settings",
    [{}, {"word_ngrams": [1, 1]}, {"char_ngrams": None}, {"char_ngrams": [2, 7]}, {"stop_words": None}],
    ids=str,
)
def test_what_can_be_done_is_not_refused(settings: dict[str, Any]) -> None:
    check_lexical(LexicalSettings(**settings))
