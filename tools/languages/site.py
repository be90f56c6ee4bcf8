"""The site in all languages, below one folder: a hook of MkDocs, so that `mkdocs serve` shows them too.

The English site is at the root. While it is built, each other language is built in a folder with its name,
by a process of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import Abort

from tools.languages.catalogs import LANGUAGES, ROOT, translations
from tools.languages.pictures import pictures, translated

running: list[subprocess.Popen[bytes]] = []


def on_files(files: Any, config: Any) -> Any:
    """Start the other languages: the site's folder has just been emptied, and nothing is in it yet."""
    if config.theme["language"] not in LANGUAGES:
        running[:] = [
            start(each["lang"], config) for each in config.extra["languages"] if each["lang"] in LANGUAGES
        ]
    return files


def start(language: str, config: Any) -> subprocess.Popen[bytes]:
    """Build a language as `mkdocs build` does, below the site of this configuration."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet"]
    place = os.path.join(config.site_dir, language)
    options = ["--config-file", f"mkdocs.{language}.yml", "--site-dir", place]
    if not config.use_directory_urls:
        options.append("--no-directory-urls")
    address = f"{config.site_url}{language}/" if config.site_url else ""
    return subprocess.Popen([*command, *options], cwd=ROOT, env=os.environ | {"SITE_URL": address})


def on_post_build(config: Any) -> None:
    """Wait for the other languages; in another language, complete its files."""
    site, language = Path(config.site_dir), config.theme["language"]
    if language in LANGUAGES:
        complete(site, language)
        return
    codes = [each.wait() for each in running]
    if any(codes):
        raise Abort("The site cannot be built in all languages.")


def on_build_error(error: Exception) -> None:
    """Without English, there is no use for the other languages."""
    for each in running:
        each.kill()
        each.wait()


def on_template_context(context: Any, *, template_name: str, config: Any) -> Any:
    """The page for wrong addresses is shown at any of them: its links start at the root of the language."""
    language = config.theme["language"]
    if template_name == "404.html" and language in LANGUAGES and not config.site_url:
        context["base_url"] = f"/{language}"
    return context


def complete(site: Path, language: str) -> None:
    """Replace the pictures, notebooks and scripts of a built site by those of its language."""
    folder = ROOT / "docs" / language
    for name in ("notebooks", "scripts"):
        shutil.copytree(folder / name, site / name, dirs_exist_ok=True)
    for picture in pictures():
        drawn = translated(picture.read_text("utf-8"), translations(folder))
        (site / "img" / picture.name).write_text(drawn, "utf-8")
