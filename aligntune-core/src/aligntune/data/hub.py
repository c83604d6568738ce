"""Names of data sets on the hub; and what is said when it does not give one, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aligntune.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from aligntune.config import DatasetConfig

__all__ = ["current_name", "hub_error", "subset_error"]

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def current_name(name: str) -> str:
    """The name under which the hub has a data set today.

    The oldest ones were without an owner, such as `gsm8k`. The hub redirects from those names, and
    `datasets` does not follow everywhere.
    """
    if "/" in name:
        return name
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(name).id)


def hub_error(config: DatasetConfig, error: BaseException) -> DataError:
    """Return the error to raise for what the clients of the hub, or the readers, raised.

    Lists what is there: the subsets where the subset is the problem, and likewise the revisions.
    """
    cause = error.__cause__ or error
    text = " ".join(str(cause).split()) or type(cause).__name__
    reason = _refused(config, list(_chain(error)), text)
    if reason is not None:
        return DataError(
            f"{config.name}: it is no local file, and the hub did not give it: {reason}"
        )
    return subset_error(config, text) or DataError(f"{config.name}: cannot be read: {text}")


def subset_error(config: DatasetConfig, text: str) -> DataError | None:
    """The error for a subset that is not there, or not chosen; None if `text` is not about that."""
    if "Config name is missing" in text:
        among = _among(_subsets(config))
        return DataError(f"{config.name}: it has several subsets: choose one with `subset:`{among}")
    if "BuilderConfig" not in text or config.subset is None:
        return None
    subsets = _subsets(config)
    hint = did_you_mean(config.subset, subsets)
    return DataError(
        f"{config.name}: there is no subset {config.subset!r}{_among(subsets)}"
        f"{'; ' + hint if hint else ''}"
    )


def _refused(  # noqa: PLR0911 (one line for each reason)
    config: DatasetConfig, chain: list[BaseException], text: str
) -> str | None:
    """What is said where the hub refuses, or cannot be reached; the clients wrap their errors."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def is_a(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    if is_a(GatedRepoError) or "gated dataset" in text:
        return f"it is gated: ask for access on its page, and {_LOG_IN}"
    if is_a(RevisionNotFoundError) or text.startswith("Revision "):
        return f"there is no revision {config.revision!r}{_among(_revisions(config))}"
    if is_a(OfflineModeIsEnabled) or "offline" in text.lower():
        return "HF_HUB_OFFLINE is set, and it is not in the cache; unset it, or download it before"
    if is_a(HFValidationError):
        return f"this is no name of a data set, and no file: {text}"
    if is_a(RepositoryNotFoundError, DatasetNotFoundError):
        return f"there is no data set of this name, or it is private; if it is yours, {_LOG_IN}"
    if is_a(ConnectionError, TimeoutError) or any("Connect" in type(e).__name__ for e in chain):
        return "the hub cannot be reached; check the network and HF_ENDPOINT"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _among(names: list[str]) -> str:
    return f"; there are: {', '.join(names)}" if names else ""


def _subsets(config: DatasetConfig) -> list[str]:
    import datasets

    return list(datasets.get_dataset_config_names(config.name, revision=config.revision))


def _revisions(config: DatasetConfig) -> list[str]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        refs = HfApi().list_repo_refs(config.name, repo_type="dataset")
    except (HfHubHTTPError, OSError):  # the message is about the revision; this only adds to it
        return []
    return [ref.name for ref in (*refs.branches, *refs.tags)]
