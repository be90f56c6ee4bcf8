"""One call of a net, watched: which tensors each operation uses, which modules run, and what they return."""

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import FrameType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from ._source import Line, caller, is_torch, line_of

_DATA = torch.Tensor.data
_VIEWS = {getattr(torch.Tensor, name) for name in ("T", "mT", "H", "mH", "real", "imag")}
_CALL = nn.Module._call_impl.__code__
_QUESTIONS = {  # functions that do not compute with the values of a tensor
    "size", "dim", "numel", "stride", "is_floating_point", "is_complex", "type", "element_size", "nelement",
    "is_contiguous", "storage_offset", "data_ptr", "untyped_storage", "__len__", "__hash__", "__repr__",
    "__format__", "is_inference", "get_device", "is_pinned", "register_hook", "requires_grad_",
    "__reduce_ex__", "__deepcopy__", "is_same_size", "result_type", "is_tensor", "is_nonzero",
    "zeros_like", "ones_like",
    "empty_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones", "new_empty", "new_full",
    "new_tensor", "has_names", "is_storage", "is_conj", "is_neg",
}  # fmt: skip
_WITHOUT_GRAPH = {"detach", "item", "tolist", "numpy", "__bool__", "__float__", "__int__"}  # their results
RANDOM = {
    "dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
    "feature_dropout", "rrelu", "gumbel_softmax", "rand", "randn", "randint", "randperm", "rand_like",
    "randn_like", "randint_like", "normal", "bernoulli", "bernoulli_", "multinomial", "poisson", "normal_",
    "uniform_", "random_", "exponential_", "geometric_", "cauchy_", "log_normal_", "trunc_normal_",
    "scaled_dot_product_attention", "multi_head_attention_forward", "lstm", "gru", "rnn_tanh", "rnn_relu",
    "fractional_max_pool2d", "fractional_max_pool3d",
}  # fmt: skip


class Use(NamedTuple):
    """An operation that used a tensor.

    Attributes:
        tensor: the tensor.
        function: the name of the operation.
        module: the path of the module that was running; empty for the net itself.
        line: the line outside PyTorch that called the operation, or the module with the operation.
        recorded: whether autograd recorded the operation.
        argument: the position of the tensor among the arguments, or -1.
    """

    tensor: Tensor
    function: str
    module: str
    line: Line | None
    recorded: bool
    argument: int


class Draw(NamedTuple):
    """An operation that drew random numbers, and whether the module that was running is one of the net."""

    function: str
    module: str
    line: Line | None
    registered: bool


class Write(NamedTuple):
    """A write into a parameter through `.data`.

    Attributes:
        use: the operation that wrote.
        used_before: whether autograd had recorded an operation with the parameter.
        time: the number of operations that autograd had recorded before.
    """

    use: Use
    used_before: bool
    time: int


class Call(NamedTuple):
    """A call of a module.

    Attributes:
        module: the module.
        path: its path in the net, or None if it is no module of the net.
        above: the index of the call during which it was called, or -1.
    """

    module: nn.Module
    path: str | None
    above: int


class Output(NamedTuple):
    """What a module returned, in numbers: its size, and the Euclidean norm of its values."""

    call: Call
    numel: int
    norm: Tensor


class Loop(NamedTuple):
    """A loop over `children()` of a module that holds one of its children several times.

    Attributes:
        module: the module.
        call: the index of the call in which the loop ran.
        line: the line of the loop.
    """

    module: nn.Module
    call: int
    line: Line | None


