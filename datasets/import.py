"""Imports a public evaluation set from a local copy, after its checksums were compared with the manifest.

    python3 datasets/import.py NAME --from FOLDER [--to FOLDER] [--copy]
    python3 datasets/import.py --list

FOLDER holds corpus.jsonl, queries.jsonl and qrels/*.tsv (BEIR layout), directly or in a sub-folder called NAME. Nothing is
downloaded. Files are hard-linked where the file system allows it and copied otherwise; `--copy` always copies. All files are
checked before the first one is written, and a set that is already in place is left alone. Standard library only.

Exit codes: 0 imported or already in place; 1 a file is missing or has another checksum; 2 usage.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFESTS = HERE / "manifests"
DEFAULT_DESTINATION = HERE.parent / "data" / "datasets"


class Refused(Exception):
    """A cause and, after it, what to do about it."""


def sha256_of(path):
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load(name):
    path = MANIFESTS / f"{name}.toml"
    known = sorted(manifest.stem for manifest in MANIFESTS.glob("*.toml"))
    if name not in known:
        raise Refused(f"there is no manifest called {name!r}. Known sets: {', '.join(known)}")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def find_source(folder, manifest):
    """The folder itself or its sub-folder NAME, whichever holds corpus.jsonl."""
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder. Name the folder that holds corpus.jsonl with --from")
    for candidate in (folder, folder / manifest["name"]):
        if (candidate / "corpus.jsonl").is_file():
            return candidate
    raise Refused(f"{folder} holds no corpus.jsonl, nor does {folder / manifest['name']}. Get {manifest['title']} from "
                  f"{manifest['homepage']} in BEIR layout and name its folder with --from")


def verify(source, manifest):
    for name, expected in manifest["sha256"].items():
        path = source / name
        if not path.is_file():
            raise Refused(f"{path} is missing. The set {manifest['name']} needs {', '.join(manifest['sha256'])}; complete the "
                          f"folder from {manifest['homepage']}")
        found = sha256_of(path)
        if found != expected:
            raise Refused(f"{path} has the sha256 {found}, the manifest wants {expected}. It is another version or a damaged copy: "
                          f"get it again, or, if the change is wanted, correct datasets/manifests/{manifest['name']}.toml")


def place(source, target, copy):
    """Puts one file in place by way of a temporary name, so that a crash never leaves half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    if not copy:
        try:
            os.link(source, partial)
        except OSError:
            copy = True  # another file system, or links are not allowed
    if copy:
        shutil.copyfile(source, partial)
    if target.exists() and partial.samefile(target):
        partial.unlink()  # rename does nothing between two links to one file
        return
    partial.replace(target)


def main():
    parser = argparse.ArgumentParser(prog="datasets/import.py", description="Import a public evaluation set from a local copy.")
    parser.add_argument("name", nargs="?", help="name of a manifest, e.g. scifact")
    parser.add_argument("--from", dest="source", type=Path, metavar="FOLDER", help="the local copy in BEIR layout")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where it goes (default: data/datasets/NAME)")
    parser.add_argument("--copy", action="store_true", help="copy even where a hard link would do")
    parser.add_argument("--list", action="store_true", help="list the manifests with their licences")
    options = parser.parse_args()
    if options.list:
        for path in sorted(MANIFESTS.glob("*.toml")):
            manifest = load(path.stem)
            print(f"{manifest['name']:<14} {manifest['documents']:>6} documents {manifest['judged_queries']:>5} judged queries  {manifest['licence']}")
        return 0
    if options.name is None or options.source is None:
        parser.error("NAME and --from FOLDER are needed, or --list")
    try:
        manifest = load(options.name)
        destination = options.to or DEFAULT_DESTINATION / options.name
        source = find_source(options.source, manifest)
        verify(source, manifest)
        for name in manifest["sha256"]:
            place(source / name, destination / name, options.copy)
        verify(destination, manifest)
    except Refused as refusal:
        print(f"error: {refusal}.", file=sys.stderr)
        return 1
    except OSError as cause:
        print(f"error: {cause}. Check the free space and the rights of {options.to or DEFAULT_DESTINATION}.", file=sys.stderr)
        return 1
    print(f"{manifest['name']}: {len(manifest['sha256'])} files verified and in place under {destination} "
          f"({manifest['documents']} documents, {manifest['judged_queries']} judged queries; {manifest['licence']})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
