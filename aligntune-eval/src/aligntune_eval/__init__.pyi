# Types of the lazy root: the same names, imported where they are.

from aligntune.evaluation import EvalTask as EvalTask
from aligntune.evaluation import EvaluationSettings as EvaluationSettings
from aligntune.evaluation import Evaluator as Evaluator
from aligntune.evaluation import Metric as Metric
from aligntune.evaluation import TaskCategory as TaskCategory
from aligntune.evaluation import evaluate as evaluate
from aligntune_eval.compare import compare_results as compare_results
from aligntune_eval.compare import compare_runs as compare_runs
from aligntune_eval.comparison import Comparison as Comparison
from aligntune_eval.comparison import Difference as Difference
from aligntune_eval.load import LoadedModel as LoadedModel
from aligntune_eval.load import load_model as load_model
from aligntune_eval.page import write_page as write_page
from aligntune_eval.reading import Result as Result
from aligntune_eval.reading import read_results as read_results
from aligntune_eval.reading import result_of as result_of
from aligntune_eval.results import TaskOutcome as TaskOutcome
from aligntune_eval.results import write_results as write_results
from aligntune_eval.rows import read_rows as read_rows
from aligntune_eval.runner import TaskResult as TaskResult
from aligntune_eval.runner import evaluate_models as evaluate_models
from aligntune_eval.tasks import find_tasks as find_tasks
from aligntune_eval.tasks import prepare_task as prepare_task
