"""The required content of the pages: parts of every topic, rows of the chapter, known mistakes."""

import ast
import importlib
import pkgutil
import re

import pytest

from tests.page_runner import Page
from tools.pages import ROOT, project

DOCS = ROOT / "docs" / "en"
MODULES = [module.name for module in pkgutil.iter_modules([str(ROOT / "src" / "d2lblocks")])]
TOPICS = sorted(name for name in MODULES if not name.startswith("_") and name != "practice")

# The names that readers of the chapter look for, and the number of its exercises.
CHAPTER = {
    "modules": ("Sequential OrderedDict Conv2d MLP __call__ MySequential FixedHiddenMLP NestMLP chimera", 3),
    "parameters": ("state_dict named_parameters grad rgnet shared get_parameter NestMLP", 3),
    "init": ("apply init_normal init_constant init_xavier init_42 my_init xavier_uniform_", 1),
    "lazy": ("LazyLinear apply_init LazyConv2d LazyBatchNorm2d skip_init", 3),
    "layers": ("CenteredLayer MyLinear Sequential Parameter einsum rfft", 2),
    "serialization": ("save load state_dict load_state_dict eval MLP", 3),
    "diagnosis": ("diagnose explain explain_errors TorchFunctionMode", 3),
    "devices": ("device cpu gpu num_gpus try_gpu try_all_gpus to", 4),
}

