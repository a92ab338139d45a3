"""Put the live page into a built site: `arraynn play` without a server, its Python run by Pyodide in a web worker.

live.py SITE FILES. FILES holds Pyodide's core and the wheels, as `ci/docs/pyodide` brings them. Nothing is taken that
has not the SHA-256 which stands here or in Pyodide's lock file. Run by ci/docs/build --pyodide FILES.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from arraynn.learn.play.server import CONTENT_SECURITY_POLICY, FOLDERS, MIME_TYPES  # noqa: E402

#: Pyodide 0.27.7, as npm has it
CORE = {
    "pyodide-lock.json": "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c",
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "pyodide.mjs": "04c052c815abb0bf2981fa38c2dfa58e3120ee5288c956df2b2a15e301782c5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
}
LOCKED = ("numpy", "pillow", "threadpoolctl")  #: whose wheels Pyodide's lock file knows; the film alone needs Pillow
ARRAY_API_COMPAT = (
    "array_api_compat-1.16.0-py3-none-any.whl",
    "0464934d7d5f1e9b728b2e248da52400630b1fcb46b70073eab3c7ae084290aa",
)
#: the server's, which here stands in the page itself (where frame-ancestors would mean nothing), and what Pyodide needs
PAGE_POLICY = CONTENT_SECURITY_POLICY.replace(
    "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"
).replace("; frame-ancestors 'none'", "")


def main(site, files):
    page = site / "play"
    if page.exists():
        shutil.rmtree(page)
    (page / "pyodide").mkdir(parents=True)
    for folder in FOLDERS:
        for file in folder.iterdir():
            if file.suffix in MIME_TYPES:
                shutil.copy(file, page)
    html = (page / "index.html").read_text(encoding="utf-8")
    first = '<meta charset="utf-8">\n'
    if html.count(first) != 1:
        sys.exit(f"index.html must have one line {first!r}, behind which the policy goes")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{PAGE_POLICY}">\n'
    html = html.replace(first, f'{first}{policy}<meta name="engine" content="worker">\n')
    (page / "index.html").write_text(html, encoding="utf-8")
    packages(files, page / "pyodide")
    size = sum(file.stat().st_size for file in page.rglob("*") if file.is_file())
    print(f"{page}: {size / 1e6:.1f} MB")


def packages(files, target):
    """Copy what is as it should be, build arraynn's wheel, and write a lock file of just these packages: by its
    checksums the browser checks each wheel once more."""
    for name, checksum in CORE.items():
        copied(files / name, checksum, target)
    lock = json.loads((target / "pyodide-lock.json").read_text(encoding="utf-8"))
    known = {name: lock["packages"][name] for name in LOCKED}
    for entry in known.values():
        copied(files / entry["file_name"], entry["sha256"], target)
    copied(files / ARRAY_API_COMPAT[0], ARRAY_API_COMPAT[1], target)
    known["array-api-compat"] = entry_of(target / ARRAY_API_COMPAT[0], ("numpy",))
    known["arraynn"] = entry_of(built(target), ("array-api-compat", "numpy", "threadpoolctl"))
    (target / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": known}, indent=1), encoding="utf-8")


def copied(file, checksum, target):
    """Copy a file that has this SHA-256."""
    if not file.is_file():
        sys.exit(f"{file.name} is not in {file.parent}; ci/docs/pyodide {file.parent} brings it")
    found = sha256(file)
    if found != checksum:
        sys.exit(f"{file} has the SHA-256 {found}; it must be {checksum}")
    shutil.copy(file, target)


def built(target):
    """arraynn's own wheel."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        return Path(shutil.copy(wheel, target))


def entry_of(wheel, depends):
    """What a lock file says of a wheel in pure Python."""
    module, version, *_ = wheel.name.split("-")
    return {
        "name": module.replace("_", "-"),
        "version": version,
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": sha256(wheel),
        "package_type": "package",
        "imports": [module],
        "depends": list(depends),
        "unvendored_tests": False,
    }


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
