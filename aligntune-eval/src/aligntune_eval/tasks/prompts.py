"""From the columns of a row to what a model is asked: templates, examples, chat messages.

A question is one row's prompt without anything before it. Its examples are questions of other rows
with their answers; in a chat they are turns, elsewhere text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.evaluation.templates import Template
from aligntune.scoring.conversation import completion_text, is_conversation
from aligntune.scoring.references import REFERENCE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import EvalTask
    from aligntune_eval.tasks.reading import Row

__all__ = ["Prompter"]

# Columns that answer a prompt: in a chat, they are what the assistant says.
_ANSWERS = ("completion", "chosen", "rejected")

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Prompter:
    """Makes the columns of a task's rows: one for each template of the task."""

    task: EvalTask
    templates: Mapping[str, Template]
    answer: Template | None
    system: Template | None

    @classmethod
    def of(cls, task: EvalTask) -> Prompter:
        """The one of a task."""
        own = {"prompt": task.prompt, "reference": task.reference, "choices": task.choices}
        given = {**task.columns, **{name: text for name, text in own.items() if text is not None}}
        templates = {name: Template(text, f"{name!r}") for name, text in given.items()}
        answer, system = task.fewshot_answer, task.system_prompt
        return cls(
            task,
            templates,
            None if answer is None else Template(answer, "'fewshot_answer'"),
            None if system is None else Template(system, "'system_prompt'"),
        )

    def columns(self, row: Row, index: int) -> Row:
        """The row with the columns that the templates make.

        Raises:
            EvaluationError: if a template reads a column that is not there, or makes something that
                is no prompt, or no list of choices.
        """
        made = {name: template.render(row, index) for name, template in self.templates.items()}
        if "prompt" in made:
            made["prompt"] = _prompt(made["prompt"], index)
        if "choices" in made and not isinstance(made["choices"], (list, tuple)):
            raise EvaluationError(
                f"'choices' of row {index} is {made['choices']!r:.80}, and no list; write the "
                "template as one expression that gives a list, such as {{ [first, second] }}"
            )
        if isinstance(made.get("reference"), (int, float)):
            made["reference"] = str(made["reference"])
        return {**row, **made}

    def answer_of(self, row: Row, index: int) -> str:
        """What an example answers, of a row with its columns.

        Raises:
            EvaluationError: if there is neither a template, nor a reference, nor a completion.
        """
        if self.answer is not None:
            return str(self.answer.render(row, index))
        for name in (*REFERENCE_COLUMNS, "completion"):
            value = row.get(name)
            if value is None or value == []:
                continue
            if name != "completion" and isinstance(value, (list, tuple)):
                value = value[0]
            choices = row.get("choices")
            if isinstance(value, int) and isinstance(choices, (list, tuple)):
                if not 0 <= value < len(choices):
                    raise EvaluationError(
                        f"row {index} is an example for others, and its {name} is {value}, which "
                        f"names none of its {len(choices)} choices (from 0 on)"
                    )
                return str(choices[value])
            return completion_text(value) if is_conversation(value) else str(value)
        raise EvaluationError(
            f"row {index} is an example for others and has no answer: set `reference`, or "
            "`fewshot_answer`"
        )

    def ask(self, row: Row, index: int, examples: Sequence[tuple[Any, str]]) -> Row:
        """The row with all that stands before its question, and as chat messages if it is a chat.

        Args:
            row: with its columns.
            index: its number, for messages.
            examples: questions with their answers.

        Raises:
            EvaluationError: if both the task and the row bring a system message, or an example of
                a text is a chat.
        """
        question = row["prompt"]
        system = None if self.system is None else str(self.system.render(row, index))
        if self.task.chat or is_conversation(question):
            return self._chat(row, system, examples)
        if any(not isinstance(asked, str) for asked, _ in examples):
            raise EvaluationError(
                f"row {index} asks in text, and one of its examples in chat messages; `chat: true` "
                "makes all of them chats"
            )
        parts = [] if system is None else [system]
        parts += [f"{asked}{self.task.target_delimiter}{answer}" for asked, answer in examples]
        return {**row, "prompt": self.task.fewshot_delimiter.join([*parts, question])}

    def _chat(self, row: Row, system: str | None, examples: Sequence[tuple[Any, str]]) -> Row:
        messages = _turns(row["prompt"])
        own = [message for message in messages if message.get("role") == "system"]
        if system is not None and own:
            raise EvaluationError(
                "the task sets `system_prompt`, and the prompts have a system message of their own;"
                " leave one of them out"
            )
        if system is not None:
            own = [{"role": "system", "content": system}]
        shown = [
            message
            for asked, answer in examples
            for message in (*_turns(asked), {"role": "assistant", "content": answer})
            if message.get("role") != "system"
        ]
        rest = [message for message in messages if message.get("role") != "system"]
        said = {
            name: [{"role": "assistant", "content": row[name]}]
            for name in _ANSWERS
            if isinstance(row.get(name), str)
        }
        return {**row, **said, "prompt": [*own, *shown, *rest]}


def _turns(prompt: Any) -> Messages:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [dict(message) for message in prompt]


def _prompt(value: Any, index: int) -> Any:
    if isinstance(value, str) or (is_conversation(value) and value):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    raise EvaluationError(
        f"'prompt' of row {index} must be text or chat messages (a list of `role` and `content`), "
        f"not {value!r:.80}"
    )
