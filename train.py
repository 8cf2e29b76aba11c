"""The main job: `python train.py model=rule data=sample`; `python train.py --help` shows what can be set."""

import sys

from ratchet.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
