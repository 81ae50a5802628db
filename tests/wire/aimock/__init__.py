"""aimock: a model provider that answers from a script, as a process of its own.

    with serve(fixtures_for(answers)) as server:
        Settings(anthropic_base_url=server.url, anthropic_api_key="any", …)

By hand, the turns of a recorded session: `python -m tests.wire.aimock --answers SESSION.json`.
"""

from tests.wire.aimock.script import fixtures_for
from tests.wire.aimock.server import AimockError, Server, install, serve

__all__ = ["AimockError", "Server", "fixtures_for", "install", "serve"]
