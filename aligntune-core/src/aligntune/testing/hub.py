"""A hub on this machine: serves a folder of repositories to the real clients of Hugging Face's.

`huggingface_hub`, `datasets` and `transformers` work against it as they do against the real one:
they list, download, stream and upload, by name, with subsets, splits, revisions and tokens. They
read where the hub is when they are imported, so what uses it is a process of its own:

    with Hub(folder, tokens={"hf_write": "ada"}) as hub:
        subprocess.run([sys.executable, "script.py"], env=os.environ | hub.environment(cache))

`folder` holds `models/OWNER/NAME` and `datasets/OWNER/NAME`, see `aligntune.testing.repositories`.
What is uploaded lands there. Nothing is encrypted and nothing is large: it is for tests.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Self

from aligntune.testing.hub_answers import Handler
from aligntune.testing.repositories import Repositories

__all__ = ["Hub"]


@dataclass
class Hub:
    """A hub that serves while its `with` block lasts.

    Args:
        folder: the repositories.
        tokens: token -> name of the user it belongs to; any other token is refused.
        gated: repository -> names of the users who may read it.
        moved: former name of a repository -> its name; the hub redirects.
    """

    folder: Path
    tokens: Mapping[str, str] = field(default_factory=dict)
    gated: Mapping[str, frozenset[str] | set[str]] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """What was asked for, in order: `"GET /api/models/..."`."""

    def __post_init__(self) -> None:
        self.repositories = Repositories(Path(self.folder))
        self.private: set[str] = set()
        self.writing = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        handler = type("HubHandler", (Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Address of the hub."""
        assert self._server is not None, "the hub serves inside its `with` block only"
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, cache: str | Path) -> dict[str, str]:
        """Variables with which the clients of another process use this hub alone.

        Args:
            cache: folder for what they download.
        """
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(cache),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def may_read(self, name: str, user: str | None) -> bool:
        """Whether a user (None: somebody without a token) may read the files of a repository."""
        return name not in self.gated or user in self.gated[name]
