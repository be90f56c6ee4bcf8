"""Lazy initialization: layers that take their sizes from the first batch."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map_only

from d2lblocks._arguments import check_net
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import named_modules, named_tensors

__all__ = ["apply_init", "uninitialized_names"]

_Net = TypeVar("_Net", bound=nn.Module)


def uninitialized_names(net: nn.Module) -> list[str]:
    """List the names of the parameters and buffers that wait for a first batch.

    Args:
        net: any module.

    Returns:
        the dotted paths, in the order of the modules; an empty list if everything has its shape.

    Raises:
        TypeError: if `net` is not a module.
        ValueError: if a module in the net contains itself; the message gives its path.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import uninitialized_names

        net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 1))
        print(uninitialized_names(net))
        #> ['0.weight', '0.bias']
        Y = net(torch.rand(2, 4))
        print(uninitialized_names(net))
        #> []
        ```
    """
    check_net(net)
    return [name for name, tensor in named_tensors(net) if is_lazy(tensor)]


def apply_init(
    net: _Net, /, *inputs: Any, init: Callable[[nn.Module], None] | None = None, **kwargs: Any
) -> _Net:
    """Give a lazy net its shapes with a dry run, and then initialize it.

    The dry run is one call `net(*inputs, **kwargs)`, without gradients and with every module in evaluation
    mode. Everything that this call changes is undone: shapes, training modes, buffers such as the running
    statistics of a batch norm, parameters, gradients, hooks, attributes, the lists, dicts and sets in
    attributes, and the random number generators. The inputs are copied first.
    Changes inside an object of a class of your own are not undone.

    Then the lazy modules get their shapes and values, in the order in which the dry run reached them:
    each forward pre-hook that gave a lazy tensor of its module its shape is called once more, with the same
    inputs and without gradients. The lazy modules of PyTorch and of other libraries are built on such hooks.
    The values come from PyTorch's default generator, like those of layers that are built with their sizes.
    So if all layers of a net are lazy and run in the order of their definition, the net gets exactly the
    values that the same net with sizes gets from the same seed.

    The contents of the net are copied, and the copy is kept until the end.

    Args:
        net: any module; without lazy parameters, the dry run only checks the inputs.
        *inputs: the arguments of the call; a batch of one example is enough.
        init: a function for `net.apply`, such as `init_xavier`, which is called after the dry run.
            It is the only keyword argument that is not passed on to the net.
        **kwargs: the keyword arguments of the call, as in `apply_init(net, input_ids=ids)`.

    Returns:
        the net.

    Raises:
        RuntimeError: if the forward pass fails; the message names the layer, the shape it got and, where
            known, the shape it expects. If the forward pass leaves a parameter without a shape, or gives it
            one other than by a forward pre-hook, which cannot be repeated.
            If the net or a part of it is a `torch.jit.ScriptModule`.
            After any of these errors, and after an error in `init`, the net is as it was before:
            the lazy parameters are lazy again.
        TypeError: if `net` is not a module.
        ValueError: if a module in the net contains itself; the message gives its path.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import apply_init, init_xavier

        net = nn.Sequential(nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(10))
        print(apply_init(net, torch.rand(1, 20), init=init_xavier))
        #> Sequential(
        #>   (0): Linear(in_features=20, out_features=256, bias=True)
        #>   (1): ReLU()
        #>   (2): Linear(in_features=256, out_features=10, bias=True)
        #> )
        ```
    """
    check_net(net)
    _refuse_scripted(net)
    before, gradients = Snapshot(net), torch.is_grad_enabled()
    # Values created in inference mode can only be written in that mode, and never trained: use it only then.
    inference = any(parameter.data.is_inference() for parameter in net.parameters())
    with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
        try:
            calls = _dry_run(net, inputs, kwargs)
            unreached = uninitialized_names(net)
        finally:
            before.restore()
        try:
            with torch.no_grad():
                for hook, arguments in calls:
                    hook(*arguments)
            if missed := uninitialized_names(net):
                raise RuntimeError(_missed(net, unreached, missed))
            if init is not None:
                net.apply(init)
        except BaseException:
            before.restore()
            raise
    return net


def _refuse_scripted(net: nn.Module) -> None:
    """Raise a RuntimeError for modules that take no hooks, and keep their state where no snapshot sees it."""
    for path, module in named_modules(net):
        if isinstance(module, torch.jit.ScriptModule):
            which = repr(path) if path else "the net"
            raise RuntimeError(
                f"apply_init is not supported on ScriptModules, and {which} is one: "
                "call it before torch.jit.script or torch.jit.trace"
            )


_Call = tuple[str, nn.Module, tuple[Any, ...]]  # the path of a module, the module, and its arguments
_HookCall = tuple[Callable[..., Any], tuple[Any, ...]]  # a hook, and its arguments


def _dry_run(net: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> list[_HookCall]:
    """Call the net, and return the calls of hooks that initialize. Hooks, modes and shapes stay behind."""
    initializing: list[_HookCall] = []
    inside: list[_Call] = []  # the calls that have not returned
    failed: list[tuple[BaseException, _Call]] = []

    def enter(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inside.append((name, module, (*args, *kwargs.values())))

    def leave(*_: Any) -> None:
        call, error = inside.pop(), sys.exception()
        if error is not None:
            failed.append((error, call))

    def follow(hook: Callable[..., Any], initializes: bool, module: nn.Module, *arguments: Any) -> Any:
        waiting, known = len(uninitialized_names(module)), len(initializing)
        result = hook(module, *arguments)
        if initializes or len(uninitialized_names(module)) < waiting:
            # If it has called hooks of other modules, it will call them the next time as well.
            initializing[known:] = [(hook, (module, *arguments))]
        return result

    args, kwargs = tree_map_only(
        Tensor, lambda t: t.detach().clone().requires_grad_(t.requires_grad), (inputs, kwargs)
    )
    for name, module in net.named_modules():
        module.training = False  # not eval(), which a module may override to do more than this
        # The hook of PyTorch's lazy modules also changes the class if the tensors were loaded.
        own = getattr(vars(module).get("_initialize_hook"), "id", None)
        hooks = module._forward_pre_hooks
        hooks.update({key: partial(follow, hook, key == own) for key, hook in hooks.items()})
        module.register_forward_pre_hook(partial(enter, name), prepend=True, with_kwargs=True)
        module.register_forward_hook(leave, always_call=True)
    # A compiled net would not call these hooks to initialize its layers.
    compiles = "torch._dynamo" in sys.modules
    with torch.no_grad(), torch.compiler.set_stance("force_eager") if compiles else nullcontext():
        try:
            net(*args, **kwargs)
        except Exception as error:
            whole = "", net, (*args, *kwargs.values())
            call = next((call for known, call in failed if known is error), whole)
            raise RuntimeError(_failure(*call, error)) from error
    return initializing


def _missed(net: nn.Module, unreached: list[str], missed: list[str]) -> str:
    names, kind = ", ".join(map(repr, unreached or missed)), type(net).__name__
    if unreached:
        return f"the dry run of {kind} did not reach {names}: call their layers by themselves first"
    return (
        f"the forward pass of {kind} initializes {names} other than by a forward pre-hook, "
        "which cannot be repeated after the dry run: call the net once under torch.no_grad() instead"
    )


def _failure(name: str, module: nn.Module, given: tuple[Any, ...], error: Exception) -> str:
    layer = type(module).__name__ if list(module.children()) else repr(module)
    came = [f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}" for x in given]
    expected = _expected(module)
    return (
        f"the dry run failed in {f'{name!r}, ' if name else ''}{layer}: "
        f"it got {' and '.join(came) or 'nothing'}{f', and expects shape {expected}' if expected else ''}: "
        f"{type(error).__name__}: {error}"
    )


def _expected(module: nn.Module) -> str:
    """The input shape of a common layer; empty for other layers, and before the first batch.

    It is taken from the tensors: the sizes in attributes stay 0 if the tensors of a lazy layer were loaded.
    """
    if any(map(is_lazy, (*module.parameters(recurse=False), *module.buffers(recurse=False)))):
        return ""
    match module:
        case nn.Linear(weight=weight):
            return f"(*, {weight.shape[1]})"
        case nn.modules.conv._ConvNd(weight=weight, groups=groups, kernel_size=kernel):
            channels = weight.shape[0] if module.transposed else weight.shape[1] * groups
            return f"(N, {channels}, {', '.join('DHW'[-len(kernel) :] if len(kernel) > 1 else 'L')})"
        case nn.modules.batchnorm._NormBase(weight=weight, running_mean=mean, num_features=features):
            sizes = [len(tensor) for tensor in (weight, mean) if tensor is not None] or [features]
            return f"(N, {sizes[0]}, ...)" if sizes[0] else ""
        case nn.LayerNorm(normalized_shape=shape):
            return f"(*, {', '.join(map(str, shape))})"
    return ""
