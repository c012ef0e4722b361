"""What courses about Redis teach to build with it: caches, sessions, limits, queues, boards, locks. Argument: port."""

import json
import random
import sys
import threading
import time
import uuid

import redis

R = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]), decode_responses=True)


def cache_aside():
    asked = []

    def load(user):
        asked.append(user)
        return {"id": user, "name": f"user {user}"}

    def get(user):
        cached = R.get(f"user:{user}")
        if cached:
            return json.loads(cached)
        value = load(user)
        R.setex(f"user:{user}", 300, json.dumps(value))
        return value

    assert get(1) == get(1) and asked == [1]
    assert R.delete(*R.keys("user:*")) == 1
    assert get(1)["name"] == "user 1" and asked == [1, 1]


def sessions():
    session = str(uuid.uuid4())
    key = f"session:{session}"
    R.hset(key, mapping={"user": "alice", "created": int(time.time())})
    R.expire(key, 1800)
    assert R.hgetall(key)["user"] == "alice" and 1790 < R.ttl(key) <= 1800
    R.hset(key, "seen", "now")
    assert 1790 < R.ttl(key) <= 1800
    R.expire(key, 3600)
    assert R.ttl(key) > 1800
    assert R.delete(key) == 1 and R.hgetall(key) == {}


def fixed_window(limit=5):
    allowed = 0
    for _ in range(8):
        count = R.incr("rate:alice")
        if count == 1:
            R.expire("rate:alice", 60)
        allowed += count <= limit
    assert allowed == limit and 0 < R.ttl("rate:alice") <= 60


def sliding_window(limit=5, window=60):
    def try_one(now):
        with R.pipeline() as pipe:
            pipe.zremrangebyscore("slide:bob", "-inf", now - window)
            pipe.zcard("slide:bob")
            pipe.zadd("slide:bob", {str(uuid.uuid4()): now})
            pipe.expire("slide:bob", window)
            return pipe.execute()[1] < limit

    start = time.time()
    assert [try_one(start + step) for step in range(8)] == [True] * 5 + [False] * 3
    assert try_one(start + 1000)


def queues():
    for number in range(10):
        R.rpush("queue", json.dumps({"id": number}))
    done = []

    def worker():
        mine = redis.Redis(connection_pool=R.connection_pool)
        while (job := mine.lmove("queue", "queue:processing", "LEFT", "RIGHT")) is not None:
            done.append(json.loads(job)["id"])
            assert mine.lrem("queue:processing", 0, job) == 1

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(10)) and R.exists("queue", "queue:processing") == 0
    R.zadd("later", {"a": 10, "b": 20, "c": 30})
    assert R.zrangebyscore("later", 0, 20) == ["a", "b"] and R.zpopmin("later") == [("a", 10.0)]


def boards():
    R.zadd("board", {f"player{number}": number * 100 for number in range(1, 21)})
    top = [(name, score) for name, score in R.zrevrange("board", 0, 2, withscores=True)]
    assert top == [("player20", 2000.0), ("player19", 1900.0), ("player18", 1800.0)]
    assert R.zincrby("board", 5000, "player1") == 5100.0 and R.zrevrank("board", "player1") == 0
    rank = R.zrevrank("board", "player10")
    around = R.zrevrange("board", rank - 2, rank + 2)
    assert around == ["player12", "player11", "player10", "player9", "player8"]
    assert R.zcount("board", "(100", 500) == 4
    assert R.zadd("board", {"player2": 1}, gt=True) == 0 and R.zscore("board", "player2") == 200.0


def tags():
    R.sadd("tag:python", "post1", "post2", "post3")
    R.sadd("tag:redis", "post2", "post3", "post4")
    assert R.sinter("tag:python", "tag:redis") == {"post2", "post3"}
    assert R.sunionstore("tag:any", "tag:python", "tag:redis") == 4
    assert R.sdiff("tag:python", "tag:redis") == {"post1"}
    assert len(R.srandmember("tag:any", 2)) == 2 and R.spop("tag:any") in {"post1", "post2", "post3", "post4"}


def locks():
    lock = R.set("lock:thing", "mine", nx=True, px=30_000)
    assert lock and R.set("lock:thing", "theirs", nx=True, px=30_000) is None
    with R.pipeline() as pipe:
        pipe.watch("lock:thing")
        assert pipe.get("lock:thing") == "mine"
        pipe.multi()
        pipe.delete("lock:thing")
        assert pipe.execute() == [1]


def transfers():
    R.mset({"account:1:balance": 1000, "account:2:balance": 500})

    def transfer(source, target, amount):
        with R.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(source)
                    if int(pipe.get(source)) < amount:
                        pipe.unwatch()
                        return False
                    pipe.multi()
                    pipe.decrby(source, amount)
                    pipe.incrby(target, amount)
                    pipe.execute()
                    return True
                except redis.WatchError:
                    continue

    def spend():
        dice = random.Random(threading.get_ident())
        for _ in range(20):
            pair = ["account:1:balance", "account:2:balance"]
            dice.shuffle(pair)
            transfer(pair[0], pair[1], dice.randrange(1, 400))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    balances = [int(balance) for balance in R.mget("account:1:balance", "account:2:balance")]
    assert sum(balances) == 1500 and min(balances) >= 0, balances


def early_expiration():
    R.setex("hot", 2, "value")
    ttl, value = R.ttl("hot"), R.get("hot")
    assert value == "value" and 0 <= ttl <= 2
    R.setex("hot", 300, "again")
    assert R.ttl("hot") > 2


def memory_and_persistence():
    assert R.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert R.config_set("maxmemory", "100mb") and R.config_get("maxmemory") == {"maxmemory": str(100 * 1024 * 1024)}
    assert R.config_set("maxmemory", 0)
    info = R.info()
    for field in ("used_memory_human", "maxmemory_human", "aof_enabled", "rdb_last_bgsave_status", "total_commands_processed"):
        assert field in info, field


for pattern in (
    cache_aside,
    sessions,
    fixed_window,
    sliding_window,
    queues,
    boards,
    tags,
    locks,
    transfers,
    early_expiration,
    memory_and_persistence,
):
    R.flushall()
    pattern()
