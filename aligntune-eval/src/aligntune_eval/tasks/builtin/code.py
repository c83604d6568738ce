"""Programs that pass their tests, in the sandbox: HumanEval (Chen et al. 2021) and MBPP."""

from __future__ import annotations

from aligntune.evaluation import EvalTask, TaskCategory

__all__ = ["HUMANEVAL", "MBPP"]

HUMANEVAL = EvalTask(
    name="humaneval",
    category=TaskCategory.CODE,
    description="164 functions to complete from their docstring (Chen et al. 2021), pass@1",
    dataset="openai/openai_humaneval",
    split="test",
    metrics=("pass_at_k",),
    max_new_tokens=1024,
    stop=("\nclass", "\ndef", "\n#", "\nif", "\nprint"),
)

MBPP = EvalTask(
    name="mbpp",
    category=TaskCategory.CODE,
    description="Short Python programs (Austin et al. 2021), 3 examples, pass@1",
    dataset="google-research-datasets/mbpp",
    subset="full",
    split="test",
    prompt=(
        "You are an expert Python programmer, and here is your task: {{ text }} Your code should "
        "pass these tests:\n\n{{ test_list | join('\n') }}\n[BEGIN]\n"
    ),
    num_fewshot=3,
    fewshot_split="prompt[1:4]",
    fewshot_sampler="first",
    fewshot_answer="{{ code }}\n[DONE]",
    target_delimiter="",
    metrics=("pass_at_k",),
    max_new_tokens=512,
    stop=("[DONE]",),
)
