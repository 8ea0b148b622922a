"""Two modules that import each other while threads of their own import them, and a program of such threads."""

SYNC = "import threading\n\nA, B = threading.Event(), threading.Event()\n"
# Each side gives the other half a second to be inside its body too.
SIDE = "import sync\nfrom importlib import import_module\n\nsync.{0}.set()\nsync.{1}.wait(0.5)\nimport_module({2!r})\n"
CYCLE = {"sync.py": SYNC, "a.py": SIDE.format("A", "B", "b"), "b.py": SIDE.format("B", "A", "a")}
# Prints, in order, the name of each module that a thread got, or of the error that it met.
THREADS = """\
import sync, threading
from {module} import {function} as get

met = []

def run(name):
    try:
        met.append(get(name).__name__)
    except Exception as error:
        met.append(type(error).__name__)

threads = [threading.Thread(target=run, args=(name,)) for name in {names!r}]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*sorted(met))
"""


def write_files(folder, files):
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
