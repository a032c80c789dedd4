"""How often a piece of work can be done in a second of CPU time."""

import gc
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]
ROUNDS = 5


def _count_for(work: Work, seconds: float) -> int:
    """How many repetitions take about ``seconds``."""
    count = 1
    while True:
        start = time.process_time()
        for _ in range(count):
            work()
        spent = time.process_time() - start
        if spent >= seconds / 4:
            return max(1, int(count * seconds / spent))
        count *= 4


def rates(contenders: Mapping[str, Work], seconds: float) -> dict[str, float]:
    """Times per CPU second of each, the best of some rounds.

    The contenders take turns, so that what else happens on the machine hits all alike; CPU time, because on
    a shared machine wall time measures the neighbours.
    """
    gc.collect()
    gc.freeze()  # as servers do once they are set up; else large messages measure the heap beside them
    counts = {name: _count_for(work, seconds) for name, work in contenders.items()}
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            gc.collect()
            start = time.process_time()
            for _ in range(counts[name]):
                work()
            best[name] = max(best[name], counts[name] / (time.process_time() - start))
    return best
