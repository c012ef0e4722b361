"""redis-py and a password. Arguments: port, protocol (2 or 3), password."""

import sys

import redis

PORT, PROTOCOL, PASSWORD = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def connect(**options):
    return redis.Redis(host="127.0.0.1", port=PORT, protocol=PROTOCOL, **options)


def refused(kinds, **options):
    try:
        connect(**options).ping()
    except kinds:
        return
    raise AssertionError(f"let in with {options}")


assert connect(password=PASSWORD).ping()
assert connect(username="default", password=PASSWORD).ping()
refused(redis.exceptions.AuthenticationError)
refused(redis.exceptions.AuthenticationError, password="wrong")
refused(redis.exceptions.AuthenticationError, username="nobody", password=PASSWORD)
assert redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{PORT}/0?protocol={PROTOCOL}").ping()
