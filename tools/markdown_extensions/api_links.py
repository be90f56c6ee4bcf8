"""A Python-Markdown extension: the name of an API in prose becomes a link to its description.

`MLP` and `apply_init(net, X)` lead to the API pages (mkdocstrings resolves an `<autoref>`).
`nn.Linear(4, 8)`, `net.state_dict()` and `zeros_` lead to the documentation of PyTorch.
Headings and links are not changed.
Nothing is imported: the names of the package are read from its source, and PyTorch's addresses follow rules.
"""

import ast
import re
from pathlib import Path

from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

PACKAGE = Path(__file__).parents[2] / "src" / "d2lblocks"
PYTORCH = "https://docs.pytorch.org/docs/stable/"
NAME = re.compile(r"(?:with )?(?P<owner>(?:\w+\.)*|\.)(?P<name>\w+)(?P<call>\(.*\))?")
ALIASES = {"nn.": "torch.nn.", "F.": "torch.nn.functional."}

# Addresses: most names have a page of their own.
OWN_PAGE = re.compile(
    r"torch\.(nn\.[A-Z]\w+|(nn\.functional|nn\.modules\.lazy|nn\.parallel|nn\.utils|nn\.parameter|accelerator|cuda|fft|func)\.\w+|\w+)"
)
ELSEWHERE = {
    "torch.accelerator": "accelerator.html",
    "torch.amp.GradScaler": "amp.html#torch.cuda.amp.GradScaler",
    "torch.autocast": "amp.html#torch.autocast",
    "torch.autograd.gradcheck": "generated/torch.autograd.gradcheck.gradcheck.html",
    "torch.device": "tensor_attributes.html#torch.device",
    "torch.distributed.checkpoint": "distributed.checkpoint.html",
    "torch.distributed.fsdp.fully_shard": "distributed.fsdp.fully_shard.html",
    "torch.export": "export.html",
    "torch.export.save": "export/api_reference.html#torch.export.save",
    "torch.inference_mode": "generated/torch.autograd.grad_mode.inference_mode.html",
    "torch.nn": "nn.html",
    "torch.nn.Buffer": "generated/torch.nn.parameter.Buffer.html",
    "torch.nn.Parameter": "generated/torch.nn.parameter.Parameter.html",
    "torch.nn.init": "nn.init.html",
    "torch.nn.utils.prune": "nn.html#module-torch.nn.utils.prune",
    "torch.optim.swa_utils.update_bn": "optim.html#torch.optim.swa_utils.update_bn",
    "torch.serialization.safe_globals": "notes/serialization.html#torch.serialization.safe_globals",
    "torch.utils.benchmark.Timer": "benchmark_utils.html#torch.utils.benchmark.Timer",
}

# Names that the pages use without their owner.
OWNERS = {
    "DataParallel": "torch.nn.",
    "DistributedDataParallel": "torch.nn.parallel.",
    "GradScaler": "torch.amp.",
    "LazyModuleMixin": "torch.nn.modules.lazy.",
    "fully_shard": "torch.distributed.fsdp.",
    "functional_call": "torch.func.",
    "skip_init": "torch.nn.utils.",
}
# Methods that the pages use without their owner. Those that are also English words need parentheses.
MODULE = re.compile(
    "add_module|apply|children|eval|get_(buffer|parameter|submodule)|load_state_dict|modules|parameters"
    "|named_(buffers|children|modules|parameters)|register_(buffer|parameter)|requires_grad_|state_dict"
    "|to_empty|train|zero_grad"
)
TENSOR = re.compile("backward|clone|copy_|cpu|detach|fill_|item|new_zeros|to|tolist")
INIT = re.compile(
    r"calculate_gain|(constant|dirac|eye|ones|orthogonal|sparse|zeros|(kaiming_|xavier_|trunc_)?(normal|uniform))_"
)
WORD = re.compile("children|clone|cpu|eval|item|modules|parameters|to|train")


class ApiLinks(Extension):
    def extendMarkdown(self, md):  # noqa: N802 (Python-Markdown calls it so)
        md.treeprocessors.register(Links(md), "api_links", 15)  # prose is parsed at 20


class Links(Treeprocessor):
    def run(self, root):
        for parent in root:
            if parent.tag in ("a", "h1", "h2", "h3", "h4", "h5", "h6"):
                continue
            self.run(parent)
            for at, child in enumerate(parent):
                if child.tag == "code" and (link := describe("".join(child.itertext()))) is not None:
                    tag, attributes = link
                    around = parent.makeelement(tag, attributes)
                    around.tail, child.tail = child.tail, None
                    around.append(child)
                    parent[at] = around


def describe(text):
    """The element that links this name, and its attributes; None if it is not the name of an API."""
    match = NAME.fullmatch(text)
    if match is None:
        return None
    owner, name, call = match["owner"], match["name"], match["call"]
    if owner in ("", "d2lblocks.", f"d2lblocks.{OURS.get(name)}.") and name in OURS:
        return "autoref", {"identifier": f"d2lblocks.{OURS[name]}.{name}"}
    if owner == "d2lblocks." and name in OURS.values():
        return "autoref", {"identifier": f"d2lblocks.{name}"}
    address = pytorch(owner, name, call)
    return ("a", {"href": PYTORCH + address}) if address else None


def pytorch(owner, name, call):
    """The address in PyTorch's documentation; None if there is none."""
    for short, long in ALIASES.items():
        owner = re.sub(rf"^{re.escape(short)}", long, owner)
    owner = owner or OWNERS.get(name, "")
    full = owner + name
    if owner == "torch.nn.Module." and MODULE.fullmatch(name):
        return f"generated/torch.nn.Module.html#{full}"
    if owner == "torch.nn.init." or (INIT.fullmatch(name) and not owner):
        return f"nn.init.html#torch.nn.init.{name}"
    if owner.startswith("torch.") or full == "torch":
        return ELSEWHERE.get(full) or (f"generated/{full}.html" if OWN_PAGE.fullmatch(full) else None)
    if owner.count(".") > 1 or (WORD.fullmatch(name) and not (call or owner)):
        return None
    if MODULE.fullmatch(name) or (name == "to" and owner == "net."):
        return f"generated/torch.nn.Module.html#torch.nn.Module.{name}"
    return f"generated/torch.Tensor.{name}.html" if TENSOR.fullmatch(name) else None


def public_names():
    """Yield the names in `__all__` of every module of the package, each with its module."""
    for path in sorted([*PACKAGE.glob("[!_]*.py"), *PACKAGE.glob("*/__init__.py")]):
        module = path.parent.name if path.stem == "__init__" else path.stem
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                yield from ((name, module) for name in ast.literal_eval(node.value))


OURS = dict(public_names())


def makeExtension(**options):  # noqa: N802 (Python-Markdown looks for this name)
    return ApiLinks(**options)
