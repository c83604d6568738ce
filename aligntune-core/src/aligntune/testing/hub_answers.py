"""What a hub answers: the part of its interface that its clients use for reading and uploading."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from aligntune.testing.repositories import File, MissingError, Revision

if TYPE_CHECKING:
    from aligntune.testing.hub import Hub

__all__ = ["Handler"]

_KINDS = {"models": "model", "datasets": "dataset"}
# An action cannot be taken for the second part of a name such as `gsm8k`, which has no owner.
_ACTION = "(?:revision|tree|paths-info|refs|preupload|commit)"
_API = re.compile(
    rf"/api/(?P<kind>models|datasets)/(?P<name>[^/]+(?:/(?!{_ACTION}(?:/|$))[^/]+)?)"
    r"(?:/(?P<action>[^/]+)(?:/(?P<revision>[^/]+)(?:/(?P<path>.*))?)?)?"
)
_RESOLVE = re.compile(
    r"/(?:(?P<kind>datasets)/)?(?P<name>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)
_LARGE = re.compile(r"/(?:datasets/)?[^/]+/[^/]+\.git/info/lfs/objects/batch")
_STORED = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})")


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


def _upload_mode(path: str) -> dict[str, Any]:
    large = Path(path).suffix in {".safetensors", ".bin", ".parquet", ".arrow"}
    return {"uploadMode": "lfs" if large else "regular", "shouldIgnore": False}


class Handler(BaseHTTPRequestHandler):
    """One connection. The answers have the fields that the clients read."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing; `Hub.requests` keeps what was asked for."""

    def _answer(self, answer: Callable[[str], None]) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"{self.command} {self.path}")
        try:
            self.user = self._user()
            answer(urlsplit(self.path).path)
        except MissingError as error:
            # To somebody without a token, what is missing and what is private look the same.
            hidden = error.code == "RepoNotFound" and self.user is None
            self._error(401 if hidden else 404, str(error), error.code)
        except RefusedError as error:
            self._error(error.status, str(error), error.code)

    def _user(self) -> str | None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        self.user = None
        if kind != "Bearer":
            return None
        if token not in self.hub.tokens:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return self.hub.tokens[token]

    def _needs_user(self, owner: str | None = None) -> str:
        if self.user is None:
            raise RefusedError(401, "Invalid username or password.")
        if owner is not None and owner != self.user:
            raise RefusedError(403, f"You don't have the rights to write to {owner!r}")
        return self.user

    # Reading.

    def _get(self, path: str) -> None:
        if path == "/api/whoami-v2":
            name = self._needs_user()
            token = {"accessToken": {"displayName": "test", "role": "write"}}
            self._json({"type": "user", "name": name, "fullname": name, "orgs": [], "auth": token})
        elif (asked := _RESOLVE.fullmatch(path)) is not None:
            kind = asked["kind"] or "models"
            revision = self._revision(kind, asked["name"], asked["revision"], whole=True)
            if revision is not None:
                self._file(revision.file(unquote(asked["path"])), revision.commit)
        elif (asked := _API.fullmatch(path)) is not None:
            revision = self._revision(asked["kind"], asked["name"], asked["revision"] or "main")
            if revision is not None:
                self._about(asked, revision)
        else:
            raise RefusedError(404, "Sorry, we can't find the page you are looking for.")

    def _revision(
        self, kind: str, name: str, revision: str, *, whole: bool = False
    ) -> Revision | None:
        """The revision that is asked for, or None where the answer was a redirect."""
        if kind == "datasets" and name in self.hub.moved:
            self._redirect(self.path.replace(name, self.hub.moved[name], 1))
            return None
        found = self.hub.repositories.revision(kind, name, unquote(revision))
        if name in self.hub.private and name.partition("/")[0] != self.user:
            raise MissingError("RepoNotFound", "Repository not found")
        if whole and not self.hub.may_read(name, self.user):
            why = "You must have access to it and be authenticated to access it."
            message = f"Access to {_KINDS[kind]} {name} is restricted. {why}"
            raise RefusedError(401 if self.user is None else 403, message, "GatedRepo")
        return found

    def _about(self, asked: re.Match[str], revision: Revision) -> None:
        if asked["action"] in (None, "revision"):
            self._json(self._info(asked["kind"], asked["name"], revision))
        elif asked["action"] == "tree":
            recursive = parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower()
            below = unquote(asked["path"] or "")
            self._json(revision.entries(below, recursive=recursive in ("true", "1")))
        elif asked["action"] == "refs":
            found = self.hub.repositories.revisions(asked["kind"], asked["name"])
            branches = [
                {"name": branch, "ref": f"refs/heads/{branch}", "targetCommit": one.commit}
                for branch, one in found.items()
            ]
            self._json({"branches": branches, "tags": [], "converts": []})
        else:
            raise RefusedError(404, f"{asked['action']} is not served here")

    def _info(self, kind: str, name: str, revision: Revision) -> dict[str, Any]:
        return {
            "_id": "0",
            "id": name,
            "author": name.partition("/")[0],
            "sha": revision.commit,
            "private": name in self.hub.private,
            "gated": "manual" if name in self.hub.gated else False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "siblings": [{"rfilename": file.path} for file in revision.files()],
        } | ({"modelId": name} if kind == "models" else {})

    def _file(self, file: File, commit: str) -> None:
        headers = {
            "ETag": f'"{file.blob}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        content, status = file.place.read_bytes(), 200
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if span is not None and (span[1] or span[2]):
            first = int(span[1]) if span[1] else max(0, len(content) - int(span[2]))
            last = min(int(span[2]), len(content) - 1) if span[1] and span[2] else len(content) - 1
            if first > last:
                headers["Content-Range"] = f"bytes */{len(content)}"
                self._send(416, b"", headers)
                return
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        self._send(status, content, headers)

    # Writing.

    def _post(self, path: str) -> None:
        asked = _API.fullmatch(path)
        if path == "/api/repos/create":
            self._create(json.loads(self.body))
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif asked is not None and asked["action"] == "paths-info":
            revision = self._revision(asked["kind"], asked["name"], asked["revision"])
            if revision is not None:
                self._json(revision.entries_at(self._paths()))
        elif asked is not None and asked["action"] in ("preupload", "commit"):
            self._needs_user(asked["name"].partition("/")[0])
            self._upload(asked)
        elif _LARGE.fullmatch(path) is not None:
            self._needs_user()
            self._json({"transfer": "basic", "objects": [*map(self._object, self._objects())]})
        else:
            raise RefusedError(404, f"POST {path} is not served here")

    def _paths(self) -> list[str]:
        if "json" in self.headers.get("Content-Type", ""):
            return list(json.loads(self.body)["paths"])
        return parse_qs(self.body.decode()).get("paths", [])

    def _repository(self, given: Mapping[str, Any]) -> tuple[str, str]:
        owner = given.get("organization") or self._needs_user()
        self._needs_user(owner)
        return f"{given.get('type') or 'model'}s", f"{owner}/{given['name']}"

    def _create(self, given: Mapping[str, Any]) -> None:
        kind, name = self._repository(given)
        prefix = "" if kind == "models" else f"{kind}/"
        address = {"url": f"{self.hub.url}/{prefix}{name}", "name": name}
        with self.hub.writing:
            if not self.hub.repositories.create(kind, name):
                message = f"You already created this {_KINDS[kind]} repo: {name}"
                self._json(address | {"error": message}, status=409)
                return
            if given.get("private") or given.get("visibility") == "private":
                self.hub.private.add(name)
        self._json(address)

    def _upload(self, asked: re.Match[str]) -> None:
        kind, name, revision = asked["kind"], asked["name"], unquote(asked["revision"])
        if asked["action"] == "preupload":
            self.hub.repositories.revision(kind, name, revision)
            given = json.loads(self.body)["files"]
            self._json({"files": [{"path": f["path"], **_upload_mode(f["path"])} for f in given]})
            return
        with self.hub.writing:
            commit = self.hub.repositories.apply(kind, name, revision, self.body)
        address = f"{self.hub.url}/{'' if kind == 'models' else f'{kind}/'}{name}/commit/{commit}"
        self._json({"success": True, "commitUrl": address, "commitOid": commit, "hookOutput": ""})

    def _objects(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["objects"])

    def _object(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Where a large file goes; clients put those there first, and commit their hashes."""
        upload = {"href": f"{self.hub.url}/lfs/{asked['oid']}"}
        return {"oid": asked["oid"], "size": asked["size"], "actions": {"upload": upload}}

    def _put(self, path: str) -> None:
        asked = _STORED.fullmatch(path)
        if asked is None:
            raise RefusedError(404, f"PUT {path} is not served here")
        self.hub.repositories.store(asked["oid"], self.body)
        self._send(200, b"", {})

    def _delete(self, path: str) -> None:
        if path != "/api/repos/delete":
            raise RefusedError(404, f"DELETE {path} is not served here")
        kind, name = self._repository(json.loads(self.body))
        self.hub.repositories.revision(kind, name)
        with self.hub.writing:
            self.hub.repositories.delete(kind, name)
        self._json({})

    # Answers.

    def _redirect(self, path: str) -> None:
        self._send(307, b"", {"Location": path})

    def _json(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self._send(status, content, {"Content-Type": "application/json; charset=utf-8"})

    def _error(self, status: int, message: str, code: str) -> None:
        headers = {"X-Error-Message": message, "Content-Type": "application/json; charset=utf-8"}
        if code:
            headers["X-Error-Code"] = code
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
