"""Show a lesson: play its scenario with `/broken`, then with `/fixed`, and print what happens, and when.

Each lesson ends with a call of this. `--wire` prints the bytes too. The code is in examples/lessons.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # so that a clone needs no installation

from examples.lessons.terminal import show

__all__ = ["show"]
