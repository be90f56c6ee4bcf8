"""Initialization: the values that a net starts with."""

import inspect
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net, kind_of, nearest
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import identity, named_modules, writing

__all__ = [
    "hardshrink_uniform_",
    "init_42",
    "init_by_type",
    "init_constant",
    "init_normal",
    "init_xavier",
    "my_init",
]


def init_normal(module: nn.Module, *, std: float = 0.01, generator: torch.Generator | None = None) -> None:
    """Draw the weight of an `nn.Linear` from a normal distribution, and set its bias to 0.

    The weight is drawn from N(0, `std`²): `std` is the standard deviation, not the variance.
    Other modules are left alone, so `net.apply(init_normal)` changes exactly the linear layers of a net.

    Args:
        module: a module of a net, as `nn.Module.apply` passes it.
        std: the standard deviation.
        generator: where the random numbers come from; `None` is PyTorch's default generator.

    Raises:
        ValueError: raised by PyTorch if the layer is lazy and has not seen its first batch.
        AttributeError: raised by PyTorch if the layer's weight is computed rather than stored, for example
            by `weight_norm`.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import init_normal

        net = nn.Sequential(nn.Linear(400, 100), nn.ReLU()).apply(init_normal)
        print(f"{net[0].weight.std().item():.2f}", bool((net[0].bias == 0).all()))
        #> 0.01 True
        ```
    """
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.get_parameter("weight"), std=std, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_constant(module: nn.Module, *, value: float = 1.0) -> None:
    """Set the weight of an `nn.Linear` to one value, and its bias to 0.

    Do not train a hidden layer that starts this way: all of its outputs are equal, so all of them get the
    same gradient and stay equal, as long as the next layer treats them equally too.

    Args:
        module: a module of a net, as `nn.Module.apply` passes it.
        value: the value of every weight.

    Raises:
        ValueError: raised by PyTorch if the layer is lazy and has not seen its first batch.
        AttributeError: raised by PyTorch if the layer's weight is computed rather than stored, for example
            by `weight_norm`.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import init_constant

        print(nn.Linear(2, 1).apply(init_constant).weight.tolist())
        #> [[1.0, 1.0]]
        ```
    """
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.get_parameter("weight"), value)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_xavier(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    """Draw the weight of an `nn.Linear` from the Xavier uniform distribution, and leave its bias alone.

    The distribution is U(-a, a) with a = sqrt(6 / (fan_in + fan_out)), from
    [Glorot and Bengio (2010)](https://proceedings.mlr.press/v9/glorot10a.html).
    See [`nn.init.xavier_uniform_`](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_uniform_).

    Args:
        module: a module of a net, as `nn.Module.apply` passes it.
        generator: where the random numbers come from; `None` is PyTorch's default generator.

    Raises:
        ValueError: raised by PyTorch if the layer is lazy and has not seen its first batch.
        AttributeError: raised by PyTorch if the layer's weight is computed rather than stored, for example
            by `weight_norm`.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import init_xavier

        layer = nn.Linear(4, 2).apply(init_xavier)
        print(bool((layer.weight.abs() <= 1).all()))  # sqrt(6 / (4 + 2)) is 1
        #> True
        ```
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.get_parameter("weight"), generator=generator)


def init_42(module: nn.Module) -> None:
    """Set the weight of an `nn.Linear` to 42, and leave its bias alone.

    The value is easy to recognize, so it shows which layers a function has reached. It is not for training.

    Args:
        module: a module of a net, as `nn.Module.apply` passes it.

    Raises:
        ValueError: raised by PyTorch if the layer is lazy and has not seen its first batch.
        AttributeError: raised by PyTorch if the layer's weight is computed rather than stored, for example
            by `weight_norm`.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import init_42

        print(nn.Linear(2, 1).apply(init_42).weight.tolist())
        #> [[42.0, 42.0]]
        ```
    """
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.get_parameter("weight"), 42)


def my_init(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    """Fill the weight of an `nn.Linear` with `hardshrink_uniform_`, and leave its bias alone.

    Args:
        module: a module of a net, as `nn.Module.apply` passes it.
        generator: where the random numbers come from; `None` is PyTorch's default generator.

    Raises:
        ValueError: raised by PyTorch if the layer is lazy and has not seen its first batch.
        AttributeError: raised by PyTorch if the layer's weight is computed rather than stored, for example
            by `weight_norm`.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import my_init

        size = nn.Linear(4, 2).apply(my_init).weight.abs()
        print(bool(((size == 0) | (size >= 5)).all()))
        #> True
        ```
    """
    if isinstance(module, nn.Linear):
        hardshrink_uniform_(module.get_parameter("weight"), generator=generator)


@torch.no_grad()
def hardshrink_uniform_(
    tensor: Tensor,
    bound: float = 10.0,
    threshold: float = 5.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill a tensor from a uniform distribution, and set small values to 0.

    It follows the conventions of `torch.nn.init`.
    Each value is drawn from U(-`bound`, `bound`), and set to 0 if its absolute value is below `threshold`.
    With the defaults, a value comes from U(5, 10) with probability 1/4, is 0 with probability 1/2,
    and comes from U(-10, -5) with probability 1/4.

    Args:
        tensor: the tensor to fill, of any shape.
        bound: the largest absolute value.
        threshold: the smallest absolute value other than 0.
        generator: where the random numbers come from; `None` is PyTorch's default generator.

    Returns:
        the tensor.

    Raises:
        ValueError: unless `0 <= threshold <= bound`. Nothing is drawn, and nothing is changed.

    Examples:
        ```python
        import torch
        from d2lblocks import hardshrink_uniform_

        values = hardshrink_uniform_(torch.empty(1000))
        print(400 < (values == 0).sum().item() < 600, bool((values.abs() <= 10).all()))
        #> True True
        ```
    """
    if not 0 <= threshold <= bound:
        raise ValueError(f"expected 0 <= threshold <= bound, but got threshold={threshold} and bound={bound}")
    nn.init.uniform_(tensor, -bound, bound, generator=generator)
    return tensor.masked_fill_(tensor.abs() < threshold, 0)


def init_by_type(
    net: nn.Module,
    rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]],
    *,
    generator: torch.Generator | None = None,
    skip: Iterable[str] = (),
) -> dict[str, str | None]:
    """Initialize a net by the types of its layers, and report what was done.

    A rule says, for one type of layer, which function fills which of its parameters.
    A layer follows the rule for its own class, or else the rule for its nearest base class that has one.
    Parameters without a rule, and parameters that are `None`, are left alone.

    Parameters are filled in place under `torch.no_grad()`.
    A tensor with several names is filled once, by the rule for its first name that has one.
    If the weight of an `nn.Embedding` or `nn.EmbeddingBag` with a `padding_idx` is filled, by the rule for
    whichever layer, its padding row is set to 0 afterwards, as in PyTorch.
    A parameter that was created in inference mode can be filled too, in any mode.
    On the meta device the functions are called, but nothing is drawn.
    If a function raises an error, the error gets a note that names the parameter.
    After any error the net and the random number generators are as they were, including gradients and the
    lists, dicts and sets in attributes. To make this possible, the net's values are copied, and the copy is
    kept until the end.

    Args:
        net: any module.
        rules: for each type of layer, a dict from names of parameters to functions.
            A function fills the tensor that it is given, like those of
            [`torch.nn.init`](https://docs.pytorch.org/docs/stable/nn.init.html).
        generator: where the random numbers come from. It is passed to every function that has an argument
            of this name; `None` is PyTorch's default generator. `sparse_` always takes the places of its
            zeros from the default generator.
        skip: the paths of layers to leave alone, with everything inside them, as in `skip=("head",)`.
            A tensor that such a layer shares with another layer is filled if that layer follows a rule.

    Returns:
        a dict with every name of every parameter and the name of the function that filled it,
            or `None` if no function did.

    Raises:
        ValueError: if a rule matches no layer; if a parameter to be filled waits for its first batch;
            if a function returns a new tensor instead of filling the given one;
            if a module in the net contains itself.
        AttributeError: if a layer does not have a parameter that its rule names;
            if there is no layer at a path to skip.
        TypeError: if the rules are not types, names and functions; if `net` is not a module;
            if `skip` is not a collection of paths.
        RuntimeError: if the generator is on a different device than a parameter to be filled.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import init_by_type

        net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1, bias=False))
        report = init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_, "bias": nn.init.zeros_}})
        for name, function in report.items():
            print(name, function)
        #> 0.weight xavier_uniform_
        #> 0.bias zeros_
        #> 1.weight None
        #> 1.bias None
        #> 2.weight xavier_uniform_
        ```
    """
    check_net(net)
    plan = _plan(net, rules, generator, _skipped(net, skip))
    names = [(name, identity(each)) for name, each in net.named_parameters(remove_duplicate=False)]
    filled: dict[Hashable, str] = {}
    before = Snapshot(net, generator)
    try:
        for name, parameter, function, given in plan:
            if (tensor := identity(parameter)) not in filled:
                filled[tensor] = _text(function)
                _fill(name, parameter, function, given)
        _zero_padding(net, filled)
    except BaseException:
        before.restore()
        raise
    return {name: filled.get(tensor) for name, tensor in names}


