"""Shows a preview on a terminal; what is trained stands in brackets, with or without colour."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from aligntune.preview.preview import Preview, PreviewRow, Sequence

__all__ = ["show"]

OPEN, CLOSE, BORDER = "⟦", "⟧", "|"
_MOST = 1200
_WIDTH = 40


def show(preview: Preview, out: Console) -> None:
    """Print a preview."""

    def say(text: str = "", style: str = "") -> None:
        out.print(text, style=style, markup=False, highlight=False, soft_wrap=False)

    say(f"{preview.algorithm} on {preview.backend}, tokens of {preview.model}", "bold")
    for line in (*preview.counts, *preview.notes):
        say(f"  {line}")
    for row in preview.rows:
        say()
        _row(row, say, out)
    say()
    _lengths(preview, say)
    for warning in preview.warnings:
        say(f"warning: {warning}", "yellow")


def _row(row: PreviewRow, say: Any, out: Console) -> None:
    say(f"row {row.index} of {row.dataset}", "bold")
    say("  as read")
    _columns(row.read, say)
    if row.normalised is not None:
        say("  as the algorithm takes it")
        _columns(row.normalised, say)
    if row.left_out:
        say(f"  left out: {row.left_out}", "yellow")
    for sequence in row.sequences:
        say(f"  {_headline(sequence)}")
        out.print(tokens(sequence), highlight=False)
    for warning in row.warnings:
        say(f"  warning: {warning}", "yellow")


def _columns(values: dict[str, Any], say: Any) -> None:
    for name, value in values.items():
        written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = written if len(written) <= _MOST else f"{written[:_MOST]}..."
        say(f"    {name}: {shown}")


def _headline(sequence: Sequence) -> str:
    said = f"{sequence.role}: {len(sequence.tokens)} tokens"
    if sequence.role == "prompt":
        said += ", completed by the model, which is trained on what it writes"
    else:
        said += f", {sequence.trained} trained on {OPEN}in brackets{CLOSE}"
    if sequence.cut:
        said += f", {sequence.cut} more cut off"
    if sequence.stop_trained is not None:
        said += f", stop token {'trained' if sequence.stop_trained else 'NOT trained'}"
    return said


def tokens(sequence: Sequence) -> Text:
    """The tokens, with a bar between them, and brackets around what is trained."""
    text = Text("    ")
    shown = 0
    for trained, span in sequence.spans():
        text.append(OPEN, "bold green") if trained else None
        for index, token in enumerate(span):
            if index:
                text.append(BORDER, "dim")
            text.append(visible(token.text), "green" if trained else "dim")
            shown += len(token.text)
            if shown > _MOST:
                rest = len(sequence.text) - shown
                return text.append(f" ... {rest} more characters") if rest else text
        text.append(CLOSE, "bold green") if trained else None
    return text


def visible(text: str) -> str:
    """White space and control characters made visible."""
    text = text.replace("\n", "⏎").replace("\t", "⇥")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _lengths(preview: Preview, say: Any) -> None:
    lengths = sorted(preview.lengths)
    if not lengths:
        return
    say(
        f"lengths of {len(lengths)} sequences: shortest {lengths[0]}, "
        f"median {lengths[len(lengths) // 2]}, longest {lengths[-1]}"
        + (f"; the most that is kept is {preview.limit}" if preview.limit else "")
    )
    bins = preview.bins()
    most = max(count for _, _, count in bins)
    for low, high, count in bins:
        bar = "█" * round(count / most * _WIDTH) or ("▏" if count else "")
        over = " too long" if preview.limit and low > preview.limit else ""
        say(f"  {low:>6} to {high:<6} {bar} {count}{over}")
