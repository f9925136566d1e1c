"""Run a program of ours with one of its safeguards switched off, to see that the checker notices.

python -m benchmarks.chaos.mutant no-replay -- benchmarks.chaos.application --port 0
"""

import runpy
import sys

from benchmarks.chaos.mutants import MUTANTS


def main() -> None:
    """Switch it off, then become the program."""
    name, separator, *program = sys.argv[1:] or ("", "")
    if name not in MUTANTS or separator != "--" or not program:
        raise SystemExit(
            f"Usage: python -m benchmarks.chaos.mutant NAME -- MODULE …, where NAME is one of "
            f"{', '.join(MUTANTS)}."
        )
    MUTANTS[name].switch_off()
    sys.argv = program
    runpy.run_module(program[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
