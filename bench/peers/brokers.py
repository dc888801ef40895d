"""The brokers that load is put on: the sink, which is started here, and a real Kafka."""
import json
import socket
import struct
import subprocess
import time

PARTITIONS = 4
TIMEOUT_S = 30


class Sink:
    """A sink of its own for a run of this program."""

    PORT, CONTROL = 29092, 29091
    bootstrap = "127.0.0.1:%d" % PORT
    name = "sink"

    def __init__(self, binary, prefix, brokers, partitions, crc):
        self.command = prefix + [binary, "--port", self.PORT, "--control", self.CONTROL, "--brokers", brokers,
                                 "--partitions", partitions, "--crc", int(crc)]
        self.partitions = partitions

    def __enter__(self):
        self.process = subprocess.Popen([str(word) for word in self.command], stdout=subprocess.DEVNULL)
        for _ in range(200):
            if self.process.poll() is not None:
                raise SystemExit("the sink has ended; is another one running?")
            try:
                self._ask("stats")
                return self
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        raise SystemExit("the sink does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def begin(self, _topic):
        self._ask("reset")
        self.cpu_s = self._cpu_s(self._ask("stats"))

    def end(self, _topic):
        """What came since `begin`."""
        stats = self._ask("stats")
        stats["cpu_s"] = round(self._cpu_s(stats) - self.cpu_s, 3)
        return stats

    @staticmethod
    def _cpu_s(stats):
        return stats["sink_user_s"] + stats["sink_sys_s"]

    def _ask(self, command):
        with socket.create_connection(("127.0.0.1", self.CONTROL), TIMEOUT_S) as control:
            control.sendall((command + "\n").encode())
            return json.loads(control.makefile().readline())


class Kafka:
    """A Kafka that runs already; every run has a topic of its own, which is deleted after it."""

    name = "kafka"

    CREATE_TOPICS, DELETE_TOPICS, METADATA, LIST_OFFSETS = 19, 20, 3, 2
    LATEST = -1

    def __init__(self, bootstrap, partitions):
        self.bootstrap = bootstrap
        self.partitions = partitions

    def __enter__(self):
        try:
            self._ask(self.METADATA, 4, struct.pack(">i?", 0, False))
        except OSError as error:
            raise SystemExit("no Kafka at %s (%s): run scripts/kafka.sh start one" % (self.bootstrap, error))
        return self

    def __exit__(self, *_):
        pass

    def begin(self, topic):
        settings = {"segment.bytes": "268435456", "file.delete.delay.ms": "1000"}
        body = struct.pack(">i", 1) + _string(topic) + struct.pack(">ihii", self.partitions, 1, 0, len(settings))
        body += b"".join(_string(name) + _string(value) for name, value in settings.items())
        answer = self._ask(self.CREATE_TOPICS, 2, body + struct.pack(">i?", TIMEOUT_S * 1000, False))
        # After the throttle time, the number of topics and the name.
        self._check("creating", topic, struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0])
        time.sleep(0.2)  # until all of the broker knows

    def end(self, topic):
        """How many records the topic has; it is deleted."""
        records = self._records(topic)
        answer = self._ask(self.DELETE_TOPICS, 1, struct.pack(">i", 1) + _string(topic)
                           + struct.pack(">i", TIMEOUT_S * 1000))
        self._check("deleting", topic, struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic))[0])
        return {"records": records}

    def _records(self, topic):
        """The sum of the end offsets: nothing but records has offsets here, nothing is removed."""
        body = struct.pack(">ii", -1, 1) + _string(topic) + struct.pack(">i", self.partitions)
        body += b"".join(struct.pack(">iq", partition, self.LATEST) for partition in range(self.partitions))
        answer = self._ask(self.LIST_OFFSETS, 1, body)
        at = 4 + 2 + len(topic) + 4
        records = 0
        for _ in range(self.partitions):
            _partition, error, _timestamp, offset = struct.unpack_from(">ihqq", answer, at)
            self._check("offsets of", topic, error)
            at += 22
            records += offset
        return records

    def _check(self, what, topic, error):
        if error != 0:
            raise SystemExit("%s topic %s: Kafka answers with error %d" % (what, topic, error))

    def _ask(self, api, version, body):
        host, port = self.bootstrap.rsplit(":", 1)
        with socket.create_connection((host, int(port)), TIMEOUT_S) as broker:
            request = struct.pack(">hhih", api, version, 0, -1) + body
            broker.sendall(struct.pack(">i", len(request)) + request)
            stream = broker.makefile("rb")
            length = struct.unpack(">i", stream.read(4))[0]
            return stream.read(length)[4:]  # without the correlation id


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()
