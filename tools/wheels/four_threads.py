"""Run a program's ``work`` in four threads at once, a few times each; its path is the only argument."""

import runpy
import sys
import threading

THREADS, TURNS = 4, 3


def main() -> None:
    """Load the program, run it, and exit with 1 if a thread failed."""
    work = runpy.run_path(sys.argv[1])["work"]
    start = threading.Barrier(THREADS)
    failures = []

    def turns() -> None:
        start.wait()
        try:
            for _ in range(TURNS):
                work()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=turns) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