class Watch(TorchFunctionMode):
    """Watch the operations while it is active: `with watch: Y = net(X)`.

    Args:
        paths: the path of each module of the net, by its id.
        known: the tensors whose first use is recorded, by their ids.
        owned: the ids of parameters that the net owns; the uses of any other `nn.Parameter` are recorded.
        inputs: tensors that should keep their values.
        measure: whether to measure the outputs of modules.
    """

    def __init__(
        self,
        paths: dict[int, str],
        known: dict[int, Tensor],
        owned: set[int],
        inputs: Iterable[Tensor] = (),
        measure: bool = False,
    ) -> None:
        super().__init__()
        self.paths, self.known, self.owned, self.measure = paths, known, owned, measure
        self.uses: dict[int, Use] = {}
        self.strangers: dict[int, Use] = {}  # parameters that the net does not own
        self.data_reads: dict[int, Use] = {}
        self.data_writes: list[Write] = []
        self.changes: dict[int, Use] = {}  # operations that wrote into an input
        self.random: list[Draw] = []
        self.losses: list[LossCall] = []
        self.calls: list[Call] = []
        self.loops: list[Loop] = []
        self.bypassed: dict[int, tuple[nn.Module, Line | None]] = {}
        self.outputs: list[Output] = []
        self.deepest: tuple[BaseException, Call, tuple[Any, ...]] | None = None
        self._inputs = [(tensor, tensor._version) for tensor in inputs if not tensor.is_inference()]
        self._open: list[tuple[int, tuple[Any, ...]]] = []
        self._data_of: dict[int, Tensor] = {}  # by the storage: the parameters whose data was read
        self._aliases: dict[
            int, tuple[Tensor, Tensor]
        ] = {}  # results of `.data`, kept so that their ids stay
        self._hooks = ExitStack()
        self._loss = False
        self._thread = threading.get_ident()  # the hooks are called for the modules of all threads

    def __enter__(self) -> Self:
        for handle in (
            register_module_forward_pre_hook(self._begin),
            register_module_forward_hook(self._end, always_call=True),
        ):
            self._hooks.callback(handle.remove)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)  # type: ignore[no-untyped-call]
        finally:
            self._hooks.close()

    def loss(self, function: Callable[..., Any], *outputs: Any) -> Any:
        """Call the loss function: its parameters are its own business."""
        self._loss = True
        try:
            return function(*outputs)
        finally:
            self._loss = False

    # Modules.

    def _begin(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != self._thread:
            return
        self._called_directly(skip=1)
        above = self._open[-1][0] if self._open else -1
        self.calls.append(Call(module, self.paths.get(id(module)), above))
        self._open.append((len(self.calls) - 1, args))

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        index, args = self._open.pop()
        error = sys.exception()
        if error is not None and (self.deepest is None or self.deepest[0] is not error):
            self.deepest = error, self.calls[index], args
        if self.measure and not self._loss and isinstance(output, Tensor) and _is_measurable(output):
            with torch._C.DisableTorchFunction(), torch.no_grad():
                dtype = torch.float32 if output.dtype in (torch.float16, torch.bfloat16) else None
                norm = torch.linalg.vector_norm(output.detach(), dtype=dtype)
                self.outputs.append(Output(self.calls[index], output.numel(), norm))

    @property
    def _registered(self) -> bool:
        """Whether the module that is running is one of the net."""
        return bool(self._open) and self.calls[self._open[-1][0]].path is not None

    @property
    def _path(self) -> str:
        """The path of the module that is running, or of the innermost one of the net."""
        paths = (self.calls[index].path for index, _ in reversed(self._open))
        return next((path for path in paths if path is not None), "")

    def watch_loops(self, module: nn.Module) -> None:
        """Record loops over the children of a module; a snapshot of the module undoes this."""

        def named_children() -> Iterator[tuple[str, nn.Module]]:
            frame = sys._getframe(1)
            if frame.f_code.co_name == "children" and frame.f_back is not None:
                frame = frame.f_back
            if self._open and not is_torch(frame.f_code.co_filename):  # not train() or apply()
                self.loops.append(Loop(module, self._open[-1][0], line_of(frame)))
            return type(module).named_children(module)

        vars(module)["named_children"] = named_children

    # Operations.

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            if getattr(function, "__self__", None) is _DATA and not self._loss:
                return self._data(name, function, args, kwargs)
            read: Any = getattr(function, "__self__", None)
            if name == "__get__" and read in _VIEWS and not self._loss:
                self._used(args[0], read.__name__, 0)
            return function(*args, **kwargs)
        if name in _QUESTIONS:
            return function(*args, **kwargs)
        if self._loss:
            result = function(*args, **kwargs)
            self._in_loss(name, args, kwargs, result)
            return result
        first = next(iter((*args, *kwargs.values())), None)  # functions of nn.init get it by its name
        writes = _writes(name) and isinstance(first, Tensor)
        for argument, tensor in _tensors(args, kwargs):
            if argument or not writes:
                self._used(tensor, name, argument)
        if name in RANDOM and getattr(function, "__module__", "") != "torch.nn.init":
            self._drew(name, args, kwargs)
        self._called_directly()
        if writes and (parameter := self._written(first)) is not None:
            return self._wrote(parameter, name, function, args, kwargs)
        result = function(*args, **kwargs)
        if name in _LOSSES:
            self._in_loss(name, args, kwargs, result)
        for tensor, version in self._inputs:
            if tensor._version != version and id(tensor) not in self.changes:
                self.changes[id(tensor)] = self._use(tensor, name)
        return result

    def _use(self, tensor: Tensor, name: str, argument: int = -1) -> Use:
        recorded = torch.is_grad_enabled() and tensor.requires_grad and name not in _WITHOUT_GRAPH
        return Use(tensor, name, self._path, line_of(caller()), recorded, argument)

    def _used(self, tensor: Tensor, name: str, argument: int) -> None:
        known = id(tensor)
        if known in self.known:
            if known not in self.uses or (not self.uses[known].recorded and torch.is_grad_enabled()):
                self.uses[known] = self._use(tensor, name, argument)
        elif isinstance(tensor, nn.Parameter) and known not in self.owned:
            earlier = self.strangers.get(known)
            if earlier is None or not earlier.recorded:
                self.strangers[known] = self._use(tensor, name, argument)
        elif known in self._aliases:
            parameter, _ = self._aliases[known]
            self.data_reads.setdefault(id(parameter), self._use(parameter, name, argument))

    def _drew(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        probability = kwargs.get("dropout_p", args[4] if len(args) > 4 else 0.0)
        if name == "scaled_dot_product_attention" and not probability:
            return
        training = kwargs.get("training", args[2] if len(args) > 2 else True)
        if "dropout" in name and training is False:
            return
        if name in ("multi_head_attention_forward", "rrelu", "lstm", "gru", "rnn_tanh", "rnn_relu"):
            return  # they draw only in training mode, and in lines of PyTorch
        self.random.append(Draw(name, self._path, line_of(caller()), self._registered))

    # `.data`.

    def _data(self, name: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensor, frame = args[0], caller()
        own = frame is None or is_torch(frame.f_code.co_filename)
        if own or not isinstance(tensor, nn.Parameter) or not tensor.requires_grad:
            return function(*args, **kwargs)
        if name == "__set__":
            return self._wrote(tensor, "data", function, args, kwargs)
        result = function(*args, **kwargs)
        self._aliases[id(result)] = tensor, result
        if result.layout is torch.strided and not result.is_nested:
            self._data_of[result.untyped_storage()._cdata] = tensor
        return result

    def _written(self, target: Any) -> Tensor | None:
        """The parameter whose values are those of a tensor that is about to be changed."""
        if not self._data_of or not isinstance(target, Tensor) or target.requires_grad:
            return None
        return self._data_of.get(target.untyped_storage()._cdata) if target.layout is torch.strided else None

    def _wrote(
        self, parameter: Tensor, name: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a function that writes into a parameter, and record it if the values change."""
        before = parameter.detach().clone()
        result = function(*args, **kwargs)
        if before.shape != parameter.shape or not torch.equal(before, parameter):
            time = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
            self.data_writes.append(Write(self._use(parameter, name), self._is_in_graph(parameter), time))
        return result

    def _is_in_graph(self, tensor: Tensor) -> bool:
        use = self.uses.get(id(tensor)) or self.strangers.get(id(tensor))
        return use is not None and use.recorded

    # `layer.forward(X)`.

    def _called_directly(self, skip: int = 0) -> None:
        """Find functions called `forward` between this operation and the module call around it.

        There is one, that of the module which was called; it may call that of its base class. Any other
        was called by its name, so the hooks of its module did not run.

        Args:
            skip: how many calls of modules to leave out: the one that begins.
        """
        frames: list[FrameType] = []
        frame: FrameType | None = sys._getframe(2)
        while skip and frame is not None:
            skip -= frame.f_code is _CALL
            frame = frame.f_back
        while frame is not None and frame.f_code is not _CALL:
            if frame.f_code.co_name == "forward":
                frames.append(frame)
            frame = frame.f_back
        if frame is None or len(frames) < 2:
            return
        called = _self(frames[-1])
        for each in frames[:-1]:
            module = _self(each)
            if isinstance(module, nn.Module) and module is not called and id(module) in self.paths:
                caller = each.f_back
                # A decorator, or a derived class, is passed over; a call of its own is where it happens.
                own = getattr(type(module).__call__, "__code__", None)
                while caller is not None and _self(caller) is module and caller.f_code is not own:
                    caller = caller.f_back
                self.bypassed.setdefault(id(module), (module, line_of(caller)))

    # The loss.

    def _in_loss(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        tensors = [tensor for _, tensor in _tensors(args, kwargs)]
        if name in _LOSSES or (name in _ELEMENTWISE and len(tensors) == 2):
            shapes = tuple(tuple(tensor.shape) for tensor in tensors)
            shape = tuple(result.shape) if isinstance(result, Tensor) else None
            self.losses.append(LossCall(name, tensors, shapes, shape, line_of(caller())))


class LossCall(NamedTuple):
    """An operation of a loss function: its tensors, their shapes, and the shape of its result."""

    function: str
    tensors: list[Tensor]
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...] | None
    line: Line | None


_LOSSES = {
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss",
    "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "bce_loss",
}  # fmt: skip
_ELEMENTWISE = {"sub", "__sub__", "__rsub__", "rsub", "mul", "__mul__", "__rmul__"}


def _writes(name: str) -> bool:
    """Whether a function writes into its first argument."""
    return (name.endswith("_") and not name.endswith("__")) or name in _IN_PLACE


_IN_PLACE = {"__setitem__"} | {
    f"__i{each}__" for each in ("add", "sub", "mul", "truediv", "floordiv", "pow", "mod", "and", "or", "xor")
}


def _tensors(args: Iterable[Any], kwargs: dict[str, Any]) -> Iterator[tuple[int, Tensor]]:
    """Yield the tensors among arguments, also in lists and tuples, with the positions of the arguments."""
    for position, value in enumerate((*args, *kwargs.values())):
        if isinstance(value, Tensor):
            yield position, value
        elif isinstance(value, list | tuple):
            for part in value:
                if isinstance(part, Tensor):
                    yield position, part


def _self(frame: FrameType) -> Any:
    """The first argument of the function that runs in a frame."""
    code = frame.f_code
    if code.co_argcount:
        return frame.f_locals.get(code.co_varnames[0])
    if code.co_flags & inspect.CO_VARARGS:
        return next(iter(frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount], ())), None)
    return None


def _is_measurable(tensor: Tensor) -> bool:
    return (
        (tensor.is_floating_point() or tensor.is_complex())
        and tensor.layout is torch.strided
        and not (tensor.is_nested or tensor.is_meta)
        and tensor.numel() > 0
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and tensor.dtype.itemsize > 1  # not 8 bits, for which few operations exist
    )