# The mistakes that people make: their pages, and the message or the symptom to search for.
MISTAKES = [
    ("modules", "cannot assign module before Module.__init__() call"),
    ("modules", "object has no attribute '_backward_hooks'"),
    ("modules", "optimizer got an empty parameter list"),
    ("layers", "### Parameters in a Python list"),
    ("layers", "### `nn.Parameter(t) * 0.01` is not a parameter"),
    ("modules", "### A constant is not saved, cast or moved with the net"),
    ("layers", "#> RuntimeError: expected m1 and m2 to have the same dtype"),
    ("layers", "#> RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"),
    ("parameters", "#> tensor(40.)"),
    ("parameters", "is at version 1; expected version 0"),
    (
        "parameters",
        "#> RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.",
    ),
    (
        "parameters",
        "cannot assign 'torch.FloatTensor' as parameter 'bias' (torch.nn.Parameter or None expected)",
    ),
    ("parameters", "#> RuntimeError: output with shape [1] doesn't match the broadcast shape [3, 3]"),
    ("lazy", "#> RuntimeError: Can't access the shape of an uninitialized parameter or buffer."),
    ("lazy", "#> ValueError: Attempted to use an uninitialized parameter in"),
    ("lazy", "### `apply` skipped the lazy layers"),
    ("init", "### `net.apply(f)` runs, but the weights do not change"),
    ("lazy", "#> AttributeError: 'Parameter' object has no attribute 'materialize'"),
    ("lazy", "#> Weights only load failed"),
    ("lazy", "### The same seed, but not the same values"),
    ("serialization", "a whole module: Unsupported global"),
    ("serialization", "numpy.float64: Unsupported global"),
    ("serialization", "#> TypeError: Expected state_dict to be dict-like, got <class 'str'>."),
    ("serialization", "#> TypeError: '_IncompatibleKeys' object is not callable"),
    ("serialization", "Unsupported global: GLOBAL getattr"),
    ("serialization", "### `Missing key(s) in state_dict`, and the same names with `module.`"),
    ("serialization", "### `strict=False`: nothing was loaded, and there is no error"),
    ("serialization", "### `state_dict()` is not a copy: the best weights have changed"),
    ("parameters", "### `[layer] * 3` makes one layer, not three"),
    ("serialization", "### Tied weights are no longer tied after loading"),
    ("modules", "### A layer used twice in a container runs only once"),
    ("parameters", "### A replaced layer does not learn"),
    ("modules", "### A layer does not learn because `forward` creates it"),
    ("devices", "### The tensor did not move"),
    ("devices", "### `Expected one of cpu, cuda, ...`"),
    ("devices", "### `Torch not compiled with CUDA enabled`"),
    ("devices", "### `Expected all tensors to be on the same device`"),
    ("modules", '#> NotImplementedError: Module [Misspelled] is missing the required "forward" function'),
    ("modules", "#> TypeError: linear(): argument 'input' (position 1) must be Tensor, not ReLU"),
    ("modules", "### The same input gives a different output every time"),
    ("modules", "### The net changes its input tensor"),
    ("init", "### The hidden neurons stay equal: constant weights"),
    ("init", "#> ValueError: Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"),
    ("init", "#> AttributeError: 'NoneType' object has no attribute 'zero_'"),
    ("serialization", "## Views: saving part of a tensor saves all of it"),
    ("parameters", "### A frozen layer still trains: `require_grad`"),
    ("parameters", "#> ValueError: some parameters appear in more than one parameter group"),
    (
        "serialization",
        "#> ValueError: loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    ),
    ("serialization", "### The optimizer's state belongs to other layers"),
    ("serialization", '#>     Unexpected key(s) in state_dict: "mean".'),
    ("serialization", "#> AttributeError: 'GELU' object has no attribute 'approximate'"),
    ("serialization", "#> ModuleNotFoundError: No module named 'models'"),
    ("serialization", "#> Can't get attribute 'Net'"),
    ("serialization", "PytorchStreamReader failed reading zip archive: failed finding central directory."),
    ("serialization", "#> Some tensors share memory, this will lead to duplicate memory on disk"),
    ("serialization", "#> ValueError: You are trying to save a non contiguous tensor: `weight`"),
    ("serialization", "param 'initial_lr' is not specified in param_groups[0] when resuming scheduler"),
    ("serialization", '"0._orig_mod.weight", "0._orig_mod.bias"'),
    ("serialization", '"parametrizations.weight.original0", "parametrizations.weight.original1"'),
    ("serialization", "### Loading changes the dtype"),
    ("serialization", "WeightsUnpickler error: Unsupported global: GLOBAL"),
    ("serialization", "#> RuntimeError: Attempting to deserialize object on a CUDA device"),
    ("serialization", "#> RuntimeError: Attempting to deserialize object on CUDA device 1"),
    ("serialization", "#> ValueError: loaded state dict has a different number of parameter groups"),
    ("serialization", "#> EOFError: Ran out of input"),
    ("serialization", '"n_averaged", "module.0.weight"'),
    ("lazy", "copying from a non-meta parameter in the checkpoint to a meta parameter"),
    ("lazy", "#> NotImplementedError: Cannot copy out of meta tensor; no data!"),
    ("lazy", "#> Conv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))"),
    ("lazy", "#> SymIntArrayRef expected to contain only concrete integers"),
    (
        "lazy",
        "#> RuntimeError: Modules with uninitialized parameters can't be used with `DistributedDataParallel`.",
    ),
    ("init", "### The row of `padding_idx` is not zero"),
]


def names_in_code(page: Page) -> set[str]:
    """Every name that the snippets of a page use, define or import."""
    nodes = [node for snippet in page.snippets for node in ast.walk(ast.parse("\n".join(snippet.code)))]
    fields = ("id", "attr", "name")  # of names, attributes, definitions and imports
    return {getattr(node, field) for node in nodes for field in fields if hasattr(node, field)}


@pytest.mark.parametrize("topic", TOPICS)
def test_every_public_name_is_on_its_page(topic: str) -> None:
    """A topic's page uses every name that its module offers, and the module offers at least one."""
    page = project().page(DOCS / f"{topic}.md", topic)
    public = set(importlib.import_module(f"d2lblocks.{topic}").__all__)
    assert public
    assert public - names_in_code(page) == set()


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_its_parts(topic: str) -> None:
    """A topic is a page, a module, an API page, a file of tests, and a table on the cheat sheet."""
    parts = [
        DOCS / f"{topic}.md",
        DOCS / "api" / f"{topic}.md",
        ROOT / "tests" / "package" / f"test_{topic}.py",
    ]
    assert [part for part in parts if not part.is_file()] == []
    assert f'--8<-- "{topic}.md:short"' in (DOCS / "cheatsheet.md").read_text("utf-8")
    assert f"({topic}.md)" in (DOCS / "index.md").read_text("utf-8")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_row_of_the_chapter_is_on_its_page(topic: str) -> None:
    """The examples of the chapter are shown, its exercises and two more have folded solutions, and a table
    comes at the end.
    """
    names, exercises = CHAPTER[topic]
    page = project().page(DOCS / f"{topic}.md", topic)
    assert set(names.split()) - names_in_code(page) == set()
    text = "\n".join(page.lines)
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert {"In the library", "When it goes wrong", "Exercises", "In short"} <= set(sections)
    numbers = re.findall(r"^(\d+)\. ", sections["Exercises"], re.M)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(numbers) >= exercises + 2
    assert sections["Exercises"].count("<summary>Solution</summary>") == len(numbers)


@pytest.mark.parametrize(("topic", "text"), MISTAKES)
def test_every_known_mistake_is_on_a_page(topic: str, text: str) -> None:
    """The page has its message or its symptom, word for word."""
    assert text in (DOCS / f"{topic}.md").read_text("utf-8")
