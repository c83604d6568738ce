"""A small server that answers as an OpenAI-compatible judge does, or fails as servers do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["Fault", "JudgeServer"]


@dataclass(frozen=True)
class Fault:
    """One answer that is not as it should be.

    `body`: sent as it is; None sends the proper answer. `cut`: bytes of the body that are promised
    and not sent. `stall`: seconds before anything is sent; `drip`: seconds between bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int = 0
    stall: float = 0.0
    drip: float = 0.0


class JudgeServer:
    """Answers on a port of this machine from a thread of its own, until it is closed.

    `judge`: gives a completion its score; a text instead is the whole reply, in which NONCE stands
    for the number that the question carries. `faults`: what the first requests get instead; None
    among them is a proper answer. `requests`: what was asked so far: `path`, `headers`, `body`.
    `at_once`: the most requests that were open at the same time.
    """

    def __init__(
        self, judge: Callable[[str], float | str], faults: Iterable[Fault | None] = ()
    ) -> None:
        self.judge = judge
        self.faults = list(faults)
        self.requests: list[dict[str, Any]] = []
        self.at_once = 0
        self._open = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    @property
    def base_url(self) -> str:
        """Where it is, as `llm_judge` wants it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        """Stop answering."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until it is closed."""
        self._closing.wait(seconds)

    def begin(self, request: dict[str, Any]) -> Fault | None:
        """Note a request, and say what is to go wrong with it."""
        with self._lock:
            self.requests.append(request)
            self._open += 1
            self.at_once = max(self.at_once, self._open)
            return self.faults.pop(0) if self.faults else None

    def end(self) -> None:
        """Note that a request was answered."""
        with self._lock:
            self._open -= 1

    def answer(self, body: Mapping[str, Any]) -> bytes:
        """The proper answer to a request."""
        said = "\n".join(message["content"] for message in body["messages"])
        nonce = re.findall(r"tags whose names end in (\w+)", said)[0]
        tag = f"completion-{nonce}"
        completion = said.partition(f"<{tag}>\n")[2].rpartition(f"\n</{tag}>")[0]
        score = self.judge(completion)
        if isinstance(score, str):
            text = score.replace("NONCE", nonce)
        elif "response_format" in body:
            text = json.dumps({"reason": "It is judged.", "score": score})
        else:
            text = f"It is judged.\n<score-{nonce}>{score}</score-{nonce}>"
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        found = {"object": "chat.completion", "choices": [choice], "usage": usage}
        return json.dumps(found).encode()


def _handler(server: JudgeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = server.begin({"path": self.path, "headers": dict(self.headers), "body": body})
            try:
                self._send(fault or Fault(), body)
            except OSError:  # the client has gone
                self.close_connection = True
            finally:
                server.end()

        def _send(self, fault: Fault, body: Mapping[str, Any]) -> None:
            server.wait(fault.stall)
            content = server.answer(body) if fault.body is None else fault.body
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + fault.cut))
            self.end_headers()
            if fault.drip:
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    server.wait(fault.drip)
            else:
                self.wfile.write(content)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
