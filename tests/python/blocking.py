"""Commands that wait, as clients see them: every reply is printed, so that what two servers say can be compared.

Nothing is waited for by time: a client waits when INFO says that so many do.
Arguments: port, protocol.
"""

import socket
import sys
import time

PORT, PROTOCOL = int(sys.argv[1]), sys.argv[2]
PATIENCE = 60


class Client:
    """A bare connection: what it reads is what the server wrote."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.socket.settimeout(PATIENCE)
        self.input = self.socket.makefile("rb")
        self.run("HELLO " + PROTOCOL)

    def send(self, line):
        words = [word.encode() for word in line.split(" ")]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def read(self):
        line = self.input.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind in (b"$", b"="):
            return "nil-bulk" if rest == b"-1" else self.input.read(int(rest) + 2)[:-2].decode()
        if kind in (b"*", b"~", b">"):
            return "nil-array" if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {"map": [self.read() for _ in range(2 * int(rest))]}
        if kind == b"":
            return "closed"
        return line.decode()

    def run(self, line):
        self.send(line)
        return self.read()

    def id(self):
        return int(self.run("CLIENT ID")[1:])


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


control = Client()


def info(name):
    lines = control.run("INFO clients").splitlines()
    return int(next(line.partition(":")[2] for line in lines if line.startswith(name + ":")))


def blocked(count):
    wait_until(f"{count} waiting clients", lambda: info("blocked_clients") == count)


def say(*values):
    print(*values, flush=True)


def waiting(*lines):
    """New clients, each of which waits with its command, in this order."""
    clients = []
    for line in lines:
        clients.append(Client())
        before = info("blocked_clients")
        clients[-1].send(line)
        blocked(before + 1)
    return clients


def do(*lines):
    for line in lines:
        say("   ", line, "=>", control.run(line))


def answers(*clients):
    for client in clients:
        say("    answered:", client.read())


def story(about, setup, waiters, then, left=()):
    """Commands, clients that wait, commands, and what the clients are told. `left` are those who go on waiting, by number."""
    say(about)
    control.run("FLUSHALL")
    do(*setup)
    clients = waiting(*waiters)
    do(*then)
    blocked(len(left))
    answers(*(client for number, client in enumerate(clients) if number not in left))
    for number in left:
        say("    CLIENT UNBLOCK", control.run(f"CLIENT UNBLOCK {unblockable[clients[number]]}"))
        answers(clients[number])
    say("    left:", sorted(control.run("KEYS *")))


class Ids(dict):
    """The ids of clients, asked for by CLIENT LIST: who waits cannot be asked."""

    def __missing__(self, client):
        name = client.socket.getsockname()
        address = f" addr={name[0]}:{name[1]} "
        line = next(line for line in control.run("CLIENT LIST").splitlines() if address in line)
        assert " flags=b " in line, line
        return int(line.split(" ")[0][3:].split("=")[-1])


unblockable = Ids()


def lists():
    story("the first who waits is served first", [], ["BLPOP k 0", "BRPOP k 0", "BLPOP k 0"], ["RPUSH k 1 2 3"])
    story("so many as there are elements", [], ["BLPOP k 0", "BRPOP k 0"], ["RPUSH k 1", "LLEN k"], left=[1])
    story("nobody comes between", [], ["BLPOP k 0"], ["RPUSH k 1 2", "LLEN k", "LPOP k"])
    story("one push for many", [], ["BLPOP k 0"] * 5, ["RPUSH k 1 2 3"], left=[3, 4])
    story("several keys, in the order of the arguments", [], ["BLPOP a b c 0"], ["MULTI", "RPUSH c 3", "RPUSH b 2", "EXEC"])
    story("what is served first is the first that is there", [], ["BLPOP a b 0"], ["RPUSH b 2"])
    story("the same key twice", [], ["BLPOP a a 0", "BLPOP a 0"], ["RPUSH a 1 2"])
    story("BLMPOP takes as many as it may", [], ["BLMPOP 0 2 a b RIGHT COUNT 3", "BLPOP b 0"], ["RPUSH b 1 2 3 4"])
    story("BLMOVE", [], ["BLMOVE a b LEFT RIGHT 0"], ["RPUSH a 1 2", "LRANGE b 0 -1"])
    story("BRPOPLPUSH", [], ["BRPOPLPUSH a b 0"], ["RPUSH a 1 2", "LRANGE b 0 -1"])
    story("BLMOVE onto itself", [], ["BLMOVE a a LEFT RIGHT 0"], ["RPUSH a 1 2", "LRANGE a 0 -1"])
    chain = ["BLMOVE a b LEFT LEFT 0", "BLMOVE b c LEFT LEFT 0", "BLPOP c 0"]
    story("a chain", [], chain, ["RPUSH a 1", "LRANGE a 0 -1", "LRANGE b 0 -1", "LRANGE c 0 -1"])
    story("a chain against the order of waiting", [], chain[::-1], ["RPUSH a 1"])
    story("a circle", [], ["BLMOVE a b LEFT LEFT 0", "BLMOVE b a LEFT LEFT 0"], ["RPUSH a 1", "LRANGE a 0 -1", "LRANGE b 0 -1"])
    story("a target of another type", ["SET b x"], ["BLMOVE a b LEFT LEFT 0", "BLPOP a 0"], ["RPUSH a 1"])
    story("a target that becomes another type", [], ["BLMOVE a b LEFT LEFT 0"], ["SET b x", "RPUSH a 1", "LRANGE a 0 -1"])
    story("another type while it waits", [], ["BLPOP k 0"], ["SET k x", "DEL k", "SADD k x", "DEL k", "RPUSH k 1"])
    story("another type in front", [], ["BLPOP a b 0"], ["SET a x", "RPUSH b 1", "LRANGE b 0 -1"])
    story("a sorted set is no list", [], ["BLPOP k 0", "BZPOPMIN k 0"], ["ZADD k 1 a"], left=[0])
    story("a push that fails", ["SET k x"], ["BLPOP k2 0"], ["RPUSH k 1"], left=[0])
    story("deleted in the same transaction", [], ["BLPOP k 0"], ["MULTI", "RPUSH k 1", "DEL k", "EXEC"], left=[0])
    becomes = ["MULTI", "RPUSH k 1", "DEL k", "SET k x", "EXEC", "TYPE k", "DEL k", "RPUSH k 2"]
    story("something else in the same transaction", [], ["BLPOP k 0", "BLMPOP 0 1 k LEFT"], [*becomes, "RPUSH k 3"])
    story("a transaction serves at its end", [], ["BLPOP k 0"], ["MULTI", "RPUSH k 1", "LPUSH k 0", "LLEN k", "EXEC", "LLEN k"])
    story("within a transaction nobody waits", [], [], ["MULTI", "BLPOP k 0", "BLMOVE a b LEFT LEFT 0", "RPUSH k 1", "BLPOP k 0", "EXEC"])
    story("a transaction that pops for a chain", ["RPUSH a 1"], ["BLPOP b 0"], ["MULTI", "BLMOVE a b LEFT LEFT 0", "EXEC"])
    story("RPUSHX adds nothing", [], ["BLPOP k 0"], ["RPUSHX k 1", "LPUSHX k 1"], left=[0])
    story("LINSERT adds nothing", [], ["BLPOP k 0"], ["LINSERT k BEFORE 1 2"], left=[0])


def other_ways():
    story("RENAME", ["RPUSH other 1 2 3"], ["BLPOP k 0", "BLPOP k 0"], ["RENAME other k", "LRANGE k 0 -1"])
    story("COPY", ["RPUSH other 1 2"], ["BLPOP k 0"], ["COPY other k", "LRANGE k 0 -1"])
    story("LMOVE", ["RPUSH other 1 2"], ["BLPOP k 0"], ["LMOVE other k LEFT LEFT", "LRANGE k 0 -1"])
    story("RPOPLPUSH", ["RPUSH other 1 2"], ["BLPOP k 0"], ["RPOPLPUSH other k", "LRANGE k 0 -1"])
    story("SORT STORE", ["RPUSH other 3 1 2"], ["BLPOP k 0"], ["SORT other STORE k", "LRANGE k 0 -1"])
    story("ZUNIONSTORE", ["ZADD z 1 a 2 b"], ["BZPOPMAX k 0"], ["ZUNIONSTORE k 1 z", "ZCARD k"])
    story("ZRANGESTORE", ["ZADD z 1 a 2 b"], ["BZPOPMIN k 0"], ["ZRANGESTORE k z 0 -1", "ZCARD k"])
    story("GEOADD", [], ["BZPOPMIN k 0"], ["GEOADD k 13.361389 38.115556 Palermo"])
    story("GEOSEARCHSTORE", ["GEOADD g 13.361389 38.115556 Palermo"], ["BZPOPMIN k 0"], ["GEOSEARCHSTORE k g FROMMEMBER Palermo BYRADIUS 1 km"])
    story("MOVE", ["SELECT 9", "RPUSH k 1", "SELECT 0"], ["BLPOP k 0"], ["SELECT 9", "MOVE k 0", "SELECT 0"])
    story("SWAPDB", ["SELECT 9", "RPUSH k 1 2", "SELECT 0"], ["BLPOP k 0"], ["SWAPDB 0 9"])
    story("SWAPDB the other way", ["SELECT 9", "ZADD k 1 a 2 b", "SELECT 0"], ["BZPOPMIN k 0"], ["SWAPDB 9 0"])
    story("a push of an unlike key", [], ["BLPOP k 0"], ["RPUSH other 1", "SELECT 9", "RPUSH k 1", "DEL k", "SELECT 0"], left=[0])


def sorted_sets():
    story("ZADD", [], ["BZPOPMIN k 0", "BZPOPMAX k 0"], ["ZADD k 1 a 2 b 3 c", "ZCARD k"])
    story("one for many", [], ["BZPOPMIN k 0", "BZPOPMIN k 0"], ["ZADD k NX CH 1.5 a"], left=[1])
    story("ZINCRBY", [], ["BZPOPMIN a k 0"], ["ZINCRBY k 2 m"])
    story("BZMPOP", [], ["BZMPOP 0 2 a b MAX COUNT 2", "BZPOPMIN b 0"], ["ZADD b 1 x 2 y 3 z"])
    story("another type", [], ["BZMPOP 0 1 k MIN"], ["RPUSH k x", "DEL k", "ZADD k 1 a"])
    story("two kinds on one key", [], ["BZPOPMIN k 0", "BLPOP k 0"], ["RPUSH k 1"], left=[0])


def ends():
    say("timeouts")
    for line in ["BLPOP k 0.01", "BRPOPLPUSH a b 0.01", "BLMOVE a b LEFT LEFT 0.01", "BLMPOP 0.01 1 k LEFT", "BZPOPMIN k 0.01", "BZMPOP 0.01 1 k MIN"]:
        do(line)
    say("CLIENT UNBLOCK")
    one, two, three = waiting("BLPOP k 0", "BLMOVE a b LEFT LEFT 0", "BZPOPMIN k 0")
    say(control.run(f"CLIENT UNBLOCK {unblockable[one]}"), control.run(f"CLIENT UNBLOCK {unblockable[two]} TIMEOUT"))
    say(control.run(f"CLIENT UNBLOCK {unblockable[three]} ERROR"))
    answers(one, two, three)
    say(control.run(f"CLIENT UNBLOCK {one.id()}"))
    do("CLIENT UNBLOCK 1000000", "CLIENT UNBLOCK x", "CLIENT UNBLOCK 1 x")
    blocked(0)

    say("who goes has no place any more")
    gone, half, stays = waiting("BLPOP k 0", "BLPOP k 0", "BLPOP k 0")
    gone.socket.shutdown(socket.SHUT_RDWR)
    half.socket.shutdown(socket.SHUT_WR)
    blocked(1)
    do("RPUSH k 1")
    answers(stays, half)

    say("CLIENT KILL")
    killed, stays = waiting("BLPOP k 0", "BLPOP k 0")
    say(control.run(f"CLIENT KILL ID {unblockable[killed]}"))
    blocked(1)
    do("RPUSH k 1")
    answers(stays, killed)

    say("what is pipelined behind waits, what stands in front does not")
    client = Client()
    client.send("SET a 1")
    client.send("GET a")
    client.send("BLPOP k 0")
    client.send("RPUSH k later")
    client.send("BLPOP k2 k 0")
    client.send("PING")
    answers(client, client)
    blocked(1)
    do("LLEN k", "RPUSH k now")
    answers(client, client, client, client)
    blocked(0)

    say("QUIT and RESET wait for their turn")
    one, two = waiting("BLPOP k 0", "BLPOP k 0")
    one.send("RESET")
    two.send("QUIT")
    do("RPUSH k 1 2")
    answers(one, one, two, two, two)

    say("CLIENT REPLY")
    client = Client()
    client.send("CLIENT REPLY SKIP")
    client.send("BLPOP k 0")
    blocked(1)
    do("RPUSH k 1")
    say(client.run("PING"))

    say("the directive timeout closes nobody who waits")
    do("CONFIG SET timeout 1")
    (client,) = waiting("BLPOP k 2")
    # Who asks all the time is not idle.
    blocked(0)
    answers(client)
    control.run("CONFIG SET timeout 0")

    say("CLIENT PAUSE holds the push, not the time")
    (client,) = waiting("BLPOP k 0.2")
    pusher = Client()
    do("CLIENT PAUSE 100000 WRITE")
    pusher.send("RPUSH k 1")
    answers(client)
    do("CLIENT UNPAUSE")
    answers(pusher)
    do("DEL k")

    say("what waited is counted once")
    do("CONFIG RESETSTAT", "DEL k")
    clients = waiting("BLPOP k 0", "BLPOP k 0", "BLPOP k 0")
    do("RPUSH k 1")
    say(control.run(f"CLIENT UNBLOCK {unblockable[clients[1]]}"))
    say(control.run(f"CLIENT UNBLOCK {unblockable[clients[2]]} ERROR"))
    answers(*clients)
    lines = control.run("INFO commandstats").splitlines()
    counted = next(line for line in lines if line.startswith("cmdstat_blpop:"))
    say(*(part for part in counted.split(",") if "calls" in part))

    say("keys that are waited for are counted")
    control.run("FLUSHALL")
    clients = waiting("BLPOP a b 0", "BLPOP b c 0", "BLMOVE d e LEFT LEFT 0")
    say(info("total_blocking_keys"), info("total_blocking_keys_on_nokey"))
    for key in "ab", "bc", "d":
        control.run(f"RPUSH {key[0]} 1")
    answers(*clients)
    say(info("total_blocking_keys"), info("total_blocking_keys_on_nokey"))
    control.run("FLUSHALL")


def streams():
    story("XREAD", ["XADD s 1-1 a b"], ["XREAD BLOCK 0 STREAMS s $", "XREAD COUNT 5 BLOCK 0 STREAMS t s 0 1-1"], ["XADD s 2-1 c d"])
    story("from the beginning of what is not there", [], ["XREAD BLOCK 0 STREAMS s 0"], ["XADD s 1-1 a b"])
    story("behind what is there", [], ["XREAD BLOCK 0 STREAMS s 5-0"], ["XADD s 1-1 a b", "XADD s 6-1 a b"])
    story("the last", [], ["XREAD BLOCK 0 STREAMS s +"], ["XADD s 1-1 a b"])
    story("added and removed", [], ["XREAD BLOCK 0 STREAMS s $"], ["MULTI", "XADD s 1-1 a b", "DEL s", "EXEC"], left=[0])
    story("a stream that goes and comes", ["XADD s 5-1 a b"], ["XREAD BLOCK 0 STREAMS s $"], ["DEL s", "XADD s 1-1 a b", "DEL s", "SET s x", "DEL s", "XADD s 9-1 a b"])
    story("a transaction", [], ["XREAD BLOCK 0 STREAMS s $"], ["MULTI", "XADD s 1-1 a b", "XADD s 1-2 a b", "EXEC"])
    story("RENAME of a stream", ["XADD t 3-1 a b"], ["XREAD BLOCK 0 STREAMS s $"], ["RENAME t s"])
    story("in a transaction nobody waits", [], [], ["MULTI", "XREAD BLOCK 0 STREAMS s $", "EXEC"])
    group = ["XGROUP CREATE s g $ MKSTREAM"]
    story("XREADGROUP", group, ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "XREADGROUP GROUP g two BLOCK 0 STREAMS s >"], ["XADD s 1-1 a b", "XADD s 2-1 c d", "XPENDING s g"])
    story("one entry for one of a group", group, ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "XREADGROUP GROUP g two BLOCK 0 STREAMS s >"], ["XADD s 1-1 a b"], left=[1])
    story("two groups", group + ["XGROUP CREATE s h $"], ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "XREADGROUP GROUP h two NOACK BLOCK 0 STREAMS s >"], ["XADD s 1-1 a b", "XPENDING s g", "XPENDING s h"])
    story("readers and groups", group, ["XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g one BLOCK 0 STREAMS s >"], ["XADD s 1-1 a b"])
    story("history is there at once", group + ["XADD s 1-1 a b"], [], ["XREADGROUP GROUP g one BLOCK 0 STREAMS s 0"])
    story("the group goes", group, ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >"], ["XGROUP DESTROY s g"])
    story("the stream goes", group, ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >"], ["DEL s"])
    story("the stream becomes something else", group, ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >"], ["SET s x"])
    story("all streams go", group, ["XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "XREAD BLOCK 0 STREAMS s $"], ["FLUSHALL"], left=[1])
    say("counted")
    control.run("FLUSHALL")
    do(*group)
    clients = waiting("XREADGROUP GROUP g one BLOCK 0 STREAMS s >", "XREAD BLOCK 0 STREAMS t $")
    say(info("total_blocking_keys"), info("total_blocking_keys_on_nokey"))
    do("XADD s 1-1 a b", "XADD t 1-1 a b")
    answers(*clients)
    do("XREAD BLOCK 1 STREAMS t $", "XREAD BLOCK 10 STREAMS s t 7-0 $")


for part in sys.argv[3:] or ["lists", "other_ways", "sorted_sets", "ends", "streams"]:
    globals()[part]()
