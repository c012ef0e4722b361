"""redis-py's RedisCluster as applications use it. Arguments: port, protocol (2 or 3), "sync" or "asyncio"."""

import asyncio
import inspect
import sys

import redis
import redis.asyncio
from redis.exceptions import RedisClusterException, ResponseError

PORT, PROTOCOL, KIND = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
OPTIONS = dict(host="127.0.0.1", port=PORT, protocol=PROTOCOL, decode_responses=True)


async def now(value):
    """The value, or what an awaitable comes to: one text for both kinds of client."""
    return await value if inspect.isawaitable(value) else value


async def topology(r):
    primaries, replicas = r.get_primaries(), r.get_replicas()
    assert len(primaries) == 3 and len(replicas) == 3, (primaries, replicas)
    assert len({node.name for node in primaries + replicas}) == 6
    nodes = await now(r.cluster_nodes())
    assert len(nodes) == 6, nodes
    info = await now(r.cluster_info())
    assert info["cluster_state"] == "ok", info
    slots = await now(r.cluster_slots())
    assert sum(last - first + 1 for first, last in slots) == 16384, slots
    assert len(await now(r.cluster_shards())) == 3
    pings = await now(r.ping(target_nodes=redis.RedisCluster.ALL_NODES))
    assert pings


async def keys(r):
    for number in range(100):
        assert await now(r.set(f"py:{number}", number))
    for number in range(100):
        assert await now(r.get(f"py:{number}")) == str(number)
    assert await now(r.mset_nonatomic({f"many:{number}": number for number in range(30)}))
    many = await now(r.mget_nonatomic([f"many:{number}" for number in range(30)]))
    assert many == [str(number) for number in range(30)], many
    assert await now(r.mset({"{tag}a": 1, "{tag}b": 2}))
    assert await now(r.mget("{tag}a", "{tag}b")) == ["1", "2"]
    try:
        await now(r.mget("a", "b"))
        raise AssertionError("keys of two slots")
    except (RedisClusterException, ResponseError) as error:
        assert "slot" in str(error).lower(), error
    assert await now(r.delete("py:1", "py:2", "py:3")) == 3
    assert await now(r.dbsize(target_nodes=redis.RedisCluster.PRIMARIES)) == 100 - 3 + 30 + 2


async def pipelines(r):
    pipe = r.pipeline()
    for number in range(100):
        pipe.incrby(f"pipe:{number}", number)
    assert await now(pipe.execute()) == list(range(100))
    found = set()
    if KIND == "sync":
        found.update(r.scan_iter(match="pipe:*", count=50))
    else:
        async for key in r.scan_iter(match="pipe:*", count=50):
            found.add(key)
    assert len(found) == 100, len(found)


async def replicas(r):
    reading = type(r)(**OPTIONS, load_balancing_strategy=redis.cluster.LoadBalancingStrategy.ROUND_ROBIN)
    assert await now(reading.set("{read}key", "value"))
    for _ in range(10):
        # A replica may be a moment behind; it is asked until it is not.
        for _ in range(1000):
            if await now(reading.get("{read}key")) == "value":
                break
        else:
            raise AssertionError("a replica never had the value")
    await now(reading.aclose() if KIND == "asyncio" else reading.close())


async def everything(r):
    await topology(r)
    await keys(r)
    await pipelines(r)
    await replicas(r)
    await now(r.flushall(target_nodes=redis.RedisCluster.PRIMARIES))


async def main():
    if KIND == "asyncio":
        async with redis.asyncio.RedisCluster(**OPTIONS) as r:
            await everything(r)
    else:
        with redis.RedisCluster(**OPTIONS) as r:
            await everything(r)


asyncio.run(main())
