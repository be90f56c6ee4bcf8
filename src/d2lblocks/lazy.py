"""Lazy initialisation: sizes that come with the first batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from d2lblocks.init import unchanged_on_error
from d2lblocks.parameters import parameter_table

__all__ = ["apply_init", "uninitialized_names"]

Net = TypeVar("Net", bound=nn.Module)


def uninitialized_names(net: nn.Module) -> list[str]:
    """The names of the parameters and buffers that wait for a first batch.

    Args:
        net: any module.

    Returns:
        the dotted paths, in the order of the modules; empty when everything has its shape.

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
    return [row.name for row in parameter_table(net) if row.shape is None]


def apply_init(net: Net, *inputs: Any, init: Callable[[nn.Module], None] | None = None) -> Net:
    """Give a lazy net its shapes by a dry run, and then initialise it.

    The dry run is one call `net(*inputs)`, of which only the shapes are kept: it runs without gradients
    and with every module in evaluation mode. Training modes, gradients, buffers such as the statistics of a
    batch norm, and the inputs are afterwards as they were.
    What the forward pass draws, for dropout or noise, does not move the random stream of the CPU and CUDA
    generators; what the new parameters draw does, as it does when layers are built with their sizes.
    So a net whose layers are all lazy, and run in the order of their definition, gets the very values that
    the same seed gives to the same net with sizes.

    Args:
        net: any module; for one without lazy parameters the dry run only checks the inputs.
        *inputs: what the net is called with: a batch of one example will do.
        init: a function for `net.apply`, called after the dry run, such as `init_xavier`.

    Returns:
        the net.

    Raises:
        RuntimeError: when the forward pass fails, with the layer, the shape that came and the shape
            it expects, where it is known; when the forward pass leaves a parameter without its shape.
            The net is as it was: what was lazy is lazy again. The same holds for what `init` raises.

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
    with _lazy_again_on_error(net), unchanged_on_error(net.parameters() if init else []):
        _DryRun(net)(*inputs)
        if missed := uninitialized_names(net):
            raise RuntimeError(
                f"the dry run of {type(net).__name__} did not reach {', '.join(map(repr, missed))}: "
                "call their layers by themselves first"
            )
        if init is not None:
            net.apply(init)
    return net


class _DryRun:
    """One call of a net, of which only the new parameters are kept.

    Random numbers come from two streams that begin alike. The parameters draw from one, and the caller goes
    on with it afterwards; everything else draws from the other, which is forgotten.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.inside: list[tuple[str, nn.Module, tuple[Any, ...]]] = []  # calls that have not returned
        self.waiting = _random_state()  # the stream that is not in use: at first, the parameters'

    def __call__(self, *inputs: Any) -> None:
        copies = tuple(given.clone() if isinstance(given, Tensor) else given for given in inputs)
        buffers = [(buffer, buffer.clone()) for buffer in self.net.buffers() if not is_lazy(buffer)]
        modes = [(module, module.training) for module in self.net.modules()]
        self.inside.append(("", self.net, copies))
        hooks = list(self.hook())
        with torch.no_grad():
            try:
                for module, _ in modes:
                    module.training = False  # not eval(), in which a module may do more than this
                self.net(*copies)
            except Exception as error:
                raise RuntimeError(_failure(*self.inside[-1], error)) from error
            finally:
                for hook in hooks:
                    hook.remove()
                for module, mode in modes:
                    module.training = mode
                for buffer, values in buffers:
                    buffer.copy_(values)
        _set_random_state(self.waiting)

    def hook(self) -> Iterator[RemovableHandle]:
        for name, module in self.net.named_modules():
            lazy = isinstance(module, LazyModuleMixin)
            if lazy:
                # Before and after the module's own hook, which makes its parameters.
                yield module.register_forward_pre_hook(self.switch, prepend=True)
                yield module.register_forward_pre_hook(self.switch)
            yield module.register_forward_pre_hook(partial(self.enter, name), prepend=True)
            yield module.register_forward_hook(self.leave)

    def switch(self, *_: Any) -> None:
        used = _random_state()
        _set_random_state(self.waiting)
        self.waiting = used

    def enter(self, name: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        self.inside.append((name, module, given))

    def leave(self, module: nn.Module, *_: Any) -> None:
        while self.inside.pop()[1] is not module:  # calls that raised, in a forward that went on
            pass


@contextmanager
def _lazy_again_on_error(net: nn.Module) -> Iterator[None]:
    """Make lazy what was lazy, and draw again what was drawn, when the block raises."""
    random_state = _random_state()
    waiting = [
        (tensor, type(tensor), tensor.data.device, tensor.data.dtype)
        for tensor in (*net.parameters(), *net.buffers())
        if is_lazy(tensor)
    ]
    # The dictionaries themselves get their entries back: handles of hooks refer to them.
    modules = [(module, type(module), dict(vars(module))) for module in net.modules()]
    entries = [(each, dict(each)) for _, _, own in modules for each in own.values() if isinstance(each, dict)]
    try:
        yield
    except BaseException:
        for tensor, lazy_tensor, device, dtype in waiting:
            tensor.data = torch.empty(0, device=device, dtype=dtype)
            tensor.__class__ = lazy_tensor
        for module, lazy_module, own in modules:
            module.__class__ = lazy_module
            vars(module).clear()
            vars(module).update(own)
        for each, items in entries:
            each.clear()
            each.update(items)
        _set_random_state(random_state)
        raise


def _random_state() -> list[Tensor]:
    """The states of the default generators: the CPU's, then those of the CUDA devices in use."""
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if cuda else [])]


def _set_random_state(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state_all(states[1:])


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
    """The shape of the input that a common layer takes; empty for others, and before the first batch."""
    if any(map(is_lazy, (*module.parameters(recurse=False), *module.buffers(recurse=False)))):
        return ""
    match module:
        case nn.Linear(weight=weight):
            return f"(*, {weight.shape[1]})"
        case nn.modules.conv._ConvNd(weight=weight, groups=groups, kernel_size=kernel):
            channels = weight.shape[0] if module.transposed else weight.shape[1] * groups
            return f"(N, {channels}, {', '.join('DHW'[-len(kernel) :] if len(kernel) > 1 else 'L')})"
        case nn.modules.batchnorm._NormBase(num_features=features):
            return f"(N, {features}, ...)"
        case nn.LayerNorm(normalized_shape=shape):
            return f"(*, {', '.join(map(str, shape))})"
    return ""
