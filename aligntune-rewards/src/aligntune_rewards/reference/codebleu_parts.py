"""The four matches of CodeBLEU (Ren et al. 2020, arXiv 2009.10297), for Python's own syntax trees.

Each compares a candidate with one reference and gives 0 to 1. Trees come from `ast`, with comments
and docstrings gone and one way of formatting, so that neither earns anything.
"""

from __future__ import annotations

import ast
import hashlib
import keyword
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Program", "flow_match", "ngram_match", "syntax_match", "weighted_ngram_match"]

_ORDERS = (1, 2, 3, 4)
_SMOOTHING = 0.1  # for an order without any match: `method1` of Chen and Cherry (2014)
_OTHER_WORDS = 0.2  # the weight of a token that is no keyword, from the authors' code
_TOKEN = re.compile(r"\w+|->|:=|[*/<>]{2}=?|[-+*/%@&|^=!<>]=|[^\w\s]")
_KEYWORDS = frozenset(keyword.kwlist)

Flow = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True)
class Program:
    """What is compared of a program: tokens, subtrees without names, and its data flow."""

    tokens: list[str]
    subtrees: Counter[str]
    flows: Counter[Flow]

    @classmethod
    def of(cls, tree: ast.Module) -> Program:
        """Take a program apart; its docstrings are removed from the tree.

        Raises:
            RecursionError: if it is nested too deep.
        """
        _drop_docstrings(tree)
        return cls(_TOKEN.findall(ast.unparse(tree)), _subtrees(tree), _numbered(_Flows.of(tree)))


def ngram_match(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """BLEU of the tokens, with 1- to 4-grams and the brevity penalty."""
    if not candidate:
        return 0.0
    found = [_clipped(_grams(candidate, n), _grams(reference, n)) for n in _ORDERS]
    made = [max(1, len(candidate) - n + 1) for n in _ORDERS]
    brevity = math.exp(min(0.0, 1 - len(reference) / len(candidate)))
    return brevity * _geometric(found, made)


def weighted_ngram_match(
    candidate: Sequence[str], reference: Sequence[str], *, symmetric: bool
) -> float:
    """The share of the reference's n-grams; among single tokens, keywords weigh five times."""
    found: list[float] = []
    wanted: list[float] = []
    for n in _ORDERS:
        have, want = _grams(candidate, n), _grams(reference, n)
        found.append(_weight(have & want, n))
        total = _weight(want, n)
        wanted.append(max(1.0, total, _weight(have, n) if symmetric else 0.0))
    return _geometric(found, wanted)


def syntax_match(candidate: Program, reference: Program, *, symmetric: bool) -> float:
    """The share of the reference's subtrees that the candidate has, names left out."""
    return _share(candidate.subtrees, reference.subtrees, symmetric=symmetric)


def flow_match(candidate: Program, reference: Program, *, symmetric: bool) -> float | None:
    """The share of the reference's data flow that the candidate has; None where it has none."""
    if not reference.flows:
        return None
    return _share(candidate.flows, reference.flows, symmetric=symmetric)


def _share(have: Counter[Any], want: Counter[Any], *, symmetric: bool) -> float:
    total = max(want.total(), have.total()) if symmetric else want.total()
    return _clipped(have, want) / total if total else 0.0


def _clipped(have: Mapping[Any, int], want: Mapping[Any, int]) -> int:
    return sum(min(count, have.get(each, 0)) for each, count in want.items())


def _grams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _weight(grams: Counter[tuple[str, ...]], n: int) -> float:
    if n > 1:
        return grams.total()
    return sum(
        count * (1.0 if token in _KEYWORDS else _OTHER_WORDS) for (token,), count in grams.items()
    )


def _geometric(found: Sequence[float], total: Sequence[float]) -> float:
    """The geometric mean of the shares; 0 if not a single token is found."""
    if not found[0]:
        return 0.0
    logs = [math.log((hit or _SMOOTHING) / of) for hit, of in zip(found, total, strict=True)]
    return math.exp(math.fsum(logs) / len(logs))


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        with_body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, with_body) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]


