"""Layers, norms, aggregations and models on graphs of PyTorch Geometric, with sizes and lazy."""

import inspect
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Any

import torch
import torch_geometric.nn
from torch import nn
from torch_geometric.nn import aggr, conv, models, norm

from tools.real_nets.libraries import Inputs, RealNet, first_that_works

NODES, EDGES, CHANNELS = 10, 30, 8
KINDS = ["a", "b"]
RELATIONS = [("a", "to", "b"), ("b", "to", "a")]
WORDS: list[ModuleType] = [conv, models, norm, aggr]
# The arguments of constructors, by their names.
SIZES: dict[str, Any] = dict.fromkeys(
    [
        "in_channels",
        "out_channels",
        "channels",
        "hidden_channels",
        "hidden_dim",
        "embed_dim",
        "shape",
        "node_dim",
    ],
    CHANNELS,
)
SIZES |= {"num_layers": 2, "K": 2, "num_relations": 3, "dim": 3, "edge_dim": 4, "kernel_size": 3, "k": 3}
SIZES |= {"alpha": 0.1, "num_nodes": NODES, "num_node_types": 2, "num_edge_types": 3, "edge_type_emb_dim": 4}
SIZES |= {"edge_attr_emb_dim": 4, "heads": 2, "num_classes": 3, "groups": 2, "num_groups": 2, "max_degree": 3}
SIZES |= {"num_timesteps": 2, "depth": 2, "dropout": 0.1, "mode": "cat", "first_aggr": True, "num_heads": 2}
SIZES |= {"space_dimensions": 2, "propagate_dimensions": 2, "metadata": (KINDS, RELATIONS), "num_blocks": 1}
SIZES |= {
    "aggregators": ["mean", "max"],
    "scalers": ["identity"],
    "deg": torch.tensor([0, 2, 5, 3]),
    "scaler": ["identity"],
}
SIZES |= {
    "aggr": ["mean", "max"],
    "aggrs": ["mean", "max"],
    "embedding_dim": CHANNELS,
    "walk_length": 4,
    "context_size": 2,
}
SIZES |= {"num_bilinear": 4, "num_spherical": 3, "num_radial": 3, "int_emb_size": 8, "basis_emb_size": 4}
SIZES |= {"out_emb_channels": 8, "num_embeddings": 4, "seq_len": 4, "num_entities": 5, "num_rels": 3}
SIZES |= {"hidden_node_channels": 8, "hidden_edge_channels": 8, "num_seed_points": 1, "processing_steps": 2}
SIZES |= {"num_encoder_blocks": 1, "num_decoder_blocks": 1, "num_processing_steps": 2, "node_channels": 8}


def parts() -> dict[str, Callable[[], Any]]:
    """Arguments that are nets."""

    def layers(inside: int) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(nn.Linear(inside, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, CHANNELS))

    return {
        "nn": layers(CHANNELS),
        "mlp": layers(CHANNELS),
        "local_nn": layers(CHANNELS + 3),
        "mlp_h": layers(CHANNELS),
        "mlp_f": layers(CHANNELS + 3),
        "mlp_g": layers(CHANNELS),
        "encoder": lambda: conv.GCNConv(CHANNELS, CHANNELS),
        "conv": lambda: conv.GCNConv(CHANNELS, CHANNELS),
        "gate_nn": lambda: nn.Linear(CHANNELS, 1),
        "module": lambda: norm.BatchNorm(CHANNELS),
    }


def nets() -> Iterator[RealNet]:
    for module in WORDS:
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, nn.Module) and "CuGraph" not in name:
                yield RealNet(name, partial(build, kind), inputs)
                if "in_channels" in inspect.signature(kind).parameters:
                    yield RealNet(f"{name}, lazy", partial(build, kind, in_channels=-1), inputs)
    for name in ("GCN", "GraphSAGE", "GAT", "GIN"):
        yield RealNet(f"{name}, to_hetero", partial(hetero, name), inputs)
    yield RealNet("TGNMemory of messages", memory, lambda net: ((torch.arange(4),), {}))
    yield RealNet("HeteroLinear, lazy", lambda: torch_geometric.nn.HeteroLinear(-1, CHANNELS, 3), inputs)
    yield RealNet("HeteroDictLinear, lazy", hetero_dict, inputs)


