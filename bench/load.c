/*
 * Load generator for servers that speak the ZooKeeper client protocol.
 *
 * One process, one thread, one epoll. It builds frames by hand and knows nothing about any server, so that its own
 * cost is small and the same for every rival. Every reply is checked: xid in order, error code, length of the body;
 * whatever is wrong counts as an error and the exit code says so. Prints one line of JSON.
 *
 *   closed loop (default): each connection keeps --in-flight requests outstanding
 *   open loop (--rate N):  bursts of --in-flight requests at fixed times that wait for no reply, so a stalled server
 *                          is charged for everything that came due during the stall; how late this process itself
 *                          was with a burst is reported apart
 *
 * Run it without arguments for the options; bench/README.md says what each workload does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* ---- protocol ------------------------------------------------------------------------------------------------- */

enum {
  OP_CREATE = 1,
  OP_DELETE = 2,
  OP_EXISTS = 3,
  OP_GET_DATA = 4,
  OP_SET_DATA = 5,
  OP_GET_CHILDREN = 8,
  OP_PING = 11,
  OP_MULTI = 14,
  OP_CLOSE_SESSION = -11,
};
enum { XID_NOTIFICATION = -1, XID_PING = -2 };
enum { ERR_NODE_EXISTS = -110 };
enum { EVENT_DATA_CHANGED = 3 };
enum { REPLY_HEADER = 16, STAT = 68, CONNECT_REPLY = 37 };
enum { ANY_LENGTH = -1 };

/* ---- options -------------------------------------------------------------------------------------------------- */

typedef enum { GET, EXISTS, CHILDREN, SET, CREATE, CHURN, MIXED, PING, MULTI, WATCH, STORM, FILL, WAIT, LIST } workload_t;

static const char *const workload_names[] = {"get",  "exists", "children", "set",   "create", "churn", "mixed",
                                             "ping", "multi",  "watch",    "storm", "fill",   "wait",  "list"};

static struct {
  workload_t workload;
  const char *host;
  int port;
  int connections;
  int in_flight;
  int value_bytes;
  uint64_t keys;
  uint64_t tree; /* keys are the znodes made by `fill`, this many of them; 0 = /bench/k… */
  double seconds, warmup;
  double rate; /* requests per second of the whole process; 0 = closed loop */
  int read_percent;
  int ops_per_multi;
  int count;
  const char *path;
  int session_timeout_ms;
  int attempt_ms, poll_ms;
  double limit;
  pid_t server_pid;
  bool realtime;
} opt = {
    .host = "127.0.0.1",
    .port = 2181,
    .connections = 50,
    .in_flight = 16,
    .value_bytes = 100,
    .keys = 10000,
    .seconds = 5,
    .warmup = 2,
    .read_percent = 90,
    .ops_per_multi = 10,
    .count = 5,
    .path = "/fill/d0000",
    .session_timeout_ms = 30000,
    .attempt_ms = 25,
    .poll_ms = 2,
};

static void usage(void) {
  fputs("usage: load WORKLOAD [options]\n"
        "  get exists children set create churn mixed ping multi   measure requests\n"
        "  watch     --connections x --keys watches, one writer sets every key; measures notifications\n"
        "  storm     connect, handshake, closeSession, again; measures sessions\n"
        "  fill      make --tree znodes, 1,000 a parent, below /fill (or --keys below --path if --tree is 0)\n"
        "  wait      poll until the first handshake reply\n"
        "  list      getChildren of --path, --count times\n"
        "options, with their defaults\n"
        "  --host 127.0.0.1  --port 2181  --connections 50  --in-flight 16  --value 100  --keys 10000\n"
        "  --tree 0          draw keys from a filled tree of this size\n"
        "  --seconds 5  --warmup 2  --rate 0 (requests per second; 0 is closed loop)\n"
        "  --read-percent 90 (mixed)  --ops 10 (per multi; for fill: creates per frame, 0 is no multi)\n"
        "  --count 5  --path /fill/d0000 (list)  --session-timeout 30000 (ms)\n"
        "  --attempt 25  --poll 2 (wait: ms until another attempt joins a silent one, follows one that failed)\n"
        "  --limit 0         give up after so many seconds (0: the run's length and 120 more)\n"
        "  --pid 0           server process whose CPU time is read at the edges of the measured window\n"
        "  --realtime        ask for real-time scheduling: a latency probe beside a busy generator\n",
        stderr);
  exit(2);
}

/* ---- small things --------------------------------------------------------------------------------------------- */

