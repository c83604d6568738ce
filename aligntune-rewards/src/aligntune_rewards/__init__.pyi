from aligntune_rewards.code.code_quality import CodeQualityReward as CodeQualityReward
from aligntune_rewards.learned.llm_judge import LlmJudgeReward as LlmJudgeReward
from aligntune_rewards.learned.reward_ensemble import RewardEnsembleReward as RewardEnsembleReward
from aligntune_rewards.learned.reward_model import HelpfulnessReward as HelpfulnessReward
from aligntune_rewards.learned.reward_model import RewardModelReward as RewardModelReward
from aligntune_rewards.reference.bertscore import BertscoreReward as BertscoreReward
from aligntune_rewards.reference.bleu import BleuReward as BleuReward
from aligntune_rewards.reference.chrf import ChrfReward as ChrfReward
from aligntune_rewards.reference.codebleu import CodebleuReward as CodebleuReward
from aligntune_rewards.reference.factual_correctness import (
    FactualCorrectnessReward as FactualCorrectnessReward,
)
from aligntune_rewards.reference.meteor import MeteorReward as MeteorReward
from aligntune_rewards.reference.rouge import RougeReward as RougeReward
from aligntune_rewards.reference.semantic_similarity import (
    SemanticSimilarityReward as SemanticSimilarityReward,
)
from aligntune_rewards.safety.bias import BiasReward as BiasReward
from aligntune_rewards.safety.moderation import HarmfulContentReward as HarmfulContentReward
from aligntune_rewards.safety.moderation import ToxicityReward as ToxicityReward
from aligntune_rewards.safety.privacy import PrivacyReward as PrivacyReward
from aligntune_rewards.safety.profanity import ProfanityReward as ProfanityReward
from aligntune_rewards.safety.refusal import RefusalReward as RefusalReward
from aligntune_rewards.safety.safety import SafetyReward as SafetyReward
from aligntune_rewards.shape.conciseness import ConcisenessReward as ConcisenessReward
from aligntune_rewards.shape.cosine_length import CosineLengthReward as CosineLengthReward
from aligntune_rewards.shape.language import LanguageReward as LanguageReward
from aligntune_rewards.shape.length import LengthReward as LengthReward
from aligntune_rewards.shape.overlong_penalty import OverlongPenaltyReward as OverlongPenaltyReward
from aligntune_rewards.shape.repetition_penalty import (
    RepetitionPenaltyReward as RepetitionPenaltyReward,
)
from aligntune_rewards.shape.structure import StructureReward as StructureReward
from aligntune_rewards.style.formality import FormalityReward as FormalityReward
from aligntune_rewards.style.sentiment import SentimentReward as SentimentReward
from aligntune_rewards.style.tone import ToneReward as ToneReward
from aligntune_rewards.text.coherence import CoherenceReward as CoherenceReward
from aligntune_rewards.text.diversity import DiversityReward as DiversityReward
from aligntune_rewards.text.fluency import FluencyReward as FluencyReward
from aligntune_rewards.text.readability import ReadabilityReward as ReadabilityReward
from aligntune_rewards.text.relevance import RelevanceReward as RelevanceReward
from aligntune_rewards.verifiable.accuracy import AccuracyReward as AccuracyReward
from aligntune_rewards.verifiable.code_execution import CodeExecutionReward as CodeExecutionReward
from aligntune_rewards.verifiable.code_syntax import CodeSyntaxReward as CodeSyntaxReward
from aligntune_rewards.verifiable.exact_match import ExactMatchReward as ExactMatchReward
from aligntune_rewards.verifiable.instruction_following import (
    InstructionFollowingReward as InstructionFollowingReward,
)
from aligntune_rewards.verifiable.json_schema import JsonSchemaReward as JsonSchemaReward
from aligntune_rewards.verifiable.math_accuracy import MathAccuracyReward as MathAccuracyReward
from aligntune_rewards.verifiable.multiple_choice import (
    MultipleChoiceReward as MultipleChoiceReward,
)
from aligntune_rewards.verifiable.regex_match import RegexMatchReward as RegexMatchReward
from aligntune_rewards.verifiable.sql_execution import SqlExecutionReward as SqlExecutionReward
