"""redis-py as applications use it. Arguments: port, protocol (2 or 3)."""

import sys
import threading
import time

import redis
from redis.exceptions import ExecAbortError, ReadOnlyError, ResponseError, WatchError  # noqa: F401

PORT, PROTOCOL = int(sys.argv[1]), int(sys.argv[2])


def connect(**options):
    return redis.Redis(host="127.0.0.1", port=PORT, protocol=PROTOCOL, **options)


def raises(kind, part, call, *arguments):
    try:
        call(*arguments)
    except kind as error:
        assert part in str(error), error
    else:
        raise AssertionError(f"{call} did not raise {kind}")


def pipelines(r):
    with r.pipeline(transaction=False) as pipe:
        for number in range(500):
            pipe.set(f"p:{number}", number)
        for number in range(500):
            pipe.get(f"p:{number}")
        replies = pipe.execute()
    assert replies == [True] * 500 + [str(number) for number in range(500)]
    with r.pipeline(transaction=True) as pipe:
        pipe.set("a", 1).incr("a").get("a").lpush("a", "x").incr("a")
        replies = pipe.execute(raise_on_error=False)
    assert replies[:3] == [True, 2, "2"] and replies[4] == 3
    assert isinstance(replies[3], ResponseError) and "WRONGTYPE" in str(replies[3])
    with r.pipeline() as pipe:
        pipe.set("key", "1").incr("key").get("key").hset("h", mapping={"f": 1})
        assert pipe.execute() == [True, 2, "2", 1]


def waiting(r):
    assert r.blpop(["queue", "other"], timeout=0.01) is None

    def push():
        mine = connect()
        while mine.info("clients")["blocked_clients"] == 0:
            time.sleep(0.001)
        mine.rpush("queue", "job")
        mine.close()

    pushing = threading.Thread(target=push)
    pushing.start()
    assert list(r.blpop(["other", "queue"], timeout=60)) == ["queue", "job"]
    pushing.join()
    r.rpush("queue", "a", "b")
    assert r.blmove("queue", "done", 1, "LEFT", "RIGHT") == "a"
    assert r.brpoplpush("queue", "done", 1) == "b"
    assert list(r.blmpop(1, 2, "none", "done", direction="LEFT", count=2)) == ["done", ["b", "a"]]
    r.zadd("scores", {"one": 1})
    assert list(r.bzpopmin("scores", 1)) == ["scores", "one", 1.0]
    assert not r.xread({"stream": "$"}, block=1)