/* What the server did wrong, and what the operating system refused. */
static void fail(const char *what) {
  fprintf(stderr, "load: %s\n", what);
  exit(1);
}
static void fail_os(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* xorshift64: the same sequence of keys in every run. */
static uint64_t random_state = 88172645463325252u;
static uint64_t random_below(uint64_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % n;
}

static void *grow(void *old, size_t bytes) {
  void *p = realloc(old, bytes);
  if (p == NULL) fail("out of memory");
  return p;
}

/* User and system time of the server in seconds: fields 14 and 15 of /proc/<pid>/stat, after the name in brackets. */
static double server_cpu_seconds(void) {
  if (opt.server_pid == 0) return 0;
  char name[64], text[1024];
  snprintf(name, sizeof name, "/proc/%d/stat", (int)opt.server_pid);
  FILE *file = fopen(name, "r");
  if (file == NULL) fail_os(name);
  size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = 0;
  unsigned long user, system;
  char *rest = strrchr(text, ')');
  if (rest == NULL || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
    fail("cannot read the server's CPU time");
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu_seconds(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- latency histogram: 64 linear steps per power of two, so a figure is at most 1.6 % off; the maximum is exact --- */

enum { STEPS = 64, BUCKETS = 60 * STEPS };
static uint64_t histogram[BUCKETS], samples, slowest_ns;

static void record_latency(uint64_t ns) {
  int octave = ns < STEPS ? 0 : 63 - __builtin_clzll(ns) - 5;
  uint64_t bucket = octave == 0 ? ns : (uint64_t)octave * STEPS + ((ns >> (octave - 1)) & (STEPS - 1));
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  samples++;
  if (ns > slowest_ns) slowest_ns = ns;
}

static double quantile_us(double q) {
  uint64_t rank = (uint64_t)(q * (double)samples), seen = 0;
  for (uint64_t i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (seen <= rank) continue;
    uint64_t octave = i / STEPS, step = i % STEPS;
    uint64_t ns = octave == 0 ? step : (STEPS | step) << (octave - 1);
    return (double)(ns < slowest_ns ? ns : slowest_ns) / 1e3;
  }
  return 0;
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

typedef struct {
  uint64_t since_ns; /* when it was sent */
  int32_t xid;
  int32_t body_bytes; /* expected length after the reply header, or ANY_LENGTH */
  bool may_exist;     /* NODEEXISTS is as good as success */
} request_t;

typedef struct {
  int fd;
  bool wants_out;
  uint8_t *out;
  size_t out_at, out_end, out_room;
  uint8_t *in;
  size_t in_end, in_room;
  request_t *ring; /* requests in flight, oldest at `answered` */
  uint32_t ring_mask, asked, answered;
  int32_t xid;
  uint64_t made, removed;                           /* churn and create: znodes of this connection */
  enum { READY, DIALLING, GREETING, LEAVING } state; /* only storm leaves READY */
  uint64_t dialled_ns;
} conn_t;

static conn_t *conns;
static int epoll_fd, timer_fd = -1;
static uint8_t *value;
static bool measuring, issuing;
static uint64_t ops, errors, notifications, wrong_notifications, outstanding;
static uint64_t fill_next;
static char first_error[160];

static void note_error(const char *what, long long got, long long wanted) {
  errors++;
  if (first_error[0] == 0) snprintf(first_error, sizeof first_error, "%s %lld, expected %lld", what, got, wanted);
}

static uint8_t *put32(uint8_t *p, int64_t v) {
  uint32_t word = htobe32((uint32_t)v);
  memcpy(p, &word, 4);
  return p + 4;
}
static uint8_t *put64(uint8_t *p, int64_t v) { return put32(put32(p, v >> 32), v); }
static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t n) {
  p = put32(p, (int64_t)n);
  memcpy(p, bytes, n);
  return p + n;
}
static uint8_t *put_string(uint8_t *p, const char *s) { return put_bytes(p, s, strlen(s)); }
static int32_t get32(const uint8_t *p) {
  uint32_t word;
  memcpy(&word, p, 4);
  return (int32_t)be32toh(word);
}
static uint8_t *put_digits(uint8_t *p, uint64_t n, int digits) {
  for (int i = digits - 1; i >= 0; i--, n /= 10) p[i] = (uint8_t)('0' + n % 10);
  return p + digits;
}

/* Path of key i as a jute string: /bench/k0000123, or in a filled tree /fill/d0000/znode-000000123. */
static uint8_t *put_key(uint8_t *p, uint64_t i) {
  if (opt.tree > 0) {
    p = put32(p, 27);
    memcpy(p, "/fill/d", 7);
    p = put_digits(p + 7, i / 1000, 4);
    memcpy(p, "/znode-", 7);
    return put_digits(p + 7, i, 9);
  }
  p = put32(p, 15);
  memcpy(p, "/bench/k", 8);
  return put_digits(p + 8, i, 7);
}

/* Room for one more frame at the end of the output; frame_end() closes it. */
static uint8_t *frame_begin(conn_t *c, size_t at_most) {
  if (c->out_end + at_most + 4 > c->out_room) {
    while (c->out_end + at_most + 4 > c->out_room) c->out_room = c->out_room ? c->out_room * 2 : 8192;
    c->out = grow(c->out, c->out_room);
  }
  return c->out + c->out_end + 4;
}
static void frame_end(conn_t *c, uint8_t *end) {
  uint8_t *start = c->out + c->out_end;
  put32(start, end - start - 4);
  c->out_end = (size_t)(end - c->out);
}

static void remember(conn_t *c, int32_t xid, int32_t body_bytes, uint64_t since_ns) {
  if (c->asked - c->answered > c->ring_mask) fail("more requests in flight than there is room for");
  c->ring[c->asked++ & c->ring_mask] = (request_t){.since_ns = since_ns, .xid = xid, .body_bytes = body_bytes};
  outstanding++;
}

static uint8_t *header(conn_t *c, size_t at_most, int op, int32_t body_bytes, uint64_t since_ns) {
  int32_t xid = op == OP_PING ? XID_PING : ++c->xid;
  remember(c, xid, body_bytes, since_ns);
  return put32(put32(frame_begin(c, at_most + 8), xid), op);
}

static uint8_t *put_open_acl(uint8_t *p) {
  return put_string(put_string(put32(put32(p, 1), 31), "world"), "anyone");
}

/* For every request: path is already a jute string of path_bytes. */
static void ask_read(conn_t *c, int op, const uint8_t *path, size_t path_bytes, bool watch, int32_t body_bytes, uint64_t at) {
  uint8_t *p = header(c, path_bytes + 1, op, body_bytes, at);
  memcpy(p, path, path_bytes);
  p[path_bytes] = watch;
  frame_end(c, p + path_bytes + 1);
}
static void ask_set(conn_t *c, const uint8_t *path, size_t path_bytes, uint64_t at) {
  uint8_t *p = header(c, path_bytes + (size_t)opt.value_bytes + 8, OP_SET_DATA, STAT, at);
  memcpy(p, path, path_bytes);
  p = put_bytes(p + path_bytes, value, (size_t)opt.value_bytes);
  frame_end(c, put32(p, -1));
}
static void ask_create(conn_t *c, const uint8_t *path, size_t path_bytes, uint64_t at) {
  uint8_t *p = header(c, path_bytes + (size_t)opt.value_bytes + 64, OP_CREATE, (int32_t)path_bytes, at);
  memcpy(p, path, path_bytes);
  p = put_bytes(p + path_bytes, value, (size_t)opt.value_bytes);
  frame_end(c, put32(put_open_acl(p), 0));
}
static void ask_delete(conn_t *c, const uint8_t *path, size_t path_bytes, uint64_t at) {
  uint8_t *p = header(c, path_bytes + 4, OP_DELETE, 0, at);
  memcpy(p, path, path_bytes);
  frame_end(c, put32(p + path_bytes, -1));
}
static void ask_ping(conn_t *c, uint64_t at) { frame_end(c, header(c, 0, OP_PING, 0, at)); }
static void ask_close(conn_t *c, uint64_t at) { frame_end(c, header(c, 0, OP_CLOSE_SESSION, 0, at)); }

static uint8_t *put_multi_header(uint8_t *p, int op, bool done) {
  p = put32(p, op);
  *p++ = done;
  return put32(p, -1);
}
static void ask_multi_set(conn_t *c, uint64_t at) {
  size_t each = 9 + 64 + (size_t)opt.value_bytes;
  uint8_t *p = header(c, each * (size_t)opt.ops_per_multi + 9, OP_MULTI, opt.ops_per_multi * (9 + STAT) + 9, at);
  for (int i = 0; i < opt.ops_per_multi; i++) {
    p = put_key(put_multi_header(p, OP_SET_DATA, false), random_below(opt.tree ? opt.tree : opt.keys));
    p = put32(put_bytes(p, value, (size_t)opt.value_bytes), -1);
  }
  frame_end(c, put_multi_header(p, -1, true));
}

/* fill: the next creates, one by one or several in a multi. */
static uint64_t fill_total(void) { return opt.tree > 0 ? opt.tree : opt.keys; }
static uint8_t *put_fill_path(uint8_t *p, uint64_t i) {
  if (opt.tree > 0) return put_key(p, i);
  size_t n = strlen(opt.path);
  p = put32(p, (int64_t)n + 16);
  memcpy(p, opt.path, n);
  memcpy(p + n, "/znode-", 7);
  return put_digits(p + n + 7, i, 9);
}
static void ask_fill(conn_t *c, uint64_t at) {
  uint8_t path[1024];
  if (opt.ops_per_multi == 0) {
    ask_create(c, path, (size_t)(put_fill_path(path, fill_next++) - path), at);
    return;
  }
  uint64_t left = fill_total() - fill_next;
  int n = left < (uint64_t)opt.ops_per_multi ? (int)left : opt.ops_per_multi;
  size_t path_bytes = (size_t)(put_fill_path(path, 0) - path);
  size_t each = 9 + path_bytes + (size_t)opt.value_bytes + 64;
  uint8_t *p = header(c, each * (size_t)n + 9, OP_MULTI, n * (int32_t)(9 + path_bytes) + 9, at);
  for (int i = 0; i < n; i++) {
    p = put_fill_path(put_multi_header(p, OP_CREATE, false), fill_next++);
    p = put32(put_open_acl(put_bytes(p, value, (size_t)opt.value_bytes)), 0);
  }
  frame_end(c, put_multi_header(p, -1, true));
}

/* /bench/c<connection>-<pid>/n<number>: nobody else's znodes. */
static size_t own_path(uint8_t *path, const conn_t *c, uint64_t i) {
  char text[96];
  snprintf(text, sizeof text, "/bench/c%d-%d/n%llu", (int)(c - conns), (int)getpid(), (unsigned long long)i);
  return (size_t)(put_string(path, text) - path);
}

static void issue(conn_t *c, uint64_t at) {
  uint8_t path[128];
  size_t n;
  switch (opt.workload) {
  case GET:
  case EXISTS:
  case SET:
  case MIXED: {
    n = (size_t)(put_key(path, random_below(opt.tree ? opt.tree : opt.keys)) - path);
    bool write = opt.workload == SET || (opt.workload == MIXED && (int)random_below(100) >= opt.read_percent);
    if (write) ask_set(c, path, n, at);
    else if (opt.workload == EXISTS) ask_read(c, OP_EXISTS, path, n, false, STAT, at);
    else ask_read(c, OP_GET_DATA, path, n, false, 4 + opt.value_bytes + STAT, at);
    return;
  }
  case CHILDREN:
    n = (size_t)(put_string(path, "/bench/few") - path);
    ask_read(c, OP_GET_CHILDREN, path, n, false, 4 + 10 * (4 + 7), at);
    return;
  case CREATE: ask_create(c, path, own_path(path, c, c->made++), at); return;
  case CHURN: /* deletes the oldest once --in-flight of them exist: the create came earlier in the same session */
    if (c->made - c->removed < (uint64_t)opt.in_flight) ask_create(c, path, own_path(path, c, c->made++), at);
    else ask_delete(c, path, own_path(path, c, c->removed++), at);
    return;
  case PING: ask_ping(c, at); return;
  case MULTI: ask_multi_set(c, at); return;
  case FILL:
    if (fill_next < fill_total()) ask_fill(c, at);
    return;
  case WATCH:
  case STORM:
  case WAIT:
  case LIST: break;
  }
  abort();
}

/* ---- the event loop ------------------------------------------------------------------------------------------- */

static void interest(conn_t *c, int op, bool out) {
  struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c};
  if (epoll_ctl(epoll_fd, op, c->fd, &e) != 0) fail_os("epoll_ctl");
  c->wants_out = out;
}

static void flush(conn_t *c) {
  while (c->out_at < c->out_end) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_end - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) fail_os("send");
    c->out_at += (size_t)n;
  }
  if (c->out_at == c->out_end) c->out_at = c->out_end = 0;
  bool out = c->out_end > 0;
  if (out != c->wants_out) interest(c, EPOLL_CTL_MOD, out);
}

static void storm_frame(conn_t *c, const uint8_t *frame, size_t length, uint64_t at);

static void on_notification(const uint8_t *frame, size_t length) {
  if (length < REPLY_HEADER + 12 || get32(frame + REPLY_HEADER) != EVENT_DATA_CHANGED) wrong_notifications++;
  notifications++;
}

static void on_reply(conn_t *c, const uint8_t *frame, size_t length, uint64_t at) {
  if (length < REPLY_HEADER) fail("reply shorter than its header");
  int32_t xid = get32(frame), err = get32(frame + 12);
  if (xid == XID_NOTIFICATION) {
    on_notification(frame, length);
    if (opt.workload == WATCH && measuring) record_latency(at - c->dialled_ns);
    return;
  }
  if (c->answered == c->asked) fail("a reply without a request");
  const request_t *r = &c->ring[c->answered++ & c->ring_mask];
  outstanding--;
  if (xid != r->xid) {
    fprintf(stderr, "load: reply with xid %d where %d was due\n", xid, r->xid);
    exit(1);
  }
  if (err != 0 && !(r->may_exist && err == ERR_NODE_EXISTS)) note_error("reply with error code", err, 0);
  else if (err == 0 && r->body_bytes != ANY_LENGTH && (int64_t)length - REPLY_HEADER != r->body_bytes)
    note_error("reply with a body of", (long long)length - REPLY_HEADER, r->body_bytes);
  if (measuring && opt.workload != WATCH) {
    record_latency(at - r->since_ns);
    ops++;
  }
  if (issuing && opt.rate == 0) issue(c, at);
}

static void on_readable(conn_t *c) {
  if (c->in_room - c->in_end < 65536) c->in = grow(c->in, c->in_room = (c->in_room ? c->in_room * 2 : 131072));
  ssize_t n = recv(c->fd, c->in + c->in_end, c->in_room - c->in_end, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) fail_os("recv");
  if (n == 0) fail("the server closed a connection");
  c->in_end += (size_t)n;
  uint64_t at = now_ns();
  size_t from = 0;
  while (c->in_end - from >= 4) {
    size_t length = (uint32_t)get32(c->in + from);
    if (c->in_end - from - 4 < length) break;
    if (c->state == READY) on_reply(c, c->in + from + 4, length, at);
    else storm_frame(c, c->in + from + 4, length, at);
    from += 4 + length;
    if (c->in_end == 0) return; /* storm has closed this connection and dialled again */
  }
  if (from > 0) memmove(c->in, c->in + from, c->in_end -= from);
  flush(c);
}

static void storm_connected(conn_t *c);

static void pump(int timeout_ms) {
  struct epoll_event events[512];
  int n = epoll_wait(epoll_fd, events, 512, timeout_ms);
  if (n < 0 && errno != EINTR) fail_os("epoll_wait");
  for (int i = 0; i < n; i++) {
    conn_t *c = events[i].data.ptr;
    if (c == NULL) {
      uint64_t expirations;
      if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail_os("timerfd");
    } else if (c->state == DIALLING) {
      storm_connected(c);
    } else {
      if (events[i].events & EPOLLOUT) flush(c);
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
    }
  }
}

/* ---- sessions ------------------------------------------------------------------------------------------------- */

static struct sockaddr_in server_address(void) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  if (inet_pton(AF_INET, opt.host, &a.sin_addr) != 1) fail("--host takes an IPv4 address");
  return a;
}

