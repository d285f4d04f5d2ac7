"""What kazoo's users do, against the server named on the command line. Prints one line per scenario."""

import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    BadVersionError,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
)
from kazoo.recipe.queue import LockingQueue, Queue
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import make_digest_acl

hosts = sys.argv[1]
patience = 60


def connect(**options):
    client = KazooClient(hosts=hosts, timeout=60.0, **options)
    client.start(timeout=patience)
    return client


def expect_error(kind, call, *args, **options):
    try:
        call(*args, **options)
    except kind:
        return
    raise AssertionError("%s expected from %r%r" % (kind.__name__, call, args))


def basics(zk):
    assert zk.create("/k", b"one") == "/k"
    data, stat = zk.get("/k")
    assert (data, stat.version, stat.numChildren) == (b"one", 0, 0)
    assert zk.set("/k", b"two", version=0).version == 1
    expect_error(BadVersionError, zk.set, "/k", b"three", version=0)
    expect_error(NodeExistsError, zk.create, "/k")
    expect_error(NoNodeError, zk.get, "/missing")
    assert zk.exists("/missing") is None
    zk.ensure_path("/k/deep/path")
    expect_error(NotEmptyError, zk.delete, "/k")
    assert zk.get_children("/k") == ["deep"]
    names, stat = zk.get_children("/k", include_data=True)
    assert (names, stat.cversion) == (["deep"], 1)
    zk.delete("/k", recursive=True)
    assert zk.exists("/k") is None


def modes(zk):
    assert zk.create("/m", b"", makepath=True) == "/m"
    assert zk.create("/m/s-", sequence=True) == "/m/s-0000000000"
    path, stat = zk.create("/m/e", ephemeral=True, include_data=True)
    assert (path, stat.ephemeralOwner) == ("/m/e", zk.client_id[0])
    assert zk.create("/m/es-", ephemeral=True, sequence=True) == "/m/es-0000000002"
    assert zk.create("/m/big", b"x" * 500000) == "/m/big"
    assert zk.get("/m/big")[0] == b"x" * 500000
    assert zk.create(u"/m/\u00e4\u20ac", b"") == u"/m/\u00e4\u20ac"
    assert u"\u00e4\u20ac" in zk.get_children("/m")


def ephemerals_end(zk):
    other = connect()
    zk.ensure_path("/end")
    other.create("/end/e", ephemeral=True)
    gone = threading.Event()
    assert zk.exists("/end/e", watch=lambda event: gone.set())
    other.stop()
    other.close()
    assert gone.wait(patience)
    assert zk.exists("/end/e") is None


def acls(zk):
    acl = make_digest_acl("bob", "secret", all=True)
    zk.create("/acl", b"hidden", acl=[acl])
    expect_error(NoAuthError, zk.get, "/acl")
    bob = connect(auth_data=[("digest", "bob:secret")])
    assert bob.get("/acl")[0] == b"hidden"
    assert bob.get_acls("/acl")[0][0].id.id == acl.id.id
    bob.set_acls("/acl", [make_digest_acl("bob", "secret", read=True)])
    expect_error(NoAuthError, bob.set, "/acl", b"")
    bob.stop()
    bob.close()


def transactions(zk):
    transaction = zk.transaction()
    transaction.create("/t", b"1")
    transaction.set_data("/t", b"2")
    transaction.check("/t", 1)
    transaction.create("/t/gone")
    transaction.delete("/t/gone")
    results = transaction.commit()
    assert results[0] == "/t" and results[1].version == 1, results
    assert results[2:] == [True, "/t/gone", True], results
    transaction = zk.transaction()
    transaction.create("/t/a")
    transaction.check("/t", 7)
    transaction.create("/t/b")
    results = transaction.commit()
    assert [type(each) for each in results[:2]] == [RolledBackError, BadVersionError], results
    assert zk.get_children("/t") == []


