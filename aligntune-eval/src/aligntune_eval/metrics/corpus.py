"""BLEU, chrF and TER of corpora, by sacrebleu, with the signature that makes them comparable.

Each is a function of sums: every row has counts (of n-grams, of edits), and the metric is computed
from the counts of all rows together, never as a mean of rows. Resampling rows is resampling counts.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from aligntune.evaluation import Combine, EvaluationContext, EvaluationSettings, Metric
from aligntune_eval.asking.generation import refuse_several_samples
from aligntune_eval.metrics.reference_metric import ReferenceMetric
from aligntune_eval.statistics import Floats, percentiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins

__all__ = ["Bleu", "Chrf", "CorpusMetric", "Ter"]

_RESAMPLES = 1000

# Those of sacrebleu that need no download and no other package.
Tokenizer = Literal["13a", "intl", "zh", "char", "none"]
Smoothing = Literal["exp", "floor", "add-k", "none"]


class CorpusMetric(ReferenceMetric):
    """A metric of sacrebleu over all completions together; `options` are sacrebleu's own."""

    kind: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self.options = options

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        super().prepare(rows, settings, plugins)
        refuse_several_samples(f"evaluator {self.name!r}, a metric of a corpus,", settings)

    def measures(self) -> dict[str, bool | None]:
        return {self.name: self.higher_is_better}

    @abstractmethod
    def make(self, **more: Any) -> Any:
        """The object of sacrebleu that scores."""

    def of_sentences(self) -> Any:
        """The object of sacrebleu that scores single rows."""
        return self.make()

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        scorer, of_row = self.make(), self.of_sentences()
        counts = _counts(scorer, predictions, references)
        context.score(self.name, [_score(of_row, row) for row in counts])
        details = {
            **details,
            "signature": str(scorer.get_signature()),
            # All that is needed to compute it from other rows, or from fewer.
            "sacrebleu": {"metric": self.kind, "options": self.options},
            "interval": "none",
        }
        stderr = low = high = None
        if len(counts) > 1:
            drawn = _resampled(scorer, counts, context.settings.seed)
            stderr, (low, high) = float(np.std(drawn, ddof=1)), percentiles(drawn)
            details |= {"interval": "bootstrap", "resamples": _RESAMPLES}
        return [
            Metric(
                self.name,
                _score(scorer, counts.sum(axis=0)),
                len(counts),
                stderr,
                low,
                high,
                details=details,
                higher_is_better=self.higher_is_better,
                combine=Combine("corpus", self.name),
            )
        ]


class Bleu(CorpusMetric):
    """BLEU of all completions together, 0 to 100, by sacrebleu (Post 2018, arXiv 1804.08771).

    The geometric mean of the precisions of n-grams times the brevity penalty (Papineni et al.
    2002); an n-gram may come from any reference. Higher is better. A row's score is its sentence
    BLEU, of the orders of n-grams that it has. Rows need a prompt and a reference or `completion`.

    `tokenize`: `13a` (of WMT), `intl`, `zh`, `char` (for languages without spaces) or `none`.
    `lowercase`: upper case does not count. `smooth_method`: of precisions of 0: `exp`, `floor`,
    `add-k` or `none`. `smooth_value`: of `floor` (0.1) and `add-k` (1). `max_ngram_order`: the
    longest n-grams. `effective_order`: leave out the orders that the whole corpus is too short for.
    `name`: what the metric is called.

    Raises:
        ValueError: for a value that there is not, or that has no effect.
    """

    kind = "BLEU"

    def __init__(  # noqa: PLR0917 - all have a name in a configuration
        self,
        tokenize: Tokenizer = "13a",
        lowercase: bool = False,
        smooth_method: Smoothing = "exp",
        smooth_value: float | None = None,
        max_ngram_order: int = 4,
        effective_order: bool = False,
        name: str = "bleu",
    ) -> None:
        _one_of("tokenize", tokenize, get_args(Tokenizer))
        _one_of("smooth_method", smooth_method, get_args(Smoothing))
        if smooth_value is not None and smooth_method not in ("floor", "add-k"):
            raise ValueError(
                f"smooth_value has no effect with smooth_method {smooth_method!r}; it is of "
                "'floor' and 'add-k'"
            )
        if smooth_value is not None and not 0 < smooth_value < float("inf"):
            raise ValueError(f"smooth_value is {smooth_value!r}; it is a number above 0")
        _whole("max_ngram_order", max_ngram_order, 1)
        super().__init__(
            name,
            tokenize=tokenize,
            lowercase=_flag("lowercase", lowercase),
            smooth_method=smooth_method,
            smooth_value=smooth_value,
            max_ngram_order=max_ngram_order,
            effective_order=_flag("effective_order", effective_order),
        )

    def make(self, **more: Any) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(**{**self.options, **more})

    def of_sentences(self) -> Any:
        return self.make(effective_order=True)