static int new_socket(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), one = 1;
  if (fd < 0) fail_os("socket");
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) fail_os("TCP_NODELAY");
  return fd;
}

static size_t connect_request(uint8_t *frame) {
  uint8_t no_password[16] = {0}, *p = frame + 4;
  p = put64(put32(put64(put32(p, 0), 0), opt.session_timeout_ms), 0);
  p = put_bytes(p, no_password, sizeof no_password);
  *p++ = 0;
  put32(frame, p - frame - 4);
  return (size_t)(p - frame);
}

static bool read_fully(int fd, uint8_t *to, size_t n) {
  while (n > 0) {
    ssize_t k = recv(fd, to, n, 0);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    to += k;
    n -= (size_t)k;
  }
  return true;
}

static void prepare(conn_t *c, uint32_t ring_at_least) {
  uint32_t size = 64;
  while (size < ring_at_least) size *= 2;
  c->ring = grow(NULL, size * sizeof *c->ring);
  c->ring_mask = size - 1;
}

/* Opens connections in groups smaller than a listen backlog of 50, so that no SYN is dropped. */
static void open_sessions(conn_t *list, int n, uint32_t ring) {
  struct sockaddr_in address = server_address();
  uint8_t request[64], reply[4 + CONNECT_REPLY];
  size_t request_bytes = connect_request(request);
  for (int group = 0; group < n; group += 32) {
    int end = group + 32 < n ? group + 32 : n;
    for (int i = group; i < end; i++) {
      conn_t *c = &list[i];
      prepare(c, ring);
      c->fd = new_socket(0);
      if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) fail_os("connect");
      if (send(c->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) fail_os("handshake");
    }
    for (int i = group; i < end; i++) {
      if (!read_fully(list[i].fd, reply, sizeof reply) || get32(reply) != CONNECT_REPLY || get32(reply + 8) <= 0)
        fail("the server refused a session");
      if (fcntl(list[i].fd, F_SETFL, O_NONBLOCK) != 0) fail_os("O_NONBLOCK");
      interest(&list[i], EPOLL_CTL_ADD, false);
    }
  }
}

