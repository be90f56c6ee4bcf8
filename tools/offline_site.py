"""Build the site into dist/, as a folder and as a zip file that can be read from a disk without a server.

python tools/offline_site.py [FOLDER]
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Files for servers and their visitors, and files of the theme for languages other than English.
NOT_NEEDED = ("**/404.html", "**/sitemap.xml", "**/sitemap.xml.gz", "**/objects.inv", "**/*.map", "**/lunr")


def main(folder: Path) -> None:
    """Make FOLDER and FOLDER.zip, and nothing else; the same pages give the same bytes."""
    build = ["build", "--quiet", "--no-directory-urls", "--site-dir", str(folder.resolve())]
    nowhere = os.environ | {"SITE_URL": ""}
    subprocess.run([sys.executable, "-m", "mkdocs", *build], cwd=ROOT, env=nowhere, check=True)
    for pattern in NOT_NEEDED:
        for path in list(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    shutil.copy(ROOT / "LICENSE", folder)
    for index in list(folder.rglob("search_index.json")):  # of each language
        shutil.copytree(ROOT / "docs" / "offline", index.parents[1], dirs_exist_ok=True)
        # A page on a disk may load scripts but not read files, so the theme looks for a script.
        index.with_suffix(".js").write_text(f"var __index = {index.read_text('utf-8')};\n", "utf-8")
        index.unlink()
    pack(folder)


def pack(folder: Path) -> None:
    """Zip a folder so that the result depends neither on the clock nor on the order of files on the disk."""
    with zipfile.ZipFile(f"{folder}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix())  # dated 1980
                entry.external_attr = 0o644 << 16
                file.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "dist" / "d2lblocks-offline")
