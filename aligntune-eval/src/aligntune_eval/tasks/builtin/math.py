"""Problems with one right answer, reached in steps: GSM8K (Cobbe et al. 2021) and MATH-500."""

from __future__ import annotations

from aligntune.evaluation import EvalTask, TaskCategory

__all__ = ["GSM8K", "MATH500"]

GSM8K = EvalTask(
    name="gsm8k",
    category=TaskCategory.MATH,
    description="Grade-school problems, 5 worked examples, share of right final numbers",
    dataset="openai/gsm8k",
    subset="main",
    split="test",
    prompt="Question: {{ question }}\nAnswer:",
    reference="{{ answer.split('####')[-1].strip() }}",
    num_fewshot=5,
    fewshot_split="train",
    fewshot_answer="{{ answer }}",
    metrics=("math_accuracy",),
    max_new_tokens=512,
    stop=("Question:",),
)

# The four worked examples of Minerva (Lewkowycz et al. 2022) come from the training data of MATH,
# which this data set does not hold, so the question says in words what an answer looks like.
MATH500 = EvalTask(
    name="math500",
    category=TaskCategory.MATH,
    description="500 competition problems (Lightman et al. 2023), share of right answers",
    dataset="HuggingFaceH4/MATH-500",
    split="test",
    prompt=(
        "{{ problem }}\nPlease reason step by step, and put your final answer within \\boxed{}.\n"
    ),
    reference="{{ answer }}",
    metrics=("math_accuracy",),
    max_new_tokens=2048,
)
