# Types of the lazy root: the same names, imported where they are.

from aligntune.config import (
    DatasetConfig as DatasetConfig,
)
from aligntune.config import (
    DistributedConfig as DistributedConfig,
)
from aligntune.config import (
    EvaluationConfig as EvaluationConfig,
)
from aligntune.config import (
    EvaluatorConfig as EvaluatorConfig,
)
from aligntune.config import (
    LoggingConfig as LoggingConfig,
)
from aligntune.config import (
    MetaESConfig as MetaESConfig,
)
from aligntune.config import (
    ModelConfig as ModelConfig,
)
from aligntune.config import (
    PluginsConfig as PluginsConfig,
)
from aligntune.config import (
    RewardConfig as RewardConfig,
)
from aligntune.config import (
    RewardModelSourceConfig as RewardModelSourceConfig,
)
from aligntune.config import (
    RewardModelTrainingConfig as RewardModelTrainingConfig,
)
from aligntune.config import (
    SampleLoggingConfig as SampleLoggingConfig,
)
from aligntune.config import (
    SFTConfig as SFTConfig,
)
from aligntune.config import (
    TrainingConfig as TrainingConfig,
)
from aligntune.config import (
    UnifiedConfig as UnifiedConfig,
)
from aligntune.config import (
    load_config as load_config,
)
from aligntune.core.backend_factory import (
    BackendConfig as BackendConfig,
)
from aligntune.core.backend_factory import (
    BackendFactory as BackendFactory,
)
from aligntune.core.backend_factory import (
    create_rl_trainer as create_rl_trainer,
)
from aligntune.core.backend_factory import (
    create_sft_trainer as create_sft_trainer,
)
from aligntune.core.rl.config_loader import (
    ConfigLoader as ConfigLoader,
)
from aligntune.core.sft.config_loader import (
    SFTConfigLoader as SFTConfigLoader,
)
from aligntune.core.trainer_base import (
    RLTrainerBase as RLTrainerBase,
)
from aligntune.core.trainer_base import (
    SFTTrainerBase as SFTTrainerBase,
)
from aligntune.core.trainer_base import (
    TrainerBase as TrainerBase,
)
from aligntune.enums import (
    AlgorithmType as AlgorithmType,
)
from aligntune.enums import (
    BackendType as BackendType,
)
from aligntune.enums import (
    PrecisionType as PrecisionType,
)
from aligntune.enums import (
    RewardType as RewardType,
)
from aligntune.enums import (
    RLAlgorithm as RLAlgorithm,
)
from aligntune.enums import (
    TaskType as TaskType,
)
from aligntune.enums import (
    TrainingType as TrainingType,
)
from aligntune.errors import (
    AlignTuneError as AlignTuneError,
)
from aligntune.evaluation import (
    EvalTask as EvalTask,
)
from aligntune.evaluation import (
    Evaluator as Evaluator,
)
from aligntune.evaluation import (
    Metric as Metric,
)
from aligntune.evaluation import (
    TaskCategory as TaskCategory,
)
from aligntune.hookspecs import (
    hookimpl as hookimpl,
)
from aligntune.plan import (
    Plan as Plan,
)
from aligntune.plan import (
    make_plan as make_plan,
)
from aligntune.reward_models import (
    TrainedRewardModel as TrainedRewardModel,
)
from aligntune.reward_models import (
    train_reward_model as train_reward_model,
)
from aligntune.run import (
    RunDirectory as RunDirectory,
)
from aligntune.run import (
    write_report as write_report,
)
from aligntune.scoring import (
    RewardBatch as RewardBatch,
)
from aligntune.scoring import (
    RewardFunction as RewardFunction,
)
from aligntune.scoring import (
    RewardRegistry as RewardRegistry,
)
from aligntune.scoring.compose import (
    rewards as rewards,
)

__version__: str