static void drain(double seconds) {
  uint64_t until = now_ns() + (uint64_t)(seconds * 1e9);
  while (outstanding > 0 && now_ns() < until) pump(10);
  if (outstanding > 0) fail("requests without a reply");
}

/* Closing the sessions properly leaves no expiry behind that would disturb the next measurement. */
static void close_sessions(conn_t *list, int n) {
  issuing = measuring = false;
  drain(30);
  for (int i = 0; i < n; i++) {
    ask_close(&list[i], now_ns());
    flush(&list[i]);
    drain(10);
    close(list[i].fd);
  }
}

/* ---- set-up of the tree --------------------------------------------------------------------------------------- */

static void setup_flush(conn_t *c) {
  flush(c);
  drain(60);
}
static void setup_create(conn_t *c, const char *name) {
  uint8_t path[1024];
  ask_create(c, path, (size_t)(put_string(path, name) - path), now_ns());
  c->ring[(c->asked - 1) & c->ring_mask].may_exist = true;
}
static void setup_keys(conn_t *c) {
  uint8_t path[64];
  for (uint64_t i = 0; i < opt.keys; i++) {
    size_t n = (size_t)(put_key(path, i) - path);
    ask_create(c, path, n, 0);
    c->ring[(c->asked - 1) & c->ring_mask].may_exist = true;
    ask_set(c, path, n, 0); /* it may exist from another run, with another length */
    if (outstanding >= 400) setup_flush(c);
  }
  setup_flush(c);
}

