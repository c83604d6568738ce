# Types of the lazy root: the same names, imported where they are.

from aligntune.evaluation import EvalTask as EvalTask
from aligntune.evaluation import EvaluationSettings as EvaluationSettings
from aligntune.evaluation import Evaluator as Evaluator
from aligntune.evaluation import Metric as Metric
from aligntune.evaluation import TaskCategory as TaskCategory
from aligntune.evaluation import evaluate as evaluate
from aligntune_eval.asking.generation import Completion as Completion
from aligntune_eval.asking.generation import completions as completions
from aligntune_eval.asking.generation import samples_of as samples_of
from aligntune_eval.comparing.compare import compare_results as compare_results
from aligntune_eval.comparing.compare import compare_runs as compare_runs
from aligntune_eval.comparing.comparison import Comparison as Comparison
from aligntune_eval.comparing.comparison import Difference as Difference
from aligntune_eval.files.reading import Result as Result
from aligntune_eval.files.reading import read_results as read_results
from aligntune_eval.files.reading import result_of as result_of
from aligntune_eval.files.results import TaskOutcome as TaskOutcome
from aligntune_eval.files.results import write_results as write_results
from aligntune_eval.models.load import LoadedModel as LoadedModel
from aligntune_eval.models.load import load_model as load_model
from aligntune_eval.page import write_page as write_page
from aligntune_eval.rows import read_rows as read_rows
from aligntune_eval.runner.runner import TaskResult as TaskResult
from aligntune_eval.runner.runner import evaluate_models as evaluate_models
from aligntune_eval.tasks import find_tasks as find_tasks
from aligntune_eval.tasks import prepare_task as prepare_task
