"""The net that a command is to diagnose: found by the name of a file or module and of a function."""

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from d2lblocks._arguments import kind_of, nearest

from .messages import explain
from .mistakes import diagnose
from .report import Report

_KEYS = ("net", "args", "kwargs", "loss", "optimizer", "ties", "silence")


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_IMPORTED = (
    "The file is imported, so everything in it runs. Put a training loop below "
    '`if __name__ == "__main__":`, or the function into a file of its own.'
)


class UsageError(Exception):
    """The target cannot be found or used; the message says why."""


def diagnose_target(target: str, silence: list[str]) -> Report:
    """Diagnose the net that the function at `FILE.py:FUNCTION` or `package.module:function` returns."""
    name, colon, function = target.rpartition(":")
    if not colon or not name or not function:
        raise UsageError(
            f"expected FILE.py:FUNCTION or package.module:function, but got {target!r}: the function returns "
            "the net and its input; --help shows one"
        )
    try:
        made = _function(_module(name), name, function)()
        given = _arguments(made, function)
        given["silence"] = [*given.get("silence", ()), *silence]
        net, args, kwargs = given.pop("net"), given.pop("args", ()), given.pop("kwargs", {})
        return diagnose(net, *args, **given, **kwargs)
    except UsageError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [each for each in frames if not each.filename.startswith((_PACKAGE, "<frozen "))]
        lines = traceback.StackSummary.from_list(own).format()
        explanation = f"\n\n{found}" if (found := explain(error)) else ""
        hint = "" if any(each.name == function for each in own) else f"\n\n{_IMPORTED}"
        message = f"{''.join(lines)}{type(error).__name__}: {error}{explanation}{hint}"
        raise UsageError(f"{target} failed:\n{message}") from error


def _module(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())  # as for `python -m`, also if this is run as a script
    if not name.endswith(".py"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
                raise UsageError(f"there is no module {error.name}") from error
            raise
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"there is no file {name}")
    sys.path.insert(0, str(path.parent.resolve()))  # so that it can import the files beside it
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _function(module: ModuleType, where: str, name: str) -> Any:
    found = getattr(module, name, None)
    if not callable(found):
        names = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise UsageError(f"there is no function '{name}' in {where}: {nearest(name, names)}")
    return found


def _arguments(made: Any, function: str) -> dict[str, Any]:
    """The arguments of `diagnose` in what the function returned."""
    if isinstance(made, nn.Module):
        if needed := _inputs(made):
            raise UsageError(
                f"{function}() returned a net without its input: return net, {', '.join(needed)}"
            )
        return {"net": made}
    if isinstance(made, Mapping):
        if unknown := [key for key in made if key not in _KEYS]:
            raise UsageError(f"{function}() returned a dict with the key {unknown[0]!r}: {', '.join(_KEYS)}")
        if "net" not in made:
            raise UsageError(f"{function}() returned a dict without the key 'net'")
        args = made.get("args", ())
        return {**made, "args": args if isinstance(args, tuple | list) else (args,)}
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module):
        net, inputs = made
        if isinstance(inputs, Mapping):
            return {"net": net, "kwargs": dict(inputs)}
        return {"net": net, "args": inputs if isinstance(inputs, tuple) else (inputs,)}
    items = f" of {', '.join(map(kind_of, made))}" if isinstance(made, tuple) else ""
    raise UsageError(
        f"expected {function}() to return a net and its input, as in `return net, X`, "
        f"but it returned {kind_of(made)}{items}"
    )


def _inputs(net: nn.Module) -> list[str]:
    """The names of the inputs without which `forward` cannot be called."""
    try:
        parameters = inspect.signature(net.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [each.name for each in parameters if each.default is each.empty and each.kind not in several]