static void setup(conn_t *c) {
  char name[96];
  if (opt.workload == PING || opt.workload == LIST || (opt.tree > 0 && opt.workload != FILL)) return;
  if (opt.workload == FILL) {
    setup_create(c, opt.tree > 0 ? "/fill" : opt.path);
    setup_flush(c);
    for (uint64_t i = 0; i * 1000 < opt.tree; i++) {
      snprintf(name, sizeof name, "/fill/d%04llu", (unsigned long long)i);
      setup_create(c, name);
      if (outstanding >= 400) setup_flush(c);
    }
    setup_flush(c);
    return;
  }
  setup_create(c, "/bench");
  setup_flush(c);
  if (opt.workload == CHILDREN) {
    setup_create(c, "/bench/few");
    for (int i = 0; i < 10; i++) {
      snprintf(name, sizeof name, "/bench/few/child-%d", i);
      setup_create(c, name);
    }
  } else if (opt.workload == CREATE || opt.workload == CHURN) {
    for (int i = 0; i < opt.connections; i++) {
      snprintf(name, sizeof name, "/bench/c%d-%d", i, (int)getpid());
      setup_create(c, name);
      if (outstanding >= 400) setup_flush(c);
    }
  } else {
    setup_keys(c);
  }
  setup_flush(c);
}

/* ---- results -------------------------------------------------------------------------------------------------- */

static double window_cpu, window_own_cpu;
static uint64_t window_start;

static void window_open(uint64_t at) {
  measuring = true;
  window_start = at;
  window_cpu = server_cpu_seconds();
  window_own_cpu = own_cpu_seconds();
}

static void print_result(double seconds, uint64_t counted, double server_cpu, double own_cpu, double late_us) {
  printf("{\"workload\":\"%s\",\"connections\":%d,\"inFlight\":%d,\"valueBytes\":%d,\"seconds\":%.3f,\"ops\":%llu,"
         "\"opsPerSecond\":%.1f,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,\"maxUs\":%.1f,\"errors\":%llu,"
         "\"notifications\":%llu,\"serverCpuUsPerOp\":%.3f,\"serverCpu\":%.3f,\"generatorCpu\":%.3f",
         workload_names[opt.workload], opt.connections, opt.in_flight, opt.value_bytes, seconds, (unsigned long long)counted,
         (double)counted / seconds, quantile_us(.5), quantile_us(.99), quantile_us(.999), (double)slowest_ns / 1e3,
         (unsigned long long)(errors + wrong_notifications), (unsigned long long)notifications,
         counted > 0 ? server_cpu * 1e6 / (double)counted : 0, server_cpu / seconds, own_cpu / seconds);
  if (opt.rate > 0) printf(",\"rate\":%.1f,\"generatorLateUs\":%.1f", opt.rate, late_us);
  if (first_error[0] != 0) printf(",\"firstError\":\"%s\"", first_error);
  puts("}");
}

/* ---- the measured runs ---------------------------------------------------------------------------------------- */

/* Sends what is due and arms the timer for what is next. Returns by how much the latest burst was late, in ns. */
static uint64_t next_burst_ns;
static uint64_t send_due_bursts(uint64_t at, uint64_t until) {
  static int turn;
  double gap = opt.in_flight * 1e9 / opt.rate;
  static double fraction;
  uint64_t latest = 0;
  while (next_burst_ns <= at && next_burst_ns < until) {
    conn_t *c = &conns[turn++ % opt.connections];
    if (at - next_burst_ns > latest) latest = at - next_burst_ns;
    for (int i = 0; i < opt.in_flight; i++) issue(c, at);
    flush(c);
    fraction += gap;
    next_burst_ns += (uint64_t)fraction;
    fraction -= (double)(uint64_t)fraction;
  }
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(next_burst_ns / 1000000000u), .tv_nsec = (long)(next_burst_ns % 1000000000u)}};
  if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0) fail_os("timerfd_settime");
  return latest;
}

