"""``python -m bench``: see ``bench.run``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the real servers

from bench.run import main

if __name__ == "__main__":
    main()