class Chrf(CorpusMetric):
    """chrF of all completions together, 0 to 100, by sacrebleu (Popović 2015).

    The F-measure of character n-grams, recall counting `beta` times as much as precision; the best
    reference counts. It needs no tokenizer. Higher is better. A row's score is its own chrF. Rows
    need a prompt and a reference or `completion`.

    `char_order`: the longest character n-grams. `word_order`: the longest word n-grams, 0 for chrF,
    2 for chrF++. `beta`: of the F-measure. `lowercase`: upper case does not count. `whitespace`:
    white space counts. `eps_smoothing`: as chrF++.py and NLTK do it. `name`: what the metric is
    called.

    Raises:
        ValueError: for a value out of its bounds.
    """

    kind = "CHRF"

    def __init__(  # noqa: PLR0917 - all have a name in a configuration
        self,
        word_order: int = 0,
        char_order: int = 6,
        beta: int = 2,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
        name: str = "chrf",
    ) -> None:
        _whole("word_order", word_order, 0)
        _whole("char_order", char_order, 1)
        _whole("beta", beta, 1)
        super().__init__(
            name,
            word_order=word_order,
            char_order=char_order,
            beta=beta,
            lowercase=_flag("lowercase", lowercase),
            whitespace=_flag("whitespace", whitespace),
            eps_smoothing=_flag("eps_smoothing", eps_smoothing),
        )

    def make(self, **more: Any) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(**{**self.options, **more})


class Ter(CorpusMetric):
    """The translation edit rate of all completions together, by sacrebleu (Snover et al. 2006).

    The edits that make the completions one of their references, shifts of words among them, for
    each 100 words of the references; 0 or more, lower is better. A row's score is its own rate.
    Rows need a prompt and a reference or `completion`.

    `case_sensitive`: upper case counts. `normalized`: tokenize as Tercom does. `no_punct`: without
    punctuation. `asian_support`: the same for Chinese and Japanese, with either of these. `name`:
    what the metric is called.

    Raises:
        ValueError: for an option that has no effect.
    """

    kind = "TER"
    higher_is_better = False

    def __init__(
        self,
        case_sensitive: bool = False,
        normalized: bool = False,
        no_punct: bool = False,
        asian_support: bool = False,
        name: str = "ter",
    ) -> None:
        if asian_support and not (normalized or no_punct):
            raise ValueError("asian_support has no effect without normalized or no_punct")
        super().__init__(
            name,
            case_sensitive=_flag("case_sensitive", case_sensitive),
            normalized=_flag("normalized", normalized),
            no_punct=_flag("no_punct", no_punct),
            asian_support=_flag("asian_support", asian_support),
        )

    def make(self, **more: Any) -> Any:
        from sacrebleu.metrics.ter import TER

        return TER(**{**self.options, **more})


# What follows is what sacrebleu's own tests of significance call, which has no public name.


def _counts(scorer: Any, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """The counts of each row, shape (rows, counts); those of a corpus are their sum."""
    found = scorer._extract_corpus_statistics(list(predictions), _streams(references))  # noqa: SLF001
    return np.asarray(found, dtype=np.float64)


def _score(scorer: Any, counts: Floats) -> float:
    """The metric of a corpus with these counts, shape (counts,)."""
    return float(scorer._compute_score_from_stats(counts.tolist()).score)  # noqa: SLF001


def _resampled(scorer: Any, counts: Floats, seed: int) -> Floats:
    """The metric of corpora drawn from these rows, rows with replacement, in whatever order."""
    counts = counts[np.lexsort(counts.T)]
    generator, n = np.random.default_rng(seed), len(counts)
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) @ counts
    return np.array([_score(scorer, row) for row in drawn])


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """One list for each n-th reference, None where a row has no n-th, as sacrebleu takes them."""
    count = max(map(len, references))
    return [[each[n] if n < len(each) else None for each in references] for n in range(count)]


def _one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it is one of {', '.join(allowed)}")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be {least} or more, a whole number, not {value!r}")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it is true or false")  # noqa: TRY004
    return value