def _skipped(net: nn.Module, skip: Iterable[str]) -> set[nn.Module]:
    """The modules at these paths, and the modules inside them."""
    if isinstance(skip, str) or not isinstance(skip, Iterable):
        example = skip if isinstance(skip, str) else "head"
        raise TypeError(f"expected the paths of layers to skip, as in skip=('{example}',), but got {skip!r}")
    modules: set[nn.Module] = set()
    for path in skip:
        if not isinstance(path, str):
            raise TypeError(f"expected the path of a layer to skip, which is a str, but got {kind_of(path)}")
        try:
            modules.update(net.get_submodule(path).modules())
        except AttributeError:
            parameters = (name for name, _ in net.named_parameters(remove_duplicate=False))
            layers = [name for name, _ in named_modules(net) if name]
            hint = "it is a parameter" if path in parameters else nearest(path, layers)
            raise AttributeError(f"{type(net).__name__} has no layer '{path}' to skip: {hint}") from None
    return modules


def _plan(
    net: nn.Module,
    rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]],
    generator: torch.Generator | None,
    skipped: set[nn.Module],
) -> list[tuple[str, nn.Parameter, Callable[..., Any], dict[str, torch.Generator]]]:
    """For each parameter to be filled: its name, the parameter, its function, and the function's arguments.

    All checks are made here.
    """
    _check_rules(rules)
    functions = {id(function): function for rule in rules.values() for function in rule.values()}
    drawing = {key for key, function in functions.items() if generator and _takes_generator(function)}
    plan = []
    unused = dict(rules)
    for path, module in named_modules(net):
        kind = next((kind for kind in type(module).__mro__ if kind in rules), None)
        if kind is None or module in skipped:
            continue
        unused.pop(kind, None)
        if unknown := [own for own in rules[kind] if own not in module._parameters]:
            name = f"{path}.{unknown[0]}" if path else unknown[0]
            owned = ", ".join(map(repr, module._parameters)) or "none"
            raise AttributeError(
                f"{type(module).__name__} has no parameter '{name}' to fill: of its own it has {owned}"
                f"{f'; skip=({path!r},) leaves the layer out' if path else ''}"
            )
        for own, parameter in module._parameters.items():
            if own in rules[kind] and parameter is not None:
                name, function = f"{path}.{own}" if path else own, rules[kind][own]
                given = {"generator": generator} if generator and id(function) in drawing else {}
                _check_parameter(name, parameter, **given)
                plan.append((name, parameter, function, given))
    left = " that is not skipped" if skipped else ""
    if unused:
        kinds = ", ".join(kind.__name__ for kind in unused)
        raise ValueError(f"no layer of {type(net).__name__}{left} follows the rule for {kinds}")
    if not plan:
        raise ValueError(f"the rules fill no parameter of {type(net).__name__}")
    return plan


