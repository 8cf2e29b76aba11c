"""The main job: `python train.py model=rule`; `python train.py --help` shows what can be set."""

import sys
from pathlib import Path

from ratchet.cli.train import main

if __name__ == "__main__":
    sys.exit(main(project=Path(__file__).parent))
