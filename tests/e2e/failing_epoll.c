// For LD_PRELOAD: epoll_ctl(2) refuses, as where fs.epoll.max_user_watches is used up, to watch a
// socket whose own port is the one in SC_TEST_FAIL_PORT, or as of a wrong descriptor, to watch one
// whose port is the one in SC_TEST_FAULT_PORT. So a test sees what nothing else provokes without
// touching the host's limits.
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int has_port(int fd, int port) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  int listens = 0;
  socklen_t listens_size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 || listens) return 0;
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return 0;
  if (address.ss_family == AF_INET)
    return ntohs(((struct sockaddr_in *)&address)->sin_port) == port;
  return address.ss_family == AF_INET6 &&
         ntohs(((struct sockaddr_in6 *)&address)->sin6_port) == port;
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
  static int (*real)(int, int, int, struct epoll_event *);
  const char *port = getenv("SC_TEST_FAIL_PORT");
  if (!real) real = (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
  if (operation == EPOLL_CTL_ADD && port && has_port(fd, atoi(port))) {
    errno = ENOSPC;
    return -1;
  }
  port = getenv("SC_TEST_FAULT_PORT");
  if (operation == EPOLL_CTL_ADD && port && has_port(fd, atoi(port))) {
    errno = EBADF;
    return -1;
  }
  return real(set, operation, fd, event);
}