def _check_rules(rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]]) -> None:
    if not isinstance(rules, Mapping):
        raise TypeError(f"expected a rule for each type of layer, but got {rules!r}")
    for kind, functions in rules.items():
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise TypeError(f"expected a class of modules to have a rule, but got {kind!r}")
        if not isinstance(functions, Mapping):
            raise TypeError(
                f"expected names of parameters and functions for {kind.__name__}, "
                f'as in {{"weight": torch.nn.init.xavier_uniform_}}, but got {functions!r}'
            )
        for name, function in functions.items():
            if not isinstance(name, str):
                raise TypeError(f"expected the name of a parameter of {kind.__name__}, but got {name!r}")
            if not callable(function):
                raise TypeError(
                    f"expected a function for '{name}' of {kind.__name__}, but got {type(function).__name__}"
                )


def _check_parameter(name: str, parameter: nn.Parameter, generator: torch.Generator | None = None) -> None:
    if is_lazy(parameter):
        raise ValueError(
            f"'{name}' is not initialized yet and cannot be filled: its shape comes with the first batch"
        )
    if generator and not parameter.is_meta and parameter.device.type != generator.device.type:
        raise RuntimeError(
            f"Expected a '{parameter.device.type}' device type for generator "
            f"but found '{generator.device.type}', for '{name}'"
        )


def _fill(name: str, parameter: nn.Parameter, function: Callable[..., Any], given: dict[str, Any]) -> None:
    # Some functions draw even on the meta device, for example `sparse_` in PyTorch 2.11.
    undrawn = torch.random.fork_rng(devices=[]) if parameter.is_meta else nullcontext()
    try:
        with writing(parameter), undrawn:
            result = function(parameter, **given)
        if isinstance(result, Tensor) and not _in_one_memory(result, parameter):
            raise ValueError(
                f"expected {_text(function)} to fill its tensor in place, but it returned a new one"
            )
    except BaseException as error:
        error.add_note(f"{_text(function)} was filling '{name}' of shape {tuple(parameter.shape)}")
        raise


def _in_one_memory(a: Tensor, b: Tensor) -> bool:
    return a is b or a.untyped_storage()._cdata == b.untyped_storage()._cdata


def _zero_padding(net: nn.Module, filled: Container[Hashable]) -> None:
    """Set the padding rows of the filled tables to 0, whichever layer's rule has filled them."""
    for module in net.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
            weight = module._parameters.get("weight")  # None if the weight is computed
            if weight is not None and identity(weight) in filled:
                with writing(weight):
                    weight[module.padding_idx] = 0


def _takes_generator(function: Callable[..., Any]) -> bool:
    try:
        return "generator" in inspect.signature(function).parameters
    except ValueError:  # a method of Tensor, whose signature is only in its documentation
        while isinstance(function, partial):
            function = function.func
        return "generator=" in (function.__doc__ or "")


def _text(function: Callable[..., Any]) -> str:
    """A function as it would be called, without the tensor."""
    if isinstance(function, partial):
        given = [*map(repr, function.args), *(f"{key}={value!r}" for key, value in function.keywords.items())]
        return f"{_text(function.func)}({', '.join(given)})"
    return getattr(function, "__name__", type(function).__name__)
