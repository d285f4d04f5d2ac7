"""kazoo's recipes over a server that is killed while they hold what they hold. Run with the server's address; says
`kill` when everything is in place, and goes on when a line comes in: by then another server has the same directory."""

import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import LockTimeout, NoAuthError
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.cache import TreeCache
from kazoo.recipe.party import Party
from kazoo.recipe.queue import LockingQueue, Queue
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import CREATOR_ALL_ACL

host = sys.argv[1]
patience = 60
clients = []


def connect():
    # Each address is waited for as long as its share of the timeout. Apache ZooKeeper never answers who comes before it
    # has a database: it fails to close the connection (NullPointerException in removeCnxn), so there must be a next try
    # within the session's time. And by itself kazoo would wait longer from try to try, up to a minute.
    retry = {"max_tries": -1, "delay": 0.5, "backoff": 1}
    client = KazooClient(hosts=",".join([host] * 20), timeout=60.0, connection_retry=retry)
    client.start(timeout=patience)
    clients.append(client)
    return client


def until(is_true):
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline, is_true
        time.sleep(0.01)


def start(body):
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


class Watching:
    """Watchers that set their watches again by themselves."""

    def __init__(self):
        self.client = connect()
        self.client.create("/app/data", b"one", makepath=True)
        self.values = []
        self.children = []
        self.states = []
        self.client.add_listener(self.states.append)
        DataWatch(self.client, "/app/data", lambda data, stat: self.values.append(data))
        ChildrenWatch(self.client, "/app", lambda names: self.children.append(sorted(names)))
        self.cache = TreeCache(self.client, "/app")
        self.cache.start()
        until(lambda: self.cache.get_data("/app/data") is not None)

    def go_on(self):
        until(lambda: self.states == [KazooState.SUSPENDED, KazooState.CONNECTED])
        self.client.set("/app/data", b"two")
        self.client.create("/app/new", b"n")
        until(lambda: self.values == [b"one", b"two"])
        until(lambda: self.children == [["data"], ["data", "new"]])
        until(lambda: self.cache.get_data("/app/data").data == b"two")
        until(lambda: self.cache.get_data("/app/new") is not None)
        assert sorted(self.cache.get_children("/app")) == ["data", "new"]


class Locking:
    """A lock that is held, one who waits for it, and a semaphore."""

    def __init__(self):
        self.holder = connect()
        self.lock = self.holder.Lock("/lock", "holder")
        assert self.lock.acquire(timeout=patience)
        self.waiter = connect()
        self.waiters_lock = self.waiter.Lock("/lock", "waiter")
        self.waiting = start(self.waiters_lock.acquire)
        until(lambda: self.lock.contenders() == ["holder", "waiter"])
        self.semaphore = self.holder.Semaphore("/semaphore", max_leases=1)
        assert self.semaphore.acquire(timeout=patience)

    def go_on(self):
        assert self.lock.contenders() == ["holder", "waiter"]
        assert self.waiting.is_alive()
        self.lock.release()
        self.waiting.join(patience)
        assert self.waiters_lock.is_acquired
        other = self.waiter.Semaphore("/semaphore", max_leases=1)
        assert not other.acquire(blocking=False)
        self.semaphore.release()
        assert other.acquire(timeout=patience)
        reading = [client.ReadLock("/rw", "r") for client in (self.holder, self.waiter)]
        assert all(lock.acquire(timeout=patience) for lock in reading)
        writing = self.holder.WriteLock("/rw", "w")
        try:
            writing.acquire(timeout=0.05)
            raise AssertionError("two read, one writes")
        except LockTimeout:
            pass
        for lock in reading:
            lock.release()
        assert writing.acquire(timeout=patience)


