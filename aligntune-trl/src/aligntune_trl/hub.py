"""Uploads to the hub. What the hub refuses is an error of ours, which never holds the token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aligntune.errors import RunError

__all__ = ["push", "push_folder", "reserve"]


def reserve(repo_id: str, token: str | None) -> None:
    """Create the repository if it is not there, so that a run need not end to find it may not.

    Raises:
        RunError: if the hub refuses.
    """
    from huggingface_hub import create_repo

    with _refusals(repo_id):
        create_repo(repo_id, token=token, exist_ok=True)


def push(model: Any, tokenizer: Any, repo_id: str, *, token: str | None, private: bool) -> str:
    """Upload a model (or adapter) and its tokenizer; return the address.

    Raises:
        RunError: if the hub refuses.
    """
    with _refusals(repo_id):
        address = model.push_to_hub(repo_id, token=token, private=private)
        tokenizer.push_to_hub(repo_id, token=token, private=private)
    return str(address)


def push_folder(folder: str, repo_id: str, *, token: str | None, private: bool) -> str:
    """Upload what a folder holds; return the address.

    Raises:
        RunError: if the hub refuses.
    """
    from huggingface_hub import HfApi

    with _refusals(repo_id):
        api = HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, ignore_patterns="*.bin"))


@contextmanager
def _refusals(repo_id: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        said = f"{type(error).__name__}: {error}"
        raise RunError(f"pushing to {repo_id!r} failed: {said}") from error