def watches(zk):
    seen = []
    heard = threading.Condition()

    def watch(event):
        with heard:
            seen.append((event.type, event.path))
            heard.notify_all()

    def wait_for(count):
        with heard:
            assert heard.wait_for(lambda: len(seen) >= count, patience), seen

    zk.exists("/w", watch=watch)
    zk.create("/w", b"")
    wait_for(1)
    zk.get("/w", watch=watch)
    zk.set("/w", b"1")
    wait_for(2)
    zk.get_children("/w", watch=watch)
    zk.create("/w/c")
    wait_for(3)
    zk.get("/w/c", watch=watch)
    zk.delete("/w/c")
    wait_for(4)
    assert seen == [
        ("CREATED", "/w"),
        ("CHANGED", "/w"),
        ("CHILD", "/w"),
        ("DELETED", "/w/c"),
    ], seen


def watcher_recipes(zk):
    zk.ensure_path("/r")
    values = []
    children = []
    changed = threading.Condition()

    def put(into, value):
        with changed:
            into.append(value)
            changed.notify_all()

    DataWatch(zk, "/r", lambda data, stat: put(values, data))
    ChildrenWatch(zk, "/r", lambda names: put(children, sorted(names)))
    for step in (lambda: zk.set("/r", b"1"), lambda: zk.create("/r/a"), lambda: zk.create("/r/b")):
        before = len(values) + len(children)
        step()
        with changed:
            assert changed.wait_for(lambda: len(values) + len(children) > before, patience)
    assert values[-1] == b"1" and children[-1] == ["a", "b"], (values, children)


def locks(zk):
    held = []
    order = []

    def work(name):
        client = connect()
        with client.Lock("/lock", name):
            held.append(name)
            assert len(held) == 1, held
            order.append(name)
            held.remove(name)
        client.stop()
        client.close()

    workers = [threading.Thread(target=work, args=("w%d" % i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(patience)
    assert sorted(order) == ["w0", "w1", "w2", "w3"], order
    semaphore = zk.Semaphore("/semaphore", max_leases=2)
    assert semaphore.acquire(timeout=patience)
    semaphore.release()


def election(zk):
    led = []

    def lead(name):
        client = connect()
        client.Election("/election", name).run(lambda: led.append(name))
        client.stop()
        client.close()

    candidates = [threading.Thread(target=lead, args=("c%d" % i,)) for i in range(3)]
    for candidate in candidates:
        candidate.start()
    for candidate in candidates:
        candidate.join(patience)
    assert sorted(led) == ["c0", "c1", "c2"], led


def queues(zk):
    queue = Queue(zk, "/queue")
    for value in (b"a", b"b", b"c"):
        queue.put(value)
    assert [queue.get() for _ in range(4)] == [b"a", b"b", b"c", None]
    locking = LockingQueue(zk, "/locking")
    locking.put(b"x", priority=50)
    locking.put(b"y", priority=10)
    assert locking.get(timeout=patience) == b"y"
    assert locking.consume()
    assert locking.get(timeout=patience) == b"x"
    assert locking.consume()
    counter = zk.Counter("/counter")
    counter += 3
    counter -= 1
    assert counter.value == 2
    barrier = zk.Barrier("/barrier")
    barrier.create()
    barrier.remove()
    assert barrier.wait(patience)


def reconnect(zk):
    client = connect()
    client.create("/again", ephemeral=True)
    session = client.client_id[0]
    states = []
    back = threading.Event()

    def listen(state):
        states.append(state)
        if state == KazooState.CONNECTED:
            back.set()

    client.add_listener(listen)
    fired = threading.Event()
    client.get("/again", watch=lambda event: fired.set())
    client._connection._socket.shutdown(2)
    assert back.wait(patience), states
    assert states[0] == KazooState.SUSPENDED, states
    assert client.client_id[0] == session
    zk.set("/again", b"news")
    assert fired.wait(patience)
    client.stop()
    client.close()
    assert zk.exists("/again") is None


scenarios = [
    basics,
    modes,
    ephemerals_end,
    acls,
    transactions,
    watches,
    watcher_recipes,
    locks,
    election,
    queues,
    reconnect,
]

client = connect()
for scenario in scenarios:
    started = time.time()
    scenario(client)
    print("%s ok" % scenario.__name__, flush=True)
    print("%.2f s" % (time.time() - started), file=sys.stderr)
client.stop()
client.close()
