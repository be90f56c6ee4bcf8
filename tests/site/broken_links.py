"""The links of a built site, and which of them are broken."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

LINKS = ("action", "data", "href", "poster", "src", "xlink:href")


class Document(HTMLParser):
    """The ids of a page, and its links, each with its attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.links: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids[value or ""] += 1
            elif name in LINKS:
                self.links.append((name, value or ""))
            elif name == "srcset":
                self.links += [(name, source.split()[0]) for source in (value or "").split(",")]


def defects(site: Path, address: str) -> Iterator[str]:
    """Find every broken link and every repeated id, on a site that is opened at this address."""
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    pages = {
        name: Document(path.read_text("utf-8")) for name, path in files.items() if name.endswith(".html")
    }
    for name, page in pages.items():
        yield from (f"{name}: the id {each!r} stands here {n} times" for each, n in page.ids.items() if n > 1)
    for place, kind, link in links(site, pages):
        # A server shows 404.html at any wrong address, so its relative links can point anywhere.
        base = address + place.replace("404.html", "no/such/page/")
        url = urlsplit(urljoin(base, link))
        if (url.scheme, url.netloc) != urlsplit(address)[:2]:
            continue  # another site, or a mailto: or data: link
        path, folder = unquote(url.path), urlsplit(address).path
        name = path.removeprefix(folder)
        if url.scheme != "file" and (not name or name.endswith("/")):
            name += "index.html"  # like a server; from a disk, a browser would list the folder
        if not path.startswith(folder) or name not in files:
            yield f"{place}: {kind} {link!r}: there is no file {path}"
        elif url.fragment and name in pages and unquote(url.fragment) not in pages[name].ids:
            yield f"{place}: {kind} {link!r}: there is no id {unquote(url.fragment)!r} on {name}"


def links(site: Path, pages: dict[str, Document]) -> Iterator[tuple[str, str, str]]:
    """Yield every link of the site: its file, its attribute or other place, and the link."""
    for name, page in pages.items():
        yield from ((name, kind, link) for kind, link in page.links)
    for index in site.rglob("search_index.json"):
        for entry in json.loads(index.read_bytes())["docs"]:
            yield index.relative_to(site).as_posix(), "location", "../" + entry["location"]
    for sitemap in site.rglob("sitemap.xml"):
        for link in re.findall("<loc>(.*?)</loc>", sitemap.read_text("utf-8")):
            yield sitemap.relative_to(site).as_posix(), "loc", link
    for short in site.rglob("llms.txt"):
        for link in re.findall(r"\]\((.*?)\)", short.read_text("utf-8")):
            yield short.relative_to(site).as_posix(), "link", link
