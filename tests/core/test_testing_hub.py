"""The hub of `aligntune.testing`, asked over HTTP. Its real clients are tested where they are."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from aligntune.testing import Hub, write_jsonl
from aligntune.testing.repositories import Repositories


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Stay(HTTPRedirectHandler):
    """Redirects are looked at, not followed."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask(url: str, method: str = "GET", token: str = "", body: Any = None, **headers: str) -> Answer:
    """One request; `body` is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = Request(url, data, {**headers, "Content-Type": "application/json"}, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with build_opener(Stay).open(request, timeout=30) as found:
            return Answer(found.status, dict(found.headers), found.read())
    except HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    rows = tmp_path / "datasets" / "openai" / "gsm8k"
    write_jsonl(rows / "main" / "train.jsonl", [{"question": "1+1?", "answer": "2"}])
    (rows / "README.md").write_text("# Rows\n")
    write_jsonl(rows.with_name("gsm8k@old") / "train.jsonl", [])
    for name in ("gated", "small"):
        folder = tmp_path / "models" / "ada" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("0123456789")
    tokens = {"hf_ada": "ada", "hf_bob": "bob"}
    moved = {"gsm8k": "openai/gsm8k"}
    with Hub(tmp_path, tokens, gated={"ada/gated": {"ada"}}, moved=moved) as hub:
        yield hub


def test_a_file_comes_whole_or_in_part_with_its_hash_and_the_commit(hub: Hub) -> None:
    url = f"{hub.url}/ada/small/resolve/main/config.json"
    whole, head = ask(url), ask(url, "HEAD")
    blob = hashlib.sha1(b"blob 10\x000123456789").hexdigest()
    assert (whole.status, whole.body, head.body) == (200, b"0123456789", b"")
    assert whole.headers["ETag"] == head.headers["ETag"] == f'"{blob}"'
    assert head.headers["Content-Length"] == "10"
    assert whole.headers["X-Repo-Commit"] == ask(f"{hub.url}/api/models/ada/small").json()["sha"]


@pytest.mark.parametrize(
    ("span", "body"), [("2-4", b"234"), ("7-", b"789"), ("-2", b"89"), ("8-99", b"89")]
)
def test_a_range_is_part_of_the_file(hub: Hub, span: str, body: bytes) -> None:
    found = ask(f"{hub.url}/ada/small/resolve/main/config.json", Range=f"bytes={span}")
    assert (found.status, found.body) == (206, body)
    assert found.headers["Content-Range"].endswith("/10")


def test_a_range_behind_the_end_is_refused(hub: Hub) -> None:
    assert ask(f"{hub.url}/ada/small/resolve/main/config.json", Range="bytes=10-").status == 416


def test_a_revision_is_a_branch_or_a_commit(hub: Hub) -> None:
    old = ask(f"{hub.url}/api/datasets/openai/gsm8k/revision/old").json()
    main = ask(f"{hub.url}/api/datasets/openai/gsm8k").json()
    assert old["siblings"] == [{"rfilename": "train.jsonl"}]
    assert old["sha"] != main["sha"]
    for revision in ("old", old["sha"]):
        path = f"datasets/openai/gsm8k/resolve/{revision}/train.jsonl"
        assert ask(f"{hub.url}/{path}").body == b""


def test_revisions_are_listed(hub: Hub) -> None:
    found = ask(f"{hub.url}/api/datasets/openai/gsm8k/refs").json()["branches"]
    assert [branch["name"] for branch in found] == ["main", "old"]
    assert found[0]["targetCommit"] == ask(f"{hub.url}/api/datasets/openai/gsm8k").json()["sha"]


def test_listings_show_files_and_folders(hub: Hub) -> None:
    tree = f"{hub.url}/api/datasets/openai/gsm8k/tree/main"
    assert [(e["type"], e["path"]) for e in ask(tree).json()] == [
        ("file", "README.md"),
        ("directory", "main"),
    ]
    deep = ask(f"{tree}?recursive=true&expand=false").json()
    assert [entry["path"] for entry in deep] == ["README.md", "main", "main/train.jsonl"]
    assert [e["path"] for e in ask(f"{tree}/main").json()] == ["main/train.jsonl"]
    wanted = urlencode({"paths": ["README.md", "none"]}, doseq=True).encode()
    info = Request(tree.replace("/tree/", "/paths-info/"), wanted)
    with build_opener().open(info, timeout=30) as found:
        assert [entry["path"] for entry in json.load(found)] == ["README.md"]


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("api/models/ada/none", "", 401, "RepoNotFound"),
        ("api/models/ada/none", "hf_ada", 404, "RepoNotFound"),
        ("api/models/ada/small/revision/none", "", 404, "RevisionNotFound"),
        ("ada/small/resolve/main/none", "", 404, "EntryNotFound"),
        ("ada/small/resolve/main/..%2Fgated%2Fconfig.json", "", 404, "EntryNotFound"),
        ("api/models/ada/small/tree/main/none", "", 404, "EntryNotFound"),
        ("ada/gated/resolve/main/config.json", "", 401, "GatedRepo"),
        ("ada/gated/resolve/main/config.json", "hf_bob", 403, "GatedRepo"),
        ("ada/gated/resolve/main/config.json", "hf_ada", 200, None),
        ("api/models/ada/gated", "", 200, None),
        ("api/models/ada/small", "hf_none", 401, None),
        ("api/whoami-v2", "", 401, None),
        ("api/whoami-v2", "hf_ada", 200, None),
        ("elsewhere", "", 404, None),
    ],
)
def test_refusals_are_those_of_the_hub(
    hub: Hub, path: str, token: str, status: int, code: str | None
) -> None:
    found = ask(f"{hub.url}/{path}", token=token)
    assert (found.status, found.headers.get("X-Error-Code")) == (status, code)


def test_a_former_name_redirects(hub: Hub) -> None:
    for path in ("api/datasets/{}", "datasets/{}/resolve/main/README.md"):
        found = ask(f"{hub.url}/{path.format('gsm8k')}")
        assert found.status == 307
        assert found.headers["Location"] == f"/{path.format('openai/gsm8k')}"


def test_an_upload_makes_a_repository_with_files_of_both_kinds(hub: Hub, tmp_path: Path) -> None:
    made = ask(f"{hub.url}/api/repos/create", "POST", "hf_ada", {"name": "new"})
    again = ask(f"{hub.url}/api/repos/create", "POST", "hf_ada", {"name": "new"})
    assert (made.status, again.status) == (200, 409)
    assert made.json()["url"] == f"{hub.url}/ada/new"

    files = {"files": [{"path": "a/b.txt"}, {"path": "model.safetensors"}]}
    modes = ask(f"{hub.url}/api/models/ada/new/preupload/main", "POST", "hf_ada", files).json()
    assert [file["uploadMode"] for file in modes["files"]] == ["regular", "lfs"]

    oid = hashlib.sha256(b"weights").hexdigest()
    asked = {"objects": [{"oid": oid, "size": 7}]}
    batch = ask(f"{hub.url}/ada/new.git/info/lfs/objects/batch", "POST", "hf_ada", asked).json()
    assert ask(batch["objects"][0]["actions"]["upload"]["href"], "PUT", body=b"weights").body == b""

    text = base64.b64encode(b"text").decode()
    steps = [
        {"key": "header", "value": {"summary": "first"}},
        {"key": "file", "value": {"path": "a/b.txt", "content": text, "encoding": "base64"}},
        {"key": "lfsFile", "value": {"path": "model.safetensors", "oid": oid, "size": 7}},
    ]
    lines = "\n".join(map(json.dumps, steps)).encode()
    done = ask(f"{hub.url}/api/models/ada/new/commit/main", "POST", "hf_ada", lines).json()
    folder = tmp_path / "models" / "ada" / "new"
    assert (folder / "a" / "b.txt").read_bytes() == b"text"
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert ask(f"{hub.url}/api/models/ada/new").json()["sha"] == done["commitOid"]

    drop = json.dumps({"key": "deletedFolder", "value": {"path": "a"}}).encode()
    ask(f"{hub.url}/api/models/ada/new/commit/main", "POST", "hf_ada", drop)
    assert not (folder / "a").exists()
    gone = ask(f"{hub.url}/api/repos/delete", "DELETE", "hf_ada", {"name": "new"})
    assert gone.status == 200
    assert not folder.exists()


@pytest.mark.parametrize(("token", "status"), [("", 401), ("hf_none", 401), ("hf_bob", 403)])
def test_only_the_owner_may_upload(hub: Hub, token: str, status: int) -> None:
    wanted = {"name": "new", "organization": "ada"}
    assert ask(f"{hub.url}/api/repos/create", "POST", token, wanted).status == status
    assert ask(f"{hub.url}/api/models/ada/small/commit/main", "POST", token, b"").status == status


def test_a_private_repository_is_its_owners(hub: Hub) -> None:
    wanted = {"name": "mine", "type": "dataset", "visibility": "private"}
    ask(f"{hub.url}/api/repos/create", "POST", "hf_ada", wanted)
    url = f"{hub.url}/api/datasets/ada/mine"
    assert [ask(url, token=token).status for token in ("hf_ada", "hf_bob", "")] == [200, 404, 401]


def test_what_was_asked_for_is_kept(hub: Hub) -> None:
    ask(f"{hub.url}/api/models/ada/small")
    assert hub.requests == ["GET /api/models/ada/small"]


def test_a_commit_names_content_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / "models" / "ada" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text("same")
    repositories = Repositories(tmp_path)
    one, other = (repositories.revision("models", f"ada/{name}") for name in "ab")
    assert one.commit == other.commit
    (other.folder / "file").write_text("different")
    assert one.commit != other.commit
