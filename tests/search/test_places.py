from pathlib import Path

import pytest

from ratchet.errors import UserError
from ratchet.search.places import find_study, study_dir


def test_a_study_is_found_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    for name in ("sample-cnn-1", "sample-cnn-12", "sample-rule-3"):
        study_dir(tmp_path, name).mkdir(parents=True)
        (study_dir(tmp_path, name) / "study.json").write_text("{}")
    (tmp_path / ".studies" / "half").mkdir()
    assert find_study(tmp_path, "sample-rule") == study_dir(tmp_path, "sample-rule-3")
    assert find_study(tmp_path, "sample-cnn-1") == study_dir(tmp_path, "sample-cnn-1"), "a whole id is no beginning"
    with pytest.raises(UserError, match="several studies: sample-cnn-1, sample-cnn-12"):
        find_study(tmp_path, "sample-cnn")
    with pytest.raises(UserError, match="names no study: sample-cnn-1, sample-cnn-12, sample-rule-3"):
        find_study(tmp_path, "half")
    with pytest.raises(UserError, match="there is none"):
        find_study(tmp_path / "elsewhere", "sample")
