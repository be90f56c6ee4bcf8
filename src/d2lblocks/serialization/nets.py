"""The parameters and buffers of a net in a safetensors file: all of them are loaded, or none."""

import os
from contextlib import nullcontext
from typing import TypeVar

from torch import nn

from d2lblocks._arguments import check_net, check_path

from ._changes import undone_on_error, uninterrupted
from ._files import FilePath, replacing
from ._format import reading, write
from ._lazy_sizes import lazy_problems, learn_sizes
from ._loading_code import has_loading_code, run_loading_code
from ._states import (
    check_loadable,
    check_storable,
    compare,
    compare_names,
    fill,
    misfit,
    named_state,
    split_ties,
    untold_names,
)

_Net = TypeVar("_Net", bound=nn.Module)


def save_parameters(net: nn.Module, path: FilePath) -> None:
    """Write a net's parameters and buffers to a safetensors file, by their names in `state_dict`.

    A shared tensor is written once, and its other names are kept in the file's metadata.
    Buffers with `persistent=False` are left out.

    The file has a checksum of everything in its metadata, which `load_parameters` compares.
    The file at `path` is replaced at once, when the new one is complete.
    A tensor that is on another device is in the CPU's memory while it is written.

    Args:
        net: any module.
        path: the file; a link stays, and the file that it leads to is replaced.

    Raises:
        ValueError: when a tensor is lazy or on the meta device and so has no values,
            or when two tensors have the same name.
        TypeError: when a tensor is of a kind that the format does not have, when the state has an entry
            that is neither a parameter nor a buffer, or when the arguments are not a net and a path.
        OSError: when the file cannot be written; an older one is as it was.

    Examples:
        ```python
        from safetensors.torch import load_file
        from d2lblocks import MLP, save_parameters

        save_parameters(MLP(20), "mlp.safetensors")
        print(sorted(load_file("mlp.safetensors")))
        #> ['hidden.bias', 'hidden.weight', 'out.bias', 'out.weight']
        ```
    """
    check_net(net)
    check_path(path)
    state = named_state(net)
    check_storable(state)
    tensors, ties = split_ties(state)
    with replacing(path) as file:
        write(file, tensors, ties)


def load_parameters(net: _Net, path: FilePath, *, cast: bool = False, verify: bool = True) -> _Net:
    """Read a net's parameters and buffers from a safetensors file, all of them or none.

    Everything is checked before the first value changes.
    The tensors stay the same objects, where they are: what shares them, and an optimizer that holds them,
    see the new values. Lazy parameters get their shapes from the file, if those agree with what the layer
    was made with; a layer such as `nn.LazyLinear` keeps its class until its first call.
    Hooks and methods of the net that `load_state_dict` would call are called after the values are there.

    Other programs often write a shared tensor under one name only. From such a file a missing name is taken
    to be the tensor that the net shares it with.

    Args:
        net: a module with the names, shapes, types and shared tensors of the one that was saved.
        path: the file, from `save_parameters` or another program.
        cast: whether values of another type are cast to the net's, as from float64 to float32;
            complex numbers do not become real ones, nor fractions whole ones.
        verify: whether everything is compared with the checksums of the file, which reads it once more.
            A file of another program has none, and needs `verify=False`.

    Returns:
        the net.

    Raises:
        RuntimeError: when the file does not fit the net, with all that does not. The net is as it was.
        DamagedFileError: when the file is no safetensors file, is damaged, or cannot be verified.
            It is a RuntimeError, too, and the net is as it was.
        ValueError: when the net is on the meta device, or two of its tensors have the same name.
        TypeError: when the net holds a tensor of a kind that the format does not have,
            or when the arguments are not a net and a path.
        OSError: when there is no such file, or it cannot be read.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP, load_parameters, save_parameters

        net, X = MLP(20), torch.rand(2, 20)
        save_parameters(net, "mlp.safetensors")
        clone = load_parameters(MLP(20), "mlp.safetensors")
        print(torch.equal(clone(X), net(X)))
        #> True
        ```
    """
    check_net(net)
    check_path(path)
    state = named_state(net)
    check_loadable(state, net)
    with reading(path) as file:
        if verify and (file.names == state.keys() or file.checksums is None):
            file.verify()
        names = file.names | untold_names(file, state)
        problems, copies = compare(file, state, cast)
        if problems := [*compare_names(names, state, net), *lazy_problems(net, "", file), *problems]:
            head = f"Error(s) in loading parameters for {type(net).__name__} from {os.fspath(path)}:"
            raise misfit(head, problems)
        coded = has_loading_code(net)
        with uninterrupted(), undone_on_error(net) if coded else nullcontext():
            fill(copies)
            learn_sizes(net)
            if coded:
                run_loading_code(net, {})
    return net
