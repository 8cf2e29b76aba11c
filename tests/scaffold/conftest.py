import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.config import Config, compose
from ratchet.data.prepared import Prepared, prepare
from ratchet.scaffold.inspecting import Inspection

ReadBack = Callable[[Inspection], tuple[Config, Prepared]]


@pytest.fixture
def read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadBack:
    """Return a function that puts the files of an inspection where `init` does, and prepares the data set there."""
    root = tmp_path / "a project"

    def read(inspection: Inspection) -> tuple[Config, Prepared]:
        for kept, source in inspection.copies.items():
            (root / kept).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / kept)
        (root / "conf" / "data").mkdir(parents=True, exist_ok=True)
        (root / "conf" / "data" / f"{inspection.name}.yaml").write_text(inspection.yaml, encoding="utf-8")
        monkeypatch.chdir(root)
        config = compose([f"data={inspection.name}"], root / "conf")
        return config, prepare(config.data)

    return read
