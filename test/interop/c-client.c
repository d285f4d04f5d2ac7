/* What users of the C client library do, against the server named on the command line. Prints what it sees. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zookeeper/zookeeper.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_connected, event_count;
static char events[4096];

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context) {
  (void)zh;
  (void)context;
  pthread_mutex_lock(&mutex);
  if (type == ZOO_SESSION_EVENT) {
    is_connected = state == ZOO_CONNECTED_STATE;
  } else {
    size_t used = strlen(events);
    snprintf(events + used, sizeof events - used, "event %d %s\n", type, path);
    event_count++;
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void wait_until(const int *value, int at_least, const char *what) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += 60;
  pthread_mutex_lock(&mutex);
  while (*value < at_least) {
    if (pthread_cond_timedwait(&changed, &mutex, &deadline) == ETIMEDOUT) {
      printf("gave up waiting for %s\n", what);
      exit(1);
    }
  }
  pthread_mutex_unlock(&mutex);
}

static void show_stat(const struct Stat *s) {
  printf(" v%d c%d a%d length %d children %d%s", s->version, s->cversion, s->aversion, s->dataLength, s->numChildren,
         s->ephemeralOwner == 0 ? "" : " ephemeral");
}

static void create(zhandle_t *zh, const char *path, int mode, int64_t ttl) {
  char made[256] = "";
  struct Stat stat;
  memset(&stat, 0, sizeof stat);
  int rc = ttl < 0 ? zoo_create2(zh, path, "data", 4, &ZOO_OPEN_ACL_UNSAFE, mode, made, sizeof made, &stat)
                   : zoo_create2_ttl(zh, path, "data", 4, &ZOO_OPEN_ACL_UNSAFE, mode, ttl, made, sizeof made, &stat);
  printf("create %s mode %d: %d %s", path, mode, rc, rc == ZOK ? made : "");
  if (rc == ZOK) show_stat(&stat);
  printf("\n");
}

static void get(zhandle_t *zh, const char *path) {
  char buffer[256];
  int length = sizeof buffer;
  struct Stat stat;
  int rc = zoo_wget(zh, path, on_event, NULL, buffer, &length, &stat);
  printf("get %s: %d", path, rc);
  if (rc == ZOK) {
    printf(" '%.*s'", length < 0 ? 0 : length, buffer);
    show_stat(&stat);
  }
  printf("\n");
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(zhandle_t *zh, const char *path) {
  struct String_vector names;
  struct Stat stat;
  int rc = zoo_wget_children2(zh, path, on_event, NULL, &names, &stat);
  printf("children %s: %d", path, rc);
  if (rc == ZOK) {
    qsort(names.data, (size_t)names.count, sizeof *names.data, compare);
    for (int i = 0; i < names.count; i++) printf(" %s", names.data[i]);
    show_stat(&stat);
    deallocate_String_vector(&names);
  }
  printf("\n");
}

static void auth_done(int rc, const void *data) {
  (void)data;
  printf("auth: %d\n", rc);
  pthread_mutex_lock(&mutex);
  event_count++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  setvbuf(stdout, NULL, _IONBF, 0);
  zhandle_t *zh = zookeeper_init(argv[1], on_event, 60000, NULL, NULL, 0);
  wait_until(&is_connected, 1, "the session");

  create(zh, "/c", ZOO_PERSISTENT, -1);
  create(zh, "/c", ZOO_PERSISTENT, -1);
  create(zh, "/c/s-", ZOO_SEQUENCE, -1);
  create(zh, "/c/e", ZOO_EPHEMERAL, -1);
  create(zh, "/c/e/no", ZOO_PERSISTENT, -1);
  create(zh, "/c/es-", ZOO_EPHEMERAL | ZOO_SEQUENCE, -1);
  create(zh, "/c/container", ZOO_CONTAINER, -1);
  create(zh, "/c/ttl", ZOO_PERSISTENT_WITH_TTL, 60000);
  create(zh, "/c/ttl-", ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 60000);
  create(zh, "/missing/x", ZOO_PERSISTENT, -1);

  get(zh, "/c");
  get(zh, "/missing");
  list(zh, "/c");
  struct Stat stat;
  printf("set: %d", zoo_set2(zh, "/c", "new", 3, 0, &stat));
  show_stat(&stat);
  printf("\nset stale: %d\n", zoo_set(zh, "/c", "x", 1, 0));
  wait_until(&event_count, 1, "the data event");
  printf("exists: %d\n", zoo_wexists(zh, "/later", on_event, NULL, &stat));
  create(zh, "/later", ZOO_PERSISTENT, -1);
  wait_until(&event_count, 2, "the creation event");
  printf("delete full: %d\n", zoo_delete(zh, "/c", -1));
  printf("delete: %d\n", zoo_delete(zh, "/c/ttl", -1));
  wait_until(&event_count, 3, "the child event");
  get(zh, "/later");
  printf("remove watches: %d\n", zoo_remove_watches(zh, "/later", ZWATCHTYPE_DATA, on_event, NULL, 0));
  printf("remove again: %d\n", zoo_remove_watches(zh, "/later", ZWATCHTYPE_DATA, on_event, NULL, 0));

  zoo_op_t ops[4];
  zoo_op_result_t results[4];
  char made[128];
  zoo_create_op_init(&ops[0], "/m", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
  zoo_set_op_init(&ops[1], "/m", "2", 1, 0, &stat);
  zoo_check_op_init(&ops[2], "/m", 1);
  zoo_delete_op_init(&ops[3], "/later", -1);
  printf("multi: %d", zoo_multi(zh, 4, ops, results));
  for (int i = 0; i < 4; i++) printf(" %d", results[i].err);
  printf(" %s v%d\n", made, stat.version);
  zoo_create_op_init(&ops[0], "/m2", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
  zoo_check_op_init(&ops[1], "/m", 9);
  zoo_delete_op_init(&ops[2], "/m", -1);
  printf("multi: %d", zoo_multi(zh, 3, ops, results));
  for (int i = 0; i < 3; i++) printf(" %d", results[i].err);
  printf("\n");

  event_count = 0;
  zoo_add_auth(zh, "digest", "u:p", 3, auth_done, NULL);
  wait_until(&event_count, 1, "the auth reply");
  printf("set acl: %d\n", zoo_set_acl(zh, "/m", 0, &ZOO_CREATOR_ALL_ACL));
  struct ACL_vector acl;
  printf("get acl: %d", zoo_get_acl(zh, "/m", &acl, &stat));
  for (int i = 0; i < acl.count; i++) printf(" %d %s:%s", acl.data[i].perms, acl.data[i].id.scheme, acl.data[i].id.id);
  show_stat(&stat);
  deallocate_ACL_vector(&acl);
  is_connected = 0;
  zhandle_t *other = zookeeper_init(argv[1], on_event, 60000, NULL, NULL, 0);
  wait_until(&is_connected, 1, "the other session");
  printf("\nother reads: %d\n", zoo_get(other, "/m", 0, made, &(int){(int)sizeof made}, &stat));
  create(other, "/c/theirs", ZOO_EPHEMERAL, -1);
  event_count = 0;
  printf("exists: %d\n", zoo_wexists(zh, "/c/theirs", on_event, NULL, &stat));
  zookeeper_close(other);
  wait_until(&event_count, 1, "the end of the other session");

  char config[512];
  int length = sizeof config;
  printf("config: %d length %d\n", zoo_getconfig(zh, 0, config, &length, &stat), length);
  list(zh, "/");
  printf("close: %d\n%s", zookeeper_close(zh), events);
  return 0;
}
