"""Writes unique values through redis-py's RedisCluster until standard input ends; then counts what is lost and what is there
twice. Arguments: "bare", without retries, or "defaults", with redis-py's own; then the ports of the cluster's nodes.

Every writer pushes its own numbers to lists of its own, one in each of a few slots all over the cluster, and reads one of them
now and then, alone and in a transaction. An answer that is no error is an acknowledgement. What failed may be there or not. Without
retries it is there once at most; with them, a command that was sent again after the connection broke may be there again.
"""

import os
import sys
import threading
import time

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

RETRIES, PORTS = sys.argv[1], [int(word) for word in sys.argv[2:]]
WRITERS = 4
TAGS = [f"tag{number}" for number in range(12)]
OPTIONS = dict(startup_nodes=[ClusterNode("127.0.0.1", port) for port in PORTS], decode_responses=True)
BARE = dict(retry=Retry(NoBackoff(), 0), socket_timeout=1)
# Between two attempts of a writer that was refused.
AGAIN_AFTER = 0.01
# So many writes go between two reads of a writer.
READ_EVERY = 5

over = threading.Event()


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.number, self.acknowledged, self.stale, self.failed, self.worst = number, {}, [], [], 0.0

    def run(self):
        client, next_value = None, 0
        while not over.is_set():
            next_value += 1
            key = f"load:{{{TAGS[next_value % len(TAGS)]}}}:{os.getpid()}:{self.number}"
            began = time.monotonic()
            try:
                client = client or RedisCluster(**OPTIONS, **(BARE if RETRIES == "bare" else {}))
                client.rpush(key, next_value)
                self.acknowledged.setdefault(key, []).append(next_value)
                if next_value % READ_EVERY == 0:
                    self.read(client, key, next_value)
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                time.sleep(AGAIN_AFTER)
            self.worst = max(self.worst, time.monotonic() - began)

    def read(self, client, key, value):
        """What was acknowledged is there, whoever answers: alone, and in a transaction."""
        if client.lpos(key, value) is None:
            self.stale.append((key, value))
        if client.pipeline(transaction=True).llen(key).lpos(key, value).execute()[1] is None:
            self.stale.append((key, value))


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
deadline = time.monotonic() + 60
while not all(writer.acknowledged for writer in writers):
    assert time.monotonic() < deadline, [text for writer in writers for text in writer.failed][:20]
    time.sleep(AGAIN_AFTER)
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
failed = [text for writer in writers for text in writer.failed]
stale = [read for writer in writers for read in writer.stale]
worst = max(writer.worst for writer in writers)
print(f"acknowledged {acknowledged} failed {len(failed)} lost {len(lost)} stale {len(stale)} twice {len(twice)} worst {worst:.3f} s")
print("\n".join(failed[:20]))
assert not lost, sorted(lost)[:20]
assert not stale, sorted(stale)[:20]
assert not twice or RETRIES == "defaults", sorted(twice)[:20]
assert all(writer.acknowledged for writer in writers)
