import os
import subprocess
import sys

from bench.cpu import ProcessTimes, cpu_seconds, parse_stat, tree_ticks

LINE = "41 (a (very) odd name) S 7 41 41 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 5 0 123 0 0"
BURN = "import time\nwhile time.process_time() < 0.3: pass"
BURN_IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"


def test_a_stat_line_is_read_past_a_command_with_spaces_and_brackets():
    assert parse_stat(LINE) == ProcessTimes(pid=41, parent=7, ticks=127)


def test_descendants_count_and_neighbours_do_not():
    processes = [
        ProcessTimes(30, 20, 4),
        ProcessTimes(10, 1, 1),
        ProcessTimes(20, 10, 2),
        ProcessTimes(21, 10, 8),
        ProcessTimes(11, 1, 1000),
    ]
    assert tree_ticks(10, processes) == 15


def test_a_process_that_is_gone_counts_nothing():
    assert tree_ticks(99, [ProcessTimes(10, 1, 5)]) == 0


def test_the_time_of_a_grandchild_that_ended_is_not_lost():
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BURN_IN_A_CHILD], check=True)
    assert cpu_seconds(os.getpid()) - before >= 0.25
