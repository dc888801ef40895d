#!/usr/bin/env python3
"""Make the payload files: data/payload-SIZE.bin, 16384 values of SIZE bytes that look like JSON,
and data/keys-8.bin, 16384 keys of 8 bytes. They are the same on every machine.

    ./gen_payload.py [SIZE ...]      100 and 1000 if none is given
"""
import random
import sys
from pathlib import Path

COUNT = 16384
SMALLEST = 32
# From this size on, values have a list of items.
LARGE = 200
DATA = Path(__file__).resolve().parent / "data"
EVENTS = ["page_view", "click", "purchase", "login", "logout", "add_to_cart", "search"]
COUNTRIES = ["DE", "FR", "US", "GB", "IN", "BR", "JP", "NG"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (Macintosh)", "okhttp/4.9.3", "curl/8.5.0"]


def event(rng, number):
    """The begin of a value: an event."""
    return '{"id":%d,"ts":%d,"u":"u%05d","e":"%s","c":"%s","ms":%d,"p":"/i/%x"' % (
        number,
        1700000000000 + number * 7 + rng.randrange(7),
        rng.randrange(100000),
        rng.choice(EVENTS),
        rng.choice(COUNTRIES),
        rng.randrange(2000),
        rng.randrange(1 << 24),
    )


def event_with_items(rng, number, size):
    """The begin of a large value: an event with a list that nearly fills it."""
    text = event(rng, number)
    text += ',"ua":"%s","session":"%032x","items":[' % (rng.choice(AGENTS), rng.getrandbits(128))
    while len(text) < size - 130:
        text += '{"sku":"SKU-%06d","qty":%d,"price":%.2f,"title":"item %d of %s"},' % (
            rng.randrange(1000000),
            rng.randrange(1, 9),
            rng.random() * 500,
            rng.randrange(9999),
            rng.choice(EVENTS),
        )
    return text + "null]"


def fitted(rng, text, size):
    """The text cut or filled up with random digits to the size."""
    text = text[: size - 8] + ',"x":"'
    while len(text) < size - 2:
        text += "%08x" % rng.getrandbits(32)
    return (text[: size - 2] + '"}').encode().ljust(size)


def values(size):
    rng = random.Random(42 + size)
    for number in range(COUNT):
        text = event(rng, number) if size < LARGE else event_with_items(rng, number, size)
        yield fitted(rng, text, size)


def keys():
    rng = random.Random(7)
    return (b"%08x" % rng.getrandbits(32) for _ in range(COUNT))


def main():
    try:
        sizes = [int(word) for word in sys.argv[1:]] or [100, 1000]
    except ValueError:
        sys.exit(__doc__)
    if min(sizes) < SMALLEST:
        sys.exit("a value has at least %d bytes" % SMALLEST)
    DATA.mkdir(exist_ok=True)
    for size in sizes:
        (DATA / ("payload-%d.bin" % size)).write_bytes(b"".join(values(size)))
    (DATA / "keys-8.bin").write_bytes(b"".join(keys()))


if __name__ == "__main__":
    main()
