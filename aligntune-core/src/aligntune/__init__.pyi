"""Types of the lazy root: the same names, imported where they are."""

from aligntune.config import (
    ConfigLoader as ConfigLoader,
    DatasetConfig as DatasetConfig,
    DistributedConfig as DistributedConfig,
    EvaluationConfig as EvaluationConfig,
    EvaluatorConfig as EvaluatorConfig,
    LoggingConfig as LoggingConfig,
    ModelConfig as ModelConfig,
    PluginsConfig as PluginsConfig,
    RewardConfig as RewardConfig,
    SFTConfig as SFTConfig,
    SFTConfigLoader as SFTConfigLoader,
    TrainingConfig as TrainingConfig,
    UnifiedConfig as UnifiedConfig,
    load_config as load_config,
)
from aligntune.core.backend_factory import (
    BackendConfig as BackendConfig,
    BackendFactory as BackendFactory,
    create_rl_trainer as create_rl_trainer,
    create_sft_trainer as create_sft_trainer,
)
from aligntune.core.trainer_base import (
    RLTrainerBase as RLTrainerBase,
    SFTTrainerBase as SFTTrainerBase,
    TrainerBase as TrainerBase,
)
from aligntune.enums import (
    AlgorithmType as AlgorithmType,
    BackendType as BackendType,
    PrecisionType as PrecisionType,
    RLAlgorithm as RLAlgorithm,
    RewardType as RewardType,
    TaskType as TaskType,
    TrainingType as TrainingType,
)
from aligntune.errors import (
    AlignTuneError as AlignTuneError,
)
from aligntune.evaluation import (
    Evaluator as Evaluator,
    Metric as Metric,
)
from aligntune.hookspecs import (
    hookimpl as hookimpl,
)
from aligntune.plan import (
    Plan as Plan,
    make_plan as make_plan,
)
from aligntune.run import (
    RunDirectory as RunDirectory,
    write_report as write_report,
)
from aligntune.scoring import (
    RewardBatch as RewardBatch,
    RewardFunction as RewardFunction,
    RewardRegistry as RewardRegistry,
)

__version__: str
