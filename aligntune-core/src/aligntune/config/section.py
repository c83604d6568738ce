"""The base of every configuration section, and the one way a field is declared.

A field is declared once, with its documentation beneath it. Where the default differs between SFT
and RL runs, `setting(sft_default, rl=...)` says both; where a field has other names, `aliases=`
lists them. A section remembers which fields were set, so that a default can bend to the hardware or
to the algorithm's paper while a value that was set never does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from aligntune.errors import ConfigError

__all__ = ["Section", "setting"]

_SAME: Any = object()
_SCIENTIFIC = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]{1,2}\s*", re.ASCII)
_building: ContextVar[bool] = ContextVar("_building", default=False)


def setting(
    default: Any = ..., *, rl: Any = _SAME, aliases: tuple[str, ...] = (), **more: Any
) -> Any:
    """Declare a field: its default (for SFT runs, or for both), its default for RL, other names."""
    extra: dict[str, Any] = {"aliases": list(aliases)}
    if rl is not _SAME:
        extra["rl"] = rl
    if isinstance(default, (dict, list)):
        return Field(default_factory=default.copy, json_schema_extra=extra, **more)
    return Field(default, json_schema_extra=extra, **more)


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """What `setting` noted beside the field: aliases and the RL default."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _types(annotation: Any) -> set[Any]:
    """The types that an annotation admits, unions taken apart; Any admits bool."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return {bool if part is Any else part for part in parts}


def _stray_truth(value: Any, annotation: Any) -> bool:
    """Whether a value is, or holds, a true or false where the annotation has none."""
    arms = _types(annotation)
    if isinstance(value, bool):
        return bool not in arms
    items = value.values() if isinstance(value, Mapping) else value
    inner = [get_args(arm)[-1] for arm in arms if get_origin(arm) in (list, tuple, dict)]
    if not inner or not isinstance(value, (list, tuple, Mapping)):
        return False
    return all(any(_stray_truth(item, arm) for item in items) for arm in inner)


def _whole(text: str) -> int | str:
    """`1e3`, which YAML reads as text, where a whole number is expected."""
    if _SCIENTIFIC.fullmatch(text) and (number := float(text)).is_integer():
        return int(number)
    return text


@contextmanager
def _outermost() -> Iterator[bool]:
    """Whether this is the outermost section being built; nested ones leave errors to it."""
    outer = not _building.get()
    token = _building.set(True)
    try:
        yield outer
    finally:
        _building.reset(token)


def _holds_settings(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, Section) for item in value)
    return isinstance(value, Section) and bool(value.explicit())


class Section(BaseModel):
    """A group of fields. Unknown names are refused; other names of a field set that field.

    Raises:
        ConfigError: on construction, with every problem of the given values at once.
    """

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )

    # Names that set a field of another section: name -> full path.
    elsewhere: ClassVar[dict[str, str]] = {}
    _elsewhere_given: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, /, **given: Any) -> None:
        moved = {name: given.pop(name) for name in list(given) if name in self.elsewhere}
        with _outermost() as outer:
            try:
                super().__init__(**self._renamed(given))
            except ValidationError as error:
                if not outer:
                    raise
                from aligntune.config.problems import problems_of

                raise ConfigError(problems_of(error, type(self))) from None
        self._elsewhere_given = moved

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python counts True as 1; a batch of `true` rows is a mistake."""
        field = cls.model_fields[str(info.field_name)]
        kinds = _types(field.annotation)
        if _stray_truth(value, field.annotation):
            raise ValueError("true and false are not what this takes")
        if isinstance(value, str) and int in kinds and str not in kinds:
            return _whole(value)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _keys_are_names(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """YAML has keys that are numbers; here they are unknown names."""
        if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
            value = {str(key): item for key, item in value.items()}
        return handler(value)

    @classmethod
    @cache
    def aliases(cls) -> dict[str, str]:
        """Other name -> field name."""
        return {
            alias: name
            for name, field in cls.model_fields.items()
            for alias in extra_of(field).get("aliases", ())
        }

    @classmethod
    @cache
    def nested(cls) -> dict[str, type[Section]]:
        """Field name -> section, of the fields that are a section."""
        return {
            name: kind
            for name, field in cls.model_fields.items()
            for kind in _types(field.annotation)
            if isinstance(kind, type) and issubclass(kind, Section)
        }

    @classmethod
    def _renamed(cls, given: dict[str, Any]) -> dict[str, Any]:
        aliases = cls.aliases()
        renamed: dict[str, Any] = {}
        for name, value in given.items():
            target = aliases.get(name, name)
            if target in renamed and renamed[target] != value:
                names = " and ".join(n for n in given if aliases.get(n, n) == target)
                raise ConfigError(f"{names} are names of one parameter, set to different values")
            renamed[target] = value
        return renamed

    def explicit(self) -> dict[str, Any]:
        """What was set, by field name, or by the name that sets a field of another section.

        A section in which something was set was set, and so was a list of sections that has one.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        given = {
            name: value
            for name, value in fields.items()
            if name in self.model_fields_set or _holds_settings(value)
        }
        return given | self._elsewhere_given

    def use_rl_defaults(self) -> None:
        """Give unset fields their defaults for RL runs."""
        for name, field in type(self).model_fields.items():
            extra = extra_of(field)
            if "rl" in extra and name not in self.model_fields_set:
                value = extra["rl"]
                self.__dict__[name] = value.copy() if isinstance(value, (dict, list)) else value

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field by any of its names; checked as on construction.

        Raises:
            ConfigError: for an unknown name, or a value that the field does not take.
        """
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        field = type(self).aliases().get(name, name)
        checked = type(self)(**{**self.explicit(), field: value})
        if field in self.elsewhere:
            self._elsewhere_given[field] = value
            return
        self.__dict__[field] = checked.__dict__[field]
        self.model_fields_set.add(field)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattr__(name)  # type: ignore[misc]
        target = type(self).aliases().get(name)
        if target is not None:
            return getattr(self, target)
        if name in type(self).elsewhere:
            return self._elsewhere_given.get(name)
        return super().__getattr__(name)  # type: ignore[misc]