class Electing:
    """Two candidates; the one that leads does so until it is told to stop."""

    def __init__(self):
        self.led = []
        self.stop = threading.Event()
        self.threads = [start(lambda name=name: self.run(name)) for name in ("one", "two")]
        self.client = connect()
        self.contenders = self.client.Election("/election").contenders
        until(lambda: len(self.led) == 1 and len(self.contenders()) == 2)

    def run(self, name):
        connect().Election("/election", name).run(lambda: (self.led.append(name), self.stop.wait()))

    def go_on(self):
        assert self.contenders()[0] == self.led[0] and len(self.led) == 1
        self.stop.set()
        for thread in self.threads:
            thread.join(patience)
        assert sorted(self.led) == ["one", "two"]


class Gathering:
    """Parties, whose members stay; and double barriers, which kazoo does not take over a lost connection."""

    def __init__(self):
        self.parties = [Party(connect(), "/party", name) for name in ("one", "two")]
        for party in self.parties:
            party.join()
        assert sorted(self.parties[0]) == ["one", "two"]
        self.passed = []

    def pass_barrier(self):
        barrier = DoubleBarrier(connect(), "/barrier", 2)
        barrier.enter()
        self.passed.append("in")
        barrier.leave()
        self.passed.append("out")

    def go_on(self):
        assert sorted(self.parties[1]) == ["one", "two"]
        self.parties[0].leave()
        assert list(self.parties[1]) == ["two"]
        for thread in [start(self.pass_barrier) for _ in range(2)]:
            thread.join(patience)
        assert sorted(self.passed) == ["in", "in", "out", "out"]


class Queueing:
    """What was put in is there, in order, once."""

    def __init__(self):
        self.client = connect()
        self.queue = Queue(self.client, "/queue")
        for i in range(5):
            self.queue.put(b"%d" % i, priority=50 - i)
        self.locking = LockingQueue(self.client, "/locking")
        self.locking.put_all([b"a", b"b"])
        assert self.locking.get(timeout=patience) == b"a"
        self.counter = self.client.Counter("/counter")
        self.counter += 5

    def go_on(self):
        assert [self.queue.get() for _ in range(6)] == [b"4", b"3", b"2", b"1", b"0", None]
        assert self.locking.holds_lock() and self.locking.consume()
        assert self.locking.get(timeout=patience) == b"b" and self.locking.consume()
        self.counter += 2
        assert self.counter.value == 7


class Committing:
    """Transactions, ephemerals, and znodes of a user who must say again who he is, which kazoo does."""

    def __init__(self):
        self.client = connect()
        self.client.add_auth("digest", "bob:pw")
        self.client.create("/mine", acl=CREATOR_ALL_ACL)
        transaction = self.client.transaction()
        transaction.create("/t", ephemeral=True)
        transaction.create("/t-", sequence=True)
        self.made = transaction.commit()

    def go_on(self):
        assert self.client.get("/mine")[0] == b""
        try:
            connect().get("/mine")
            raise AssertionError("anybody may read it")
        except NoAuthError:
            pass
        assert self.client.exists("/t").ephemeralOwner == self.client.client_id[0]
        transaction = self.client.transaction()
        transaction.delete(self.made[1])
        transaction.create("/t-", sequence=True)
        transaction.create("/t/child")
        results = transaction.commit()
        kinds = [type(result).__name__ for result in results]
        assert kinds == ["RolledBackError", "RolledBackError", "NoChildrenForEphemeralsError"], kinds
        assert self.client.exists(self.made[1])
        self.client.stop()
        until(lambda: clients[0].exists("/t") is None)


scenarios = [kind() for kind in (Watching, Locking, Electing, Gathering, Queueing, Committing)]
sessions = {client: client.client_id[0] for client in clients}
print("kill", flush=True)
sys.stdin.readline()
for client, session in sessions.items():
    until(lambda: client.state == KazooState.CONNECTED)
    assert client.client_id[0] == session
for scenario in scenarios:
    scenario.go_on()
    print("%s ok" % type(scenario).__name__, flush=True)
for client in clients:
    client.stop()
    client.close()
