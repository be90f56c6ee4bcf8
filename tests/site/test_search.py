"""The search of the site in a browser: it costs nothing until it is used, and it finds the fix."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from tests.site.built_site import SITES
from tests.site.conftest import Open, Server
from playwright.sync_api import Browser, Page, expect
from tools.generate.entries import entries
from tools.pages import ROOT, project

PARTS = ("/search_index.json", "/workers/search.")
SHOWN = """(list) => [...list.children].slice(0, 3).map((result) =>
  [...result.querySelectorAll(":scope > a")].map((link) => new URL(link.href)).map((url) => url.pathname.slice(1) + url.hash))"""
Search = Callable[..., list[list[str]]]


def messages() -> dict[str, set[str]]:
    """Every message in the list of mistakes, and the sections that show it."""
    sections: dict[str, set[str]] = {}
    for entry in entries(project().pages(), ROOT):
        for message in entry.messages:
            sections.setdefault(message.text, set()).add(f"{entry.page.path.stem}/#{entry.heading.anchor}")
    return sections


@pytest.fixture(scope="session")
def searching(chromium: Browser, server: Server) -> Callable[[str], Page]:
    """A function that returns a tab with the search of a language, always the same one."""

    @cache
    def searching(folder: str) -> Page:
        tab = chromium.new_page()
        tab.goto(server.address + folder)
        tab.keyboard.press("/")
        return tab

    return searching


@pytest.fixture
def search(searching: Callable[[str], Page]) -> Search:
    """A function that pastes a text, and returns the page links of the first three results."""

    def search(text: str, folder: str = "") -> list[list[str]]:
        tab = searching(folder)
        results = tab.locator(".md-search-result__list")
        results.evaluate("(list) => { list.innerHTML = ''; }")
        tab.keyboard.press("Control+A")
        tab.keyboard.insert_text(text)
        tab.keyboard.press("End")
        tab.locator(".md-search-result__item").first.wait_for()
        return [[link.removeprefix(folder) for link in result] for result in results.evaluate(SHOWN)]

    return search


@pytest.fixture
def newcomer(chromium: Browser) -> Iterator[Page]:
    """The tab of a reader whose browser has cached nothing of the site."""
    with chromium.new_context() as context:
        yield context.new_page()


def asked_for(server: Server) -> list[str]:
    return [path for path, _ in server.sent if any(part in path for part in PARTS)]


def test_it_is_fetched_when_it_is_opened(newcomer: Page, server: Server) -> None:
    """The search is not fetched earlier, because most readers of a page do not search."""
    server.sent.clear()
    newcomer.goto(f"{server.address}modules/")
    newcomer.mouse.wheel(0, 5000)
    newcomer.wait_for_timeout(500)
    assert asked_for(server) == []
    newcomer.keyboard.press("/")
    expect(newcomer.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    assert len(asked_for(server)) == len(PARTS)


@pytest.mark.parametrize("way", ["tap", "link"])
def test_it_can_be_opened_without_a_key(way: str, open_page: Open) -> None:
    """A tap on a phone opens it, and so does an address with a query."""
    tab = open_page("?q=state_dict" if way == "link" else "", 390, has_touch=True)
    if way == "tap":
        tab.locator("header label[for=__search]").first.tap()
        tab.keyboard.type("state_dict")
    expect(tab.locator(".md-search-result__item").first).to_be_visible()


def test_what_is_typed_before_it_is_there_is_found(newcomer: Page, server: Server) -> None:
    """On a slow network the reader types first, and the index arrives later."""
    newcomer.goto(server.address)
    network = newcomer.context.new_cdp_session(newcomer)
    slow = {"offline": False, "latency": 300, "downloadThroughput": 100_000, "uploadThroughput": 100_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    newcomer.keyboard.press("/")
    newcomer.keyboard.type("state_dict")
    assert newcomer.locator(".md-search-result__item").count() == 0
    expect(newcomer.locator(".md-search-result__item").first).to_be_visible()


@pytest.mark.parametrize("folder", SITES)
@pytest.mark.parametrize(("message", "sections"), messages().items())
def test_a_message_leads_to_its_fix(message: str, sections: set[str], folder: str, search: Search) -> None:
    """Pasted whole, with all of its punctuation, a message has its fix among the first three results."""
    assert sections & {link for result in search(message, folder) for link in result}


@pytest.mark.parametrize(
    ("message", "section"),
    [
        ("AttributeError: 'LeNet' object has no attribute '_backward_hooks'", "modules/#cannot-assign-module-before-module__init__-call"),
        ("NotImplementedError: Module [LeNet] is missing the required \"forward\" function", "modules/#missing-the-required-forward-function"),
        ("RuntimeError: output with shape [10] doesn't match the broadcast shape [64, 10]", "parameters/#assigning-to-data-hides-a-wrong-shape"),
        ("ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 512])", "lazy/#expected-more-than-1-value-per-channel-when-training"),
        ("RuntimeError: Tensor on device cuda:0 is not on the expected device cpu!", "devices/#expected-all-tensors-to-be-on-the-same-device"),
        ("AssertionError: Torch not compiled with CUDA enabled", "devices/#torch-not-compiled-with-cuda-enabled"),
        ("AttributeError: 'DataParallel' object has no attribute 'encoder'", "modules/#dataparallel-object-has-no-attribute"),
        ("AttributeError: Can't pickle local object 'BasicBlock.__init__.<locals>.<lambda>'", "serialization/#cant-pickle-local-object-saving-a-whole-net"),
        ("RuntimeError: Error(s) in loading state_dict for ResNet: size mismatch for fc.weight: copying a param with shape torch.Size([1000, 2048]) from checkpoint, the shape in current model is torch.Size([50, 2048]).", "serialization/#size-mismatch-even-with-strictfalse-a-different-number-of-classes"),
        ('Unexpected key(s) in state_dict: "total_ops", "total_params", "module_list.total_ops"', "serialization/#unexpected-keys-in-state_dict-total_ops-total_params"),
        ("RuntimeError: Only Tensors of floating point and complex dtype can require gradients", "layers/#only-tensors-of-floating-point-and-complex-dtype-can-require-gradients"),
        ("RuntimeError: Input type (double) and bias type (float) should be the same", "modules/#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy"),
        ("element 0 of tensors does not require grad and does not have a grad_fn", "layers/#gradients-are-none-data-in-forward"),
        ("CUDA out of memory", "devices/#cuda-out-of-memory-memory-grows-with-every-step"),
        ("learning rate resets after resume", "serialization/#the-learning-rate-is-reset-after-resuming"),
        ("different output every time dropout", "modules/#the-same-input-gives-a-different-output-every-time"),
    ],
)  # fmt: skip
def test_a_message_with_other_names_and_sizes_leads_there_too(
    message: str, section: str, search: Search
) -> None:
    """A reader's net has other names and sizes than the page's."""
    assert section in {link for result in search(message) for link in result}


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("state_dict", "parameters/#the-difference-between-state_dict-and-parameters"),
        ("weights_only", "serialization/#weights-only-load-failed-a-whole-module-a-numpy-scalar"),
        ("weights_only=True", "serialization/#security-pickle-weights_only-and-safetensors"),
        ("weights", "parameters/#operations-that-untie-weights"),
        ("torch.load", "serialization/"),
        ("nn.ModuleList", "layers/#lists-and-dictionaries-of-parameters-and-layers"),
        ("LazyLin", "lazy/#nnlazylinear-the-input-size-comes-from-the-first-batch"),
        ("initialization", "init/"),
        ("wieghts_only", "serialization/#security-pickle-weights_only-and-safetensors"),
        ("LazyLinaer", "lazy/#nnlazylinear-the-input-size-comes-from-the-first-batch"),
        ("each layer fills its parameters when you build it", "init/#default-initialization-of-each-layer"),
        ("+forward: *hooks* ~pre^2", "layers/#hooks"),
    ],
)  # fmt: skip
def test_a_name_or_a_phrase_is_found(text: str, section: str, search: Search) -> None:
    """Names in code, whole or in part, and words inside a sentence are found; no character is an operator."""
    assert section in {link for result in search(text) for link in result}


@pytest.mark.parametrize("folder", SITES)
@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("state_dict", "parameters/#the-difference-between-state_dict-and-parameters"),
        ("ｓｔａｔｅ＿ｄｉｃｔ", "parameters/#the-difference-between-state_dict-and-parameters"),
        ("weights_only=True", "serialization/#security-pickle-weights_only-and-safetensors"),
        ("named_parameters", "parameters/#all-parameters-named_parameters"),
        ("nn.ModuleList", "layers/#lists-and-dictionaries-of-parameters-and-layers"),
        ("LazyLin", "lazy/#nnlazylinear-the-input-size-comes-from-the-first-batch"),
        ("torch.load", "serialization/"),
    ],
)
def test_a_name_is_found_in_every_language(text: str, section: str, folder: str, search: Search) -> None:
    """Names in code are the same everywhere, and so is what is found; letters may be full-width ones."""
    assert section in {link for result in search(text, folder) for link in result}


@pytest.mark.parametrize(
    ("folder", "text", "section"),
    [
        ("zh-CN/", "保存参数", "serialization/#saving-a-net-state_dict"),
        ("zh-CN/", "参数共享", "parameters/#sharing-parameters-tied-weights"),
        ("zh-CN/", "共享参数", "parameters/#sharing-parameters-tied-weights"),
        ("zh-CN/", "权重绑定", "parameters/#operations-that-untie-weights"),
        ("zh-CN/", "延后初始化", "lazy/"),
        ("zh-CN/", "检查点", "serialization/#checkpoints"),
        ("zh-CN/", "自定义层", "layers/"),
        ("zh-CN/", "state_dict", "parameters/#the-difference-between-state_dict-and-parameters"),
        ("zh-TW/", "儲存參數", "serialization/#saving-a-net-state_dict"),
        ("zh-TW/", "參數共享", "parameters/#sharing-parameters-tied-weights"),
        ("zh-TW/", "共享參數", "parameters/#sharing-parameters-tied-weights"),
        ("zh-TW/", "延後初始化", "lazy/"),
        ("zh-TW/", "檢查點", "serialization/#checkpoints"),
        ("zh-TW/", "自訂層", "layers/"),
        ("zh-TW/", "形狀不符", "serialization/#strict-loading-names-and-shapes-must-match"),
    ],
)
def test_chinese_is_found(folder: str, text: str, section: str, search: Search) -> None:
    """Without a dictionary of words, what is asked for is on the first page of results or on the next one."""
    assert section in {link for result in search(text, folder)[:2] for link in result}