static void run_requests(void) {
  open_sessions(conns, opt.connections, opt.rate > 0 ? 65536 : (uint32_t)opt.in_flight);
  uint64_t begin = now_ns(), open_at = begin + (uint64_t)(opt.warmup * 1e9), end = open_at + (uint64_t)(opt.seconds * 1e9);
  uint64_t late_ns = 0, at;
  issuing = true;
  if (opt.rate > 0) {
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    if (timer_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &e) != 0) fail_os("timerfd");
    next_burst_ns = begin;
  } else {
    for (int i = 0; i < opt.connections; i++) {
      for (int j = 0; j < opt.in_flight; j++) issue(&conns[i], begin);
      flush(&conns[i]);
    }
  }
  while ((at = now_ns()) < end) {
    if (!measuring && at >= open_at) window_open(at);
    if (opt.rate > 0) {
      uint64_t late = send_due_bursts(at, end);
      if (measuring && late > late_ns) late_ns = late;
    }
    pump(100);
  }
  double seconds = (double)(at - window_start) / 1e9;
  double server_cpu = server_cpu_seconds() - window_cpu, own_cpu = own_cpu_seconds() - window_own_cpu;
  uint64_t counted = ops;
  if (opt.rate > 0) drain(30); /* still measured: what a stall at the end delays must show */
  close_sessions(conns, opt.connections);
  print_result(seconds, counted, server_cpu, own_cpu, (double)late_ns / 1e3);
}

/* Cycles of: every connection leaves a one-shot watch on every key (not measured), one writer sets all keys in one
 * burst (measured until the last notification). Latency is from the burst's start. */
static void run_watch(void) {
  uint8_t path[64];
  conn_t *writer = &conns[opt.connections];
  open_sessions(conns, opt.connections + 1, (uint32_t)opt.keys);
  uint64_t begin = now_ns(), counted = 0, fanout_ns = 0;
  double server_cpu = 0, own_cpu = 0;
  for (uint64_t cycles = 0; fanout_ns == 0 || now_ns() < begin + (uint64_t)((opt.warmup + opt.seconds) * 1e9); cycles++) {
    for (int i = 0; i < opt.connections; i++) {
      for (uint64_t k = 0; k < opt.keys; k++)
        ask_read(&conns[i], OP_GET_DATA, path, (size_t)(put_key(path, k) - path), true, 4 + opt.value_bytes + STAT, 0);
      flush(&conns[i]);
    }
    drain(120);
    bool counts = cycles > 0 && now_ns() >= begin + (uint64_t)(opt.warmup * 1e9);
    uint64_t want = notifications + (uint64_t)opt.connections * opt.keys, before = notifications;
    uint64_t start = now_ns();
    for (int i = 0; i < opt.connections; i++) conns[i].dialled_ns = start;
    if (counts) window_open(start);
    for (uint64_t k = 0; k < opt.keys; k++) ask_set(writer, path, (size_t)(put_key(path, k) - path), start);
    flush(writer);
    while ((notifications < want || outstanding > 0) && now_ns() < start + 60000000000u) pump(10);
    if (notifications < want) note_error("notifications", (long long)(notifications - before), (long long)(want - before));
    if (counts) {
      fanout_ns += now_ns() - start;
      counted += notifications - before;
      server_cpu += server_cpu_seconds() - window_cpu;
      own_cpu += own_cpu_seconds() - window_own_cpu;
      measuring = false;
    }
    if (errors > 0) break;
  }
  close_sessions(conns, opt.connections + 1);
  print_result((double)fanout_ns / 1e9, counted, server_cpu, own_cpu, 0);
}

/* storm: each slot dials, greets, leaves, and starts again. */
static void storm_dial(conn_t *c) {
  struct sockaddr_in address = server_address();
  c->out_at = c->out_end = c->in_end = 0;
  c->asked = c->answered = 0;
  c->xid = 0;
  c->dialled_ns = now_ns();
  c->fd = new_socket(SOCK_NONBLOCK);
  struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT: the ports must last */
  if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0) fail_os("SO_LINGER");
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) fail_os("connect");
  c->state = DIALLING;
  interest(c, EPOLL_CTL_ADD, true);
}
static void storm_connected(conn_t *c) {
  int problem = 0;
  socklen_t size = sizeof problem;
  if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0 || (errno = problem) != 0) fail_os("connect");
  uint8_t *p = frame_begin(c, 64) - 4;
  c->out_end = connect_request(p);
  c->state = GREETING;
  flush(c);
}
static void storm_frame(conn_t *c, const uint8_t *frame, size_t length, uint64_t at) {
  if (c->state == GREETING) {
    if (length != CONNECT_REPLY || get32(frame + 4) <= 0) fail("the server refused a session");
    c->state = LEAVING;
    uint8_t *p = frame_begin(c, 8);
    frame_end(c, put32(put32(p, 1), OP_CLOSE_SESSION));
    return;
  }
  if (length != REPLY_HEADER || get32(frame + 12) != 0) note_error("closeSession reply of", (long long)length, REPLY_HEADER);
  if (measuring) {
    record_latency(at - c->dialled_ns);
    ops++;
  }
  close(c->fd);
  storm_dial(c);
}
static void run_storm(void) {
  uint64_t begin = now_ns(), open_at = begin + (uint64_t)(opt.warmup * 1e9), end = open_at + (uint64_t)(opt.seconds * 1e9), at;
  for (int i = 0; i < opt.connections; i++) {
    prepare(&conns[i], 2);
    storm_dial(&conns[i]);
  }
  while ((at = now_ns()) < end) {
    if (!measuring && at >= open_at) window_open(at);
    pump(100);
  }
  double seconds = (double)(at - window_start) / 1e9;
  print_result(seconds, ops, server_cpu_seconds() - window_cpu, own_cpu_seconds() - window_own_cpu, 0);
}

