"""Ask for facts of the machine and of the process."""

import psutil


def work():
    process = psutil.Process()
    assert process.memory_info().rss > 0
    assert psutil.virtual_memory().total > 0
    process.num_threads()
