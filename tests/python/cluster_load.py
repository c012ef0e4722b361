"""Writes unique values through redis-py's RedisCluster without retries, until standard input ends; then counts what is
lost and what is there twice. Arguments: the ports of the cluster's nodes.

Every writer pushes its own numbers to lists of its own, one in each of a few slots all over the cluster. An answer that is no
error is an acknowledgement. What failed may be there or not, but once.
"""

import sys
import threading
import time

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

PORTS = [int(word) for word in sys.argv[1:]]
WRITERS = 4
TAGS = [f"tag{number}" for number in range(12)]
OPTIONS = dict(startup_nodes=[ClusterNode("127.0.0.1", port) for port in PORTS], decode_responses=True)
# Between two attempts of a writer that was refused.
AGAIN_AFTER = 0.01

over = threading.Event()


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.number, self.acknowledged, self.failed = number, {}, 0

    def run(self):
        client, next_value = None, 0
        while not over.is_set():
            next_value += 1
            key = f"load:{{{TAGS[next_value % len(TAGS)]}}}:{self.number}"
            try:
                client = client or RedisCluster(**OPTIONS, retry=Retry(NoBackoff(), 0), socket_timeout=1)
                client.rpush(key, next_value)
                self.acknowledged.setdefault(key, []).append(next_value)
            except (RedisError, OSError):
                self.failed += 1
                time.sleep(AGAIN_AFTER)


def read_back(key):
    """A list as the cluster has it in the end, with redis-py's own retries."""
    for attempt in range(30):
        try:
            with RedisCluster(**OPTIONS) as client:
                return [int(value) for value in client.lrange(key, 0, -1)]
        except (RedisError, OSError):
            if attempt == 29:
                raise
            time.sleep(0.1)


writers = [Writer(number) for number in range(WRITERS)]
for writer in writers:
    writer.start()
print("writing", flush=True)
sys.stdin.read()
over.set()
for writer in writers:
    writer.join()

lost, twice, acknowledged = [], [], 0
for writer in writers:
    for key, values in writer.acknowledged.items():
        found = read_back(key)
        acknowledged += len(values)
        lost += [(key, value) for value in set(values) - set(found)]
        twice += [(key, value) for value in set(found) if found.count(value) > 1]
print(f"acknowledged {acknowledged} failed {sum(writer.failed for writer in writers)} lost {len(lost)} twice {len(twice)}")
assert not lost, sorted(lost)[:20]
assert not twice, sorted(twice)[:20]
assert all(writer.acknowledged for writer in writers)
