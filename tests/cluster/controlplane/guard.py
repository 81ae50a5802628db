"""Ends a control plane when the process that started it is gone, however it went.

Run as `python -m tests.cluster.controlplane.guard HOME` with a pipe from that process as its
standard input: the pipe ends with the process, also when that is killed.
"""

import sys
from pathlib import Path

from tests.cluster.controlplane.processes import stop_cluster

if __name__ == "__main__":
    sys.stdin.read()
    stop_cluster(Path(sys.argv[1]))