static void run_fill(void) {
  open_sessions(conns, opt.connections, (uint32_t)opt.in_flight);
  uint64_t begin = now_ns();
  issuing = true;
  window_open(begin);
  for (int i = 0; i < opt.connections; i++) {
    for (int j = 0; j < opt.in_flight; j++) issue(&conns[i], now_ns());
    flush(&conns[i]);
  }
  while (outstanding > 0 && errors == 0) pump(100);
  double seconds = (double)(now_ns() - begin) / 1e9;
  double server_cpu = server_cpu_seconds() - window_cpu, own_cpu = own_cpu_seconds() - window_own_cpu;
  close_sessions(conns, opt.connections);
  print_result(seconds, fill_next, server_cpu, own_cpu, 0);
}

/*
 * Handshakes until the first is answered. A server that is starting may refuse a connection, close it, or accept it
 * and never answer; so a new attempt begins --poll ms after the last one ended, and also when the last one has had
 * --attempt ms, beside it: a silent connection costs the figure no more than that, a slow answer still counts.
 */
enum { MOST_ATTEMPTS = 64 };
typedef struct {
  int fd; /* -1: over */
  bool sent;
  size_t got;
  uint8_t reply[4 + CONNECT_REPLY];
} attempt_t;

typedef enum { PENDING, ANSWERED, REFUSED, CLOSED } outcome_t;

