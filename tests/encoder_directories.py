"""Write directories that look like an encoder, without torch."""

import json
from pathlib import Path


def write_encoder(directory: Path, weights: bytes = b"\0\0\0\0") -> Path:
    """Write the files that an encoder consists of, with four bytes as its weights; return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text('{"model_type": "bert"}')
    (directory / "tokenizer.json").write_text("{}")
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (directory / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weights)
    return directory