def _subtrees(tree: ast.Module) -> Counter[str]:
    """Each node that has nodes below it, as a digest that equal structures share."""
    found: Counter[str] = Counter()

    def visit(node: ast.AST) -> str:
        shape = type(node).__name__
        if isinstance(node, ast.Constant):
            shape = f"{shape}:{type(node.value).__name__}"
        below = [visit(each) for each in _children(node)]
        if not below:
            return shape
        text = f"({shape} {' '.join(below)})"
        digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        found[digest] += 1
        return digest

    visit(tree)
    return found


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, but for those that say whether a name is read or written."""
    return (each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr_context))


class _Flows(ast.NodeVisitor):
    """Collects which variable gets its value from which, in the order in which a program reads.

    A variable that is read comes from itself, once it was written; one that is written is computed
    from those that are read in its value. Names that are only called, attributes and keywords are
    no variables until they are written.
    """

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.flows: list[Flow] = []

    @classmethod
    def of(cls, tree: ast.Module) -> list[Flow]:
        """The flows of a program."""
        visitor = cls()
        visitor.visit(tree)
        return visitor.flows

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.known.add(node.id)
        elif node.id in self.known:
            self.flows.append((node.id, "comesFrom", (node.id,)))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._write(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._write(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._write(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._write(node.target, node.value, also=self._names(node.target))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._write(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    visit_AsyncFor = visit_For  # noqa: N815 - ast.NodeVisitor finds them by these names

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if node.optional_vars is not None:
            self._write(node.optional_vars, node.context_expr)

    def visit_arguments(self, node: ast.arguments) -> None:
        plain = [*node.posonlyargs, *node.args]
        given = [*zip(plain[len(plain) - len(node.defaults) :], node.defaults, strict=True)]
        given += [(a, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True) if d]
        every = [*plain, node.vararg, *node.kwonlyargs, node.kwarg]
        for _, default in given:
            self.visit(default)
        self.known.update(argument.arg for argument in every if argument is not None)
        for argument, default in given:
            self._flow(argument.arg, self._names(default))

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        self._write(node.target, node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        # What is collected stands before the loop that gives its variables their values.
        for generator in node.generators:
            self.visit(generator)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        for part in parts:
            self.visit(part)

    visit_ListComp = _comprehension  # noqa: N815
    visit_SetComp = _comprehension  # noqa: N815
    visit_GeneratorExp = _comprehension  # noqa: N815
    visit_DictComp = _comprehension  # noqa: N815

    def _write(self, target: ast.expr, value: ast.expr, also: tuple[str, ...] = ()) -> None:
        pairs = [(target, value)]
        several = ast.Tuple | ast.List
        if isinstance(target, several) and isinstance(value, several):
            same = len(target.elts) == len(value.elts)
            pairs = list(zip(target.elts, value.elts, strict=True)) if same else pairs
        for left, right in pairs:
            sources = also + self._names(right)
            self.visit(left)  # what is read in it, such as an index
            for name in (n.id for n in ast.walk(left) if _is_written(n)):
                self._flow(name, sources)

    def _names(self, node: ast.expr) -> tuple[str, ...]:
        return tuple(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.known)

    def _flow(self, name: str, sources: tuple[str, ...]) -> None:
        if sources:
            self.flows.append((name, "computedFrom", sources))


def _is_written(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _numbered(flows: Sequence[Flow]) -> Counter[Flow]:
    """Flows with variables named by their order, so that names do not count."""
    numbers: dict[str, str] = {}

    def number(name: str) -> str:
        return numbers.setdefault(name, f"var_{len(numbers)}")

    found: Counter[Flow] = Counter()
    for name, relation, sources in flows:
        given = tuple(number(source) for source in sources)
        found[number(name), relation, given] += 1
    return found
