"""Serve the turns of a recorded session, until interrupted."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from dotai_nb.llm.scripted import answers_of
from dotai_nb.session.events import Recorded
from tests.wire.aimock import fixtures_for, serve


def main() -> None:
    """Print the URL once it answers."""
    parser = argparse.ArgumentParser(prog="python -m tests.wire.aimock", description=__doc__)
    parser.add_argument("--answers", type=Path, required=True, metavar="SESSION.json")
    parser.add_argument("--port", type=int, default=0, help="a free one by default")
    arguments = parser.parse_args()
    events = json.loads(arguments.answers.read_text())["events"]
    answers = answers_of(Recorded.model_validate(event) for event in events)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with serve(fixtures_for(answers), port=arguments.port) as server:
        print(f"{len(answers)} turns at {server.url}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopped", flush=True)


if __name__ == "__main__":
    main()
