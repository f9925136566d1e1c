"""The application under test, started again as soon as it is killed: forked, as importing takes a second.

python -m benchmarks.chaos.phoenix none --port 8000 --database tasks.db
"""

import os
import sys

from benchmarks.chaos.application import main
from benchmarks.chaos.file_mutants import FILE_MUTANTS


def rise() -> None:
    """Run it in one process after another, with a safeguard switched off if a mutant is named."""
    name = sys.argv.pop(1)
    if name in FILE_MUTANTS:
        FILE_MUTANTS[name].switch_off()
    while (child := os.fork()) != 0:
        os.waitpid(child, 0)
    main()


if __name__ == "__main__":
    rise()