def watching(r):
    r.set("counter", 0)

    def add(times):
        mine = connect(decode_responses=True)
        for _ in range(times):
            while True:
                with mine.pipeline() as pipe:
                    try:
                        pipe.watch("counter")
                        value = int(pipe.get("counter"))
                        pipe.multi()
                        pipe.set("counter", value + 1)
                        pipe.execute()
                        break
                    except WatchError:
                        continue

    threads = [threading.Thread(target=add, args=(25,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get("counter") == "100", r.get("counter")

    def increment(pipe):
        value = int(pipe.get("counter"))
        pipe.multi()
        pipe.set("counter", value + 1)

    assert r.transaction(increment, "counter") == [True] and r.get("counter") == "101"
    # A transaction without commands.
    with r.pipeline() as pipe:
        pipe.watch("counter")
        pipe.multi()
        assert pipe.execute() == []


def types(r):
    assert r.set("s", "v", ex=100, nx=True) is True
    assert r.set("s", "w", nx=True) is None
    assert 0 < r.ttl("s") <= 100 and 0 < r.pttl("s") <= 100_000
    assert r.persist("s") is True and r.ttl("s") == -1 and r.ttl("none") == -2
    assert r.hset("hash", mapping={"a": 1, "b": "two"}) == 2
    assert r.hgetall("hash") == {"a": "1", "b": "two"}
    assert r.hincrbyfloat("hash", "a", 0.5) == 1.5
    assert r.rpush("list", 1, 2, 3) == 3 and r.lrange("list", 0, -1) == ["1", "2", "3"]
    assert r.lpos("list", "2") == 1 and r.lmove("list", "other", "LEFT", "RIGHT") == "1"
    assert r.sadd("set", "x", "y") == 2 and r.smembers("set") == {"x", "y"}
    assert r.zadd("zset", {"a": 1, "b": 2.5}) == 2
    assert r.zscore("zset", "b") == 2.5 and r.zrank("zset", "b") == 1
    pairs = [list(pair) for pair in r.zrange("zset", 0, -1, withscores=True)]
    assert pairs == [["a", 1.0], ["b", 2.5]], pairs
    assert r.incrbyfloat("float", "0.1") == 0.1 and r.incrbyfloat("float", "0.2") == 0.3
    raises(ResponseError, "WRONGTYPE", r.lpush, "s", 1)
    raises(ResponseError, "not an integer", r.incr, "s")
    raises(ResponseError, "wrong number of arguments", r.execute_command, "GET")
    raises(ResponseError, "unknown command", r.execute_command, "NOSUCH", "x")
    assert r.copy("list", "copied") and r.rename("copied", "renamed") and r.type("renamed") == "list"


def expiry(r):
    r.set("short", 1, px=60)
    r.set("long", 1)
    assert r.expire("long", 100) and r.expireat("long", int(time.time()) + 50)
    assert 0 < r.ttl("long") <= 50
    deadline = time.monotonic() + 20
    while r.exists("short"):
        assert time.monotonic() < deadline, "a key outlives its deadline"
    assert r.get("short") is None and r.ttl("short") == -2


def scans(r):
    r.flushdb()
    r.mset({f"scan:{number}": number for number in range(300)})
    assert set(r.scan_iter("scan:*", count=7)) == {f"scan:{number}" for number in range(300)}
    assert set(r.keys("scan:1?")) == {f"scan:1{digit}" for digit in range(10)}
    r.hset("big", mapping={f"f{number}": number for number in range(300)})
    assert dict(r.hscan_iter("big")) == {f"f{number}": str(number) for number in range(300)}
    r.sadd("bigset", *range(300))
    assert set(r.sscan_iter("bigset")) == {str(number) for number in range(300)}
    r.zadd("bigzset", {f"m{number}": number for number in range(300)})
    assert dict(r.zscan_iter("bigzset")) == {f"m{number}": float(number) for number in range(300)}
    assert r.dbsize() == 303
    assert r.randomkey() is not None


def connection(r):
    assert r.ping() and r.echo("hello") == "hello"
    assert r.client_setname("worker") and r.client_getname() == "worker"
    mine = r.client_id()
    listed = {int(client["id"]): client for client in r.client_list()}
    assert listed[mine]["name"] == "worker", listed
    assert listed[mine]["lib-name"].startswith("redis-py"), listed[mine]
    assert r.client_info()["id"] == mine
    info = r.info("server")
    assert info["redis_version"] == "7.2.4" and info["server_name"] == "cairn"
    assert r.info("memory")["used_memory"] > 0
    assert r.config_get("maxclients") and r.config_set("maxclients", 5000)
    assert r.config_get("maxclients") == {"maxclients": "5000"}
    assert r.command_count() > 100
    hello = r.execute_command("HELLO", PROTOCOL)
    hello = hello if isinstance(hello, dict) else dict(zip(hello[::2], hello[1::2]))
    assert hello["server"] == "redis" and hello["proto"] == PROTOCOL and hello["role"] == "master", hello
    raises(ResponseError, "DB index is out of range", r.execute_command, "SELECT", 16)
    assert r.role()[0] == "master"
    assert isinstance(r.time()[0], int)


def binary():
    r = connect()
    value = bytes(range(256)) * 300
    assert r.set(b"\x00key\r\n", value) and r.get(b"\x00key\r\n") == value
    assert r.append(b"\x00key\r\n", b"!") == len(value) + 1


def pools():
    pool = redis.ConnectionPool(host="127.0.0.1", port=PORT, protocol=PROTOCOL, max_connections=10, decode_responses=True)

    def work(number):
        r = redis.Redis(connection_pool=pool)
        for step in range(50):
            r.set(f"pool:{number}", step)
            assert r.get(f"pool:{number}") == str(step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_url = redis.from_url(f"redis://127.0.0.1:{PORT}/3?protocol={PROTOCOL}")
    assert by_url.set("x", 1) and connect(db=3).get("x") == b"1" and connect(db=0).get("x") is None
    pool.disconnect()


def main():
    r = connect(decode_responses=True)
    r.flushall()
    for part in (pipelines, waiting, watching, types, expiry, scans, connection):
        part(r)
    binary()
    pools()


main()
