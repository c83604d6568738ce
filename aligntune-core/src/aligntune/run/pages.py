"""What every self-contained page needs: scripts by hash, and data that cannot end its element."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

__all__ = ["embedded", "script_hash", "unified"]


def unified(script: str) -> str:
    """With the line ends that a browser sees, since a hash is taken of what it sees."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def script_hash(script: str) -> str:
    """What names a script in a content security policy: its SHA-256, in base 64."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def embedded(value: object) -> Any:
    """JSON for a `<script type="application/json">`, in which nothing can end the element."""
    import markupsafe

    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    # A lone surrogate, which UTF-8 cannot hold, is escaped; the browser reads the same text.
    encoded = encoded.encode("utf-8", "backslashreplace").decode("utf-8")
    return markupsafe.Markup(encoded)  # noqa: S704  every character that HTML knows is escaped
