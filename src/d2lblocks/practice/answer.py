"""What a check works with: the reader's definitions, comparisons, and the reasons why an answer is wrong."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks._arguments import kind_of, nearest
from d2lblocks.diagnosis import diagnose

__all__ = ["Answer", "Wrong", "shown"]


class Wrong(Exception):  # noqa: N818
    """An answer is wrong.

    Args:
        why: what is wrong with it, and what to look at, in one to three sentences.
        came: what the reader's code gave.
        expected: what it should have given.
        given: for which input.
        at: the function or class of the reader in which the mistake is, or the number of its line.
        page: the place on the site that teaches it.
    """

    def __init__(
        self, why: str, *, came: Any = "", expected: Any = "", given: str = "", at: Any = None, page: str = ""
    ) -> None:
        super().__init__(why)
        self.why = why
        self.came, self.expected = shown(came), shown(expected)
        self.given = given
        self.at = at
        self.page = page


class Answer:
    """What the reader's file defines.

    A check sets `given` before it calls the reader's code: a few words on the input, such as
    `"X of shape (2, 3)"`. They are shown if the call fails or its result is wrong.
    """

    def __init__(self, names: Mapping[str, Any], file: str) -> None:
        self.names = names
        self.file = file
        self.given = ""
        self.last: Any = None  # what was looked up last: the mistake is probably there

    def __getitem__(self, name: str) -> Any:
        """What the file calls by this name."""
        if name not in self.names:
            own = [each for each in self.names if not each.startswith("__")]
            near = nearest(name, own) if own else "it defines nothing"
            raise Wrong(f"The file does not define `{name}`; {near}.", came="no such name", expected=name)
        self.last = self.names[name]
        return self.last

    def function(self, name: str) -> Callable[..., Any]:
        """A function of the file."""
        found = self[name]
        if not inspect.isfunction(found):
            raise Wrong(f"`{name}` has to be a function.", came=kind_of(found), expected="a function")
        return found

    def module_class(self, name: str) -> Callable[..., nn.Module]:
        """A class of the file that is derived from `nn.Module`."""
        found = self[name]
        if not (isinstance(found, type) and issubclass(found, nn.Module)):
            raise Wrong(
                f"`{name}` has to be a class derived from `nn.Module`, as in `class {name}(nn.Module):`.",
                came=kind_of(found),
                expected="a class derived from nn.Module",
            )
        return found

    def module(self, value: Any, what: str) -> nn.Module:
        """The value, which has to be a module; `what` is its expression, such as `make(3)`."""
        return self.kind(value, what, nn.Module, "a module")

    def tensor(self, value: Any, what: str) -> Tensor:
        """The value, which has to be a tensor."""
        return self.kind(value, what, Tensor, "a tensor")

    def kind(self, value: Any, what: str, kind: Any, name: str) -> Any:
        """The value, which has to be of a kind; `name` is what people call that kind, such as `a list`."""
        if isinstance(value, kind):
            return value
        nothing = f"`{what}` is `None`: is a `return` missing?"
        why = nothing if value is None else f"`{what}` is not {name}."
        raise Wrong(why, came=kind_of(value), expected=name, given=self.given)

    def same(self, came: Any, expected: Any, what: str, why: str = "", tolerance: float = 1e-5) -> None:
        """Raise `Wrong` unless both are equal: type, shape, dtype and values of tensors, `==` for others.

        Args:
            came: what the reader's code gave.
            expected: what it should have given.
            what: the expression that gave it, such as `tower(X)`.
            why: a sentence on the mistake that this probably is; without it, the difference is described.
            tolerance: of values of tensors, relative and absolute; with 0, every bit counts.
        """
        if isinstance(expected, Tensor):
            self.tensor(came, what)
            difference = _difference(came.detach(), expected.detach(), tolerance)
        else:
            difference = "" if _equal(came, expected) else f"`{what}` is not what it should be."
        if difference:
            story = why or difference.replace("{}", f"`{what}`")
            raise Wrong(story, came=came, expected=expected, given=self.given)

    def without_mistakes(self, net: nn.Module, *args: Any, **options: Any) -> None:
        """Raise `Wrong` if `diagnose` names an error, with its words; the options are those of `diagnose`."""
        for error in diagnose(net, *args, **options).errors:
            at = error.line if error.file == self.file else None
            raise Wrong(f"{error.text} {error.fix}", given=self.given, at=at, page=error.page)


def _equal(came: Any, expected: Any) -> bool:
    if isinstance(came, Tensor):
        return False
    try:
        return type(came) is type(expected) and bool(came == expected)
    except (RuntimeError, ValueError):  # tensors inside
        return False


def _difference(came: Tensor, expected: Tensor, tolerance: float) -> str:
    """A sentence on the first difference; `{}` is the place of the expression. Empty if there is none."""
    if came.shape != expected.shape:
        return f"{{}} has the shape {tuple(came.shape)}, not {tuple(expected.shape)}."
    if came.dtype != expected.dtype:
        return f"{{}} has the dtype {came.dtype}, not {expected.dtype}."
    if came.device != expected.device:
        return f"{{}} is on {came.device}, not on {expected.device}."
    if came.is_meta:
        return ""
    if tolerance == 0:
        equal = torch.equal(came, expected)
    else:
        equal = torch.allclose(came, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    return "" if equal else "{} has the right shape but the wrong values."


def shown(value: Any) -> str:
    """A value in few words; large tensors by their shape and dtype."""
    if isinstance(value, str):
        return value
    if isinstance(value, Tensor):
        if value.numel() > 12 or value.is_meta:
            return f"{str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
        return " ".join(str(value.detach()).split())
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:197]}..."