def build(kind: type[nn.Module], **given: Any) -> nn.Module:
    """Build with the arguments that have no default; if that fails, with more of them."""
    arguments = inspect.signature(kind).parameters.values()
    needed = [a.name for a in arguments if a.default is a.empty and a.kind is a.POSITIONAL_OR_KEYWORD]
    values = {**SIZES, **{name: make() for name, make in parts().items() if name in needed}, **given}
    error: Exception = ValueError("no arguments are known")
    for names in (needed, [*needed, "out_channels", "num_layers"], [a.name for a in arguments]):
        try:
            net: nn.Module = kind(**{name: values[name] for name in names if name in values})
            return net
        except Exception as failed:
            error = failed
    raise ValueError(f"cannot be built with the usual arguments: {error}")


def hetero(name: str) -> nn.Module:
    net = getattr(models, name)((-1, -1) if name != "GCN" else -1, CHANNELS, 2)
    return torch_geometric.nn.to_hetero(net, (KINDS, RELATIONS))


def hetero_dict() -> nn.Module:
    return torch_geometric.nn.HeteroDictLinear({"a": -1, "b": -1}, CHANNELS)


def memory() -> nn.Module:
    message = models.tgn.IdentityMessage(4, CHANNELS, 6)
    return models.TGNMemory(NODES, 4, CHANNELS, 6, message, models.tgn.LastAggregator())


@cache
def samples() -> dict[str, Any]:
    """The arguments of calls, by their names."""
    x = torch.rand(NODES, CHANNELS)
    edges = torch.randint(NODES, (2, EDGES))
    batch = torch.arange(NODES) // 5
    return {
        "x": x,
        "x_0": x,
        "x_s": x,
        "x_t": x,
        "z": x,
        "edge_index": edges,
        "pos_edge_index": edges,
        "neg_edge_index": edges,
        "hyperedge_index": edges,
        "edge_label_index": edges[:, :5],
        "edge_weight": torch.rand(EDGES),
        "edge_attr": torch.rand(EDGES, 4),
        "pseudo": torch.rand(EDGES, 3),
        "edge_type": torch.randint(3, (EDGES,)),
        "node_type": torch.randint(2, (NODES,)),
        "type_vec": torch.randint(3, (NODES,)),
        "pos": torch.rand(NODES, 3),
        "normal": torch.rand(NODES, 3),
        "batch": batch,
        "index": batch,
        "ptr": torch.tensor([0, 5, 10]),
        "dim_size": 2,
        "y": torch.randint(3, (NODES,)),
        "mask": torch.rand(NODES) < 0.5,
        "xs": [x, x],
        "x_dict": dict.fromkeys(KINDS, x),
        "edge_index_dict": dict.fromkeys(RELATIONS, edges),
        "num_nodes": NODES,
        "num_sampled_nodes": None,
    }


def inputs(net: nn.Module) -> Inputs:
    names = list(inspect.signature(net.forward).parameters)
    call = inspect.signature(net.forward).parameters
    needed = [name for name in names if call[name].default is inspect.Parameter.empty]
    values = samples()
    more = ["edge_attr", "edge_weight", "batch", "index", "pos"]
    sets = [needed, *([*needed, name] for name in more), names]
    candidates: list[Inputs] = []
    for chosen in sets:
        known = {name: values[name] for name in names if name in chosen and name in values}
        order = list(known)
        if order == names[: len(order)]:
            candidates.append((tuple(known.values()), {}))
        candidates.append(((), known))
    x, dense = values["x"], torch.rand(2, NODES, CHANNELS)
    z, pos = torch.randint(1, 4, (NODES,)), values["pos"] * 4
    candidates += [
        ((z, pos, values["batch"]), {}),
        ((x[None],), {}),
        ((dense, torch.rand(2, NODES, NODES)), {}),
    ]
    candidates += [((values["x_dict"], values["edge_index_dict"]), {}), ((values["x_dict"],), {}), ((x,), {})]
    candidates += [((x, x), {}), ((x, values["edge_index"], torch.rand(EDGES, 3)), {})]
    return first_that_works(net, candidates)
