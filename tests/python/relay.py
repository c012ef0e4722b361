"""Sends commands to servers for a test that cannot reach them itself, being outside of their network.

Every line of standard input holds, between tabs: host, port, how many seconds an answer may take, and the words of a command.
Every line of output is what became of it: the reply as text on one line (an error with its minus sign), or nothing.
"""

import socket
import sys


def read_reply(stream):
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the connection was closed")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"-":
        return "-" + rest
    if kind in (b"+", b":"):
        return rest
    if kind == b"$":
        return "(nil)" if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode()
    return " ".join(read_reply(stream) for _ in range(int(rest)))


def ask(host, port, seconds, words):
    request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with socket.create_connection((host, port), timeout=seconds) as server:
        server.settimeout(seconds)
        server.sendall(request)
        return read_reply(server.makefile("rb"))


for line in sys.stdin:
    host, port, seconds, *words = line.rstrip("\n").split("\t")
    try:
        reply = ask(host, int(port), float(seconds), [word.encode() for word in words])
    except OSError:
        reply = ""
    print(reply.replace("\n", "|"), flush=True)