static outcome_t attempt_begin(attempt_t *a, const struct sockaddr_in *address) {
  *a = (attempt_t){.fd = new_socket(SOCK_NONBLOCK)};
  return connect(a->fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EINPROGRESS ? PENDING : REFUSED;
}
static outcome_t attempt_continue(attempt_t *a) {
  uint8_t request[64];
  size_t request_bytes = connect_request(request);
  ssize_t n = a->sent ? recv(a->fd, a->reply + a->got, sizeof a->reply - a->got, 0)
                      : send(a->fd, request, request_bytes, MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return PENDING;
  if (n <= 0) return a->sent ? CLOSED : REFUSED;
  if (!a->sent) a->sent = true;
  else a->got += (size_t)n;
  if (a->got < sizeof a->reply) return PENDING;
  return get32(a->reply + 8) > 0 ? ANSWERED : CLOSED;
}

static void run_wait(void) {
  struct sockaddr_in address = server_address();
  attempt_t attempts[MOST_ATTEMPTS];
  struct pollfd polled[MOST_ATTEMPTS];
  uint64_t counts[4] = {0}, begun = 0, next_ns = 0;
  for (int i = 0; i < MOST_ATTEMPTS; i++) attempts[i].fd = -1;
  while (counts[ANSWERED] == 0) {
    uint64_t at = now_ns();
    if (at >= next_ns) {
      attempt_t *newest = &attempts[begun++ % MOST_ATTEMPTS];
      if (newest->fd >= 0) close(newest->fd);
      next_ns = at + (uint64_t)opt.attempt_ms * 1000000u;
      if (attempt_begin(newest, &address) == REFUSED) {
        counts[REFUSED]++;
        close(newest->fd);
        newest->fd = -1;
        next_ns = at + (uint64_t)opt.poll_ms * 1000000u;
      }
    }
    for (int i = 0; i < MOST_ATTEMPTS; i++)
      polled[i] = (struct pollfd){.fd = attempts[i].fd, .events = attempts[i].sent ? POLLIN : POLLOUT};
    if (poll(polled, MOST_ATTEMPTS, 1) < 0 && errno != EINTR) fail_os("poll");
    for (int i = 0; i < MOST_ATTEMPTS; i++) {
      outcome_t outcome = polled[i].fd >= 0 && polled[i].revents != 0 ? attempt_continue(&attempts[i]) : PENDING;
      if (outcome == PENDING) continue;
      counts[outcome]++;
      close(attempts[i].fd);
      attempts[i].fd = -1;
      uint64_t soon = now_ns() + (uint64_t)opt.poll_ms * 1000000u;
      if (i == (int)((begun - 1) % MOST_ATTEMPTS) && soon < next_ns) next_ns = soon;
    }
  }
  printf("{\"workload\":\"wait\",\"repliedAtNs\":%llu,\"attempts\":%llu,\"refused\":%llu,\"closed\":%llu}\n",
         (unsigned long long)now_ns(), (unsigned long long)begun, (unsigned long long)counts[REFUSED],
         (unsigned long long)counts[CLOSED]);
}

static void run_list(void) {
  uint8_t path[1024];
  size_t n = (size_t)(put_string(path, opt.path) - path);
  open_sessions(conns, 1, 16);
  printf("{\"workload\":\"list\",\"path\":\"%s\",\"milliseconds\":[", opt.path);
  for (int i = 0; i < opt.count; i++) {
    uint64_t start = now_ns();
    ask_read(&conns[0], OP_GET_CHILDREN, path, n, false, ANY_LENGTH, start);
    setup_flush(&conns[0]);
    printf("%s%.3f", i ? "," : "", (double)(now_ns() - start) / 1e6);
  }
  close_sessions(conns, 1);
  printf("],\"errors\":%llu}\n", (unsigned long long)errors);
}

/* ---- main ----------------------------------------------------------------------------------------------------- */

static double number(const char *text, double least, double most) {
  char *end;
  double v = strtod(text, &end);
  if (*text == 0 || *end != 0 || !(v >= least && v <= most)) {
    fprintf(stderr, "load: '%s' is not a number from %g to %g\n", text, least, most);
    exit(2);
  }
  return v;
}

static void parse(int argc, char **argv) {
  enum { HOST, PORT, CONNECTIONS, IN_FLIGHT, VALUE, KEYS, TREE, SECONDS, WARMUP, RATE, READ_PERCENT, OPS, COUNT, PATH_, TIMEOUT, ATTEMPT, POLL, LIMIT, PID, REALTIME };
  static const struct option long_options[] = {
      {"host", 1, 0, HOST},       {"port", 1, 0, PORT},         {"connections", 1, 0, CONNECTIONS},
      {"in-flight", 1, 0, IN_FLIGHT}, {"value", 1, 0, VALUE},   {"keys", 1, 0, KEYS},
      {"tree", 1, 0, TREE},       {"seconds", 1, 0, SECONDS},   {"warmup", 1, 0, WARMUP},
      {"rate", 1, 0, RATE},       {"read-percent", 1, 0, READ_PERCENT}, {"ops", 1, 0, OPS},
      {"count", 1, 0, COUNT},     {"path", 1, 0, PATH_},        {"session-timeout", 1, 0, TIMEOUT},
      {"attempt", 1, 0, ATTEMPT}, {"poll", 1, 0, POLL},         {"limit", 1, 0, LIMIT},
      {"pid", 1, 0, PID},         {"realtime", 0, 0, REALTIME}, {0, 0, 0, 0}};
  if (argc < 2) usage();
  size_t w = 0, known = sizeof workload_names / sizeof *workload_names;
  while (w < known && strcmp(argv[1], workload_names[w]) != 0) w++;
  if (w == known) usage();
  opt.workload = (workload_t)w;
  int o;
  while ((o = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1) switch (o) {
    case HOST: opt.host = optarg; break;
    case PORT: opt.port = (int)number(optarg, 1, 65535); break;
    case CONNECTIONS: opt.connections = (int)number(optarg, 1, 100000); break;
    case IN_FLIGHT: opt.in_flight = (int)number(optarg, 1, 65536); break;
    case VALUE: opt.value_bytes = (int)number(optarg, 0, 1 << 20); break;
    case KEYS: opt.keys = (uint64_t)number(optarg, 1, 9999999); break;
    case TREE: opt.tree = (uint64_t)number(optarg, 0, 9999999); break;
    case SECONDS: opt.seconds = number(optarg, 0.01, 86400); break;
    case WARMUP: opt.warmup = number(optarg, 0, 3600); break;
    case RATE: opt.rate = number(optarg, 0, 1e8); break;
    case READ_PERCENT: opt.read_percent = (int)number(optarg, 0, 100); break;
    case OPS: opt.ops_per_multi = (int)number(optarg, 0, 10000); break;
    case COUNT: opt.count = (int)number(optarg, 1, 1000000); break;
    case PATH_:
      if (strlen(optarg) > 900) usage();
      opt.path = optarg;
      break;
    case TIMEOUT: opt.session_timeout_ms = (int)number(optarg, 1, INT_MAX); break;
    case ATTEMPT: opt.attempt_ms = (int)number(optarg, 1, 60000); break;
    case POLL: opt.poll_ms = (int)number(optarg, 0, 60000); break;
    case LIMIT: opt.limit = number(optarg, 0, 86400); break;
    case PID: opt.server_pid = (pid_t)number(optarg, 0, INT_MAX); break;
    case REALTIME: opt.realtime = true; break;
    default: usage();
    }
  if (optind != argc - 1) usage();
}

static void out_of_time(int signal) {
  (void)signal;
  static const char text[] = "load: out of time\n";
  ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
  _exit(n == sizeof text - 1 ? 3 : 4);
}

int main(int argc, char **argv) {
  parse(argc, argv);
  signal(SIGALRM, out_of_time);
  alarm((unsigned)(opt.limit > 0 ? opt.limit + 0.999 : opt.warmup + opt.seconds + 120));
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) fail_os("getrlimit");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) fail_os("setrlimit");
  struct sched_param priority = {.sched_priority = 1};
  if (opt.realtime && sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
    fputs("load: no permission for real-time scheduling; latencies include this process's own waits\n", stderr);

  if (opt.workload == WAIT) {
    run_wait();
    return 0;
  }
  value = grow(NULL, (size_t)opt.value_bytes + 1);
  for (int i = 0; i < opt.value_bytes; i++) value[i] = (uint8_t)('a' + i % 26);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail_os("epoll_create1");
  conns = calloc((size_t)opt.connections + 1, sizeof *conns);
  if (conns == NULL) fail("out of memory");

  if (opt.workload != STORM && opt.workload != LIST) {
    conn_t first = {0};
    open_sessions(&first, 1, 1024);
    setup(&first);
    if (errors > 0) {
      fprintf(stderr, "load: set-up: %s\n", first_error);
      return 1;
    }
    close_sessions(&first, 1);
  }
  switch (opt.workload) {
  case WATCH: run_watch(); break;
  case STORM: run_storm(); break;
  case FILL: run_fill(); break;
  case LIST: run_list(); break;
  default: run_requests();
  }
  return errors + wrong_notifications > 0 ? 1 : 0;
}
