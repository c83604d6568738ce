"""Questions with several answers to choose from, by the likelihood of each."""

from __future__ import annotations

from dataclasses import replace

from aligntune.evaluation import EvalTask, TaskCategory

__all__ = ["ARC_CHALLENGE", "ARC_EASY", "MMLU"]

ARC_EASY = EvalTask(
    name="arc_easy",
    category=TaskCategory.QUESTION_ANSWERING,
    description="Easy school science questions (Clark et al. 2018), by likelihood",
    dataset="allenai/ai2_arc",
    subset="ARC-Easy",
    split="test",
    prompt="Question: {{ question }}\nAnswer:",
    choices="{{ choices.text }}",
    columns={"answer": "{{ choices.label.index(answerKey) }}"},
    fewshot_split="train",
    fewshot_answer="{{ choices[answer] }}",
    metrics=("multiple_choice",),
)

ARC_CHALLENGE = replace(
    ARC_EASY,
    name="arc_challenge",
    description="School science questions that are hard to guess, by likelihood",
    subset="ARC-Challenge",
)

MMLU = EvalTask(
    name="mmlu",
    category=TaskCategory.QUESTION_ANSWERING,
    description="Questions of 57 subjects (Hendrycks et al. 2021), 5-shot, by likelihood",
    dataset="cais/mmlu",
    subset="all",
    split="test",
    system_prompt=(
        "The following are multiple choice questions (with answers) about "
        "{{ subject.replace('_', ' ') }}."
    ),
    prompt=(
        "{{ question.strip() }}\nA. {{ choices[0] }}\nB. {{ choices[1] }}\nC. {{ choices[2] }}\n"
        "D. {{ choices[3] }}\nAnswer:"
    ),
    choices="{{ ['A', 'B', 'C', 'D'] }}",
    num_fewshot=5,
    fewshot_split="dev",
    fewshot_sampler="first",
    fewshot_group="subject",
    fewshot_answer="{{ choices[answer] }}",
    metrics=("multiple_choice",),
)
