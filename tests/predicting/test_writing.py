import gzip
from pathlib import Path

from ratchet.predicting.writing import join_parts, packed


def test_packed_pieces_make_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    for name, text in (("1", "é\n"), ("2", "b\n")):
        (tmp_path / name).write_bytes(packed(text, path))
    join_parts(packed("head\n", path), [tmp_path / "1", tmp_path / "2"], path)
    assert gzip.decompress(path.read_bytes()).decode() == "head\né\nb\n"


def test_equal_text_gives_equal_bytes() -> None:
    """No time of writing is in them."""
    assert packed("a", Path("a.gz"))[4:8] == b"\0\0\0\0"


def test_half_a_surrogate_pair_is_its_escape() -> None:
    assert packed('"\ud83d"', Path("a.jsonl")) == b'"\\ud83d"'
