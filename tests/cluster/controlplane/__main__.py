"""`python -m tests.cluster.controlplane build` builds the programs; `path` says where they are."""

import argparse
import sys

from tests.cluster.controlplane.binaries import build_folder, find_built
from tests.cluster.controlplane.build import BuildError, build


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.controlplane")
    parser.add_argument(
        "command",
        choices=["build", "path"],
        help="build: the programs, unless they are built; path: the folder they are in",
    )
    if parser.parse_args().command == "path":
        print(build_folder())
        return 0 if find_built() else 1
    try:
        print(f"The control plane's programs: {build().kubectl.parent}")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
