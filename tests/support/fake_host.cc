#include "support/fake_host.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace sc::test {
namespace {

struct Table {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::map<std::string, std::vector<std::string>> names;
  std::set<std::string> hanging;
  std::set<std::string> unknown;
};

Table& table() {
  static Table instance;
  return instance;
}

std::atomic<bool> binds_to_target{false};
std::atomic<int> polls_to_allow{-1};    // then one is refused; negative: all are allowed
std::atomic<int> threads_to_allow{-1};  // then all are refused; negative: all are allowed

template <class Function>
Function next_in_line(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

int real_getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                     addrinfo** found) {
  static const auto real = next_in_line<decltype(&::getaddrinfo)>("getaddrinfo");
  return real(node, service, hints, found);
}

// The addresses as one list, made of libc's own so that freeaddrinfo(3) takes it.
int chain(const std::vector<std::string>& ips, const char* service, addrinfo hints,
          addrinfo** found) {
  hints.ai_flags |= AI_NUMERICHOST;
  *found = nullptr;
  addrinfo** end = found;
  for (const std::string& ip : ips) {
    if (const int error = real_getaddrinfo(ip.c_str(), service, &hints, end); error != 0)
      return error;
    while (*end != nullptr) end = &(*end)->ai_next;
  }
  return *found == nullptr ? EAI_NONAME : 0;
}

}  // namespace

FakeHost::~FakeHost() {
  binds_to_target = false;
  polls_to_allow = -1;
  threads_to_allow = -1;
  const std::lock_guard lock(table().mutex);
  table().names.clear();
  table().hanging.clear();
  table().unknown.clear();
  table().changed.notify_all();
}

void FakeHost::add_name(const std::string& name, std::vector<std::string> ips) {
  const std::lock_guard lock(table().mutex);
  table().names.insert_or_assign(name, std::move(ips));
}

void FakeHost::forget_name(const std::string& name) {
  const std::lock_guard lock(table().mutex);
  table().unknown.insert(name);
}

void FakeHost::hang_name(const std::string& name) {
  const std::lock_guard lock(table().mutex);
  table().hanging.insert(name);
}

void FakeHost::answer_names() {
  const std::lock_guard lock(table().mutex);
  table().hanging.clear();
  table().changed.notify_all();
}

void FakeHost::refuse_poll_after(int allowed) { polls_to_allow = allowed; }

void FakeHost::refuse_threads_after(int allowed) { threads_to_allow = allowed; }

void FakeHost::connect_from_target() { binds_to_target = true; }

}  // namespace sc::test

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  using namespace sc::test;
  if (node != nullptr && hints != nullptr) {
    Table& host = table();
    std::unique_lock lock(host.mutex);
    host.changed.wait(lock, [&] { return host.hanging.count(node) == 0; });
    if (host.unknown.contains(node)) return EAI_NONAME;
    if (const auto known = host.names.find(node); known != host.names.end())
      return chain(known->second, service, *hints, found);
  }
  return real_getaddrinfo(node, service, hints, found);
}

namespace {

// The resolver's thread watches sockets at times of its own; what is refused is for the others.
bool is_resolver() {
  std::array<char, 16> name{};
  return ::pthread_getname_np(::pthread_self(), name.data(), name.size()) == 0 &&
         std::string_view(name.data()) == "resolver";
}

}  // namespace

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  static const auto real = sc::test::next_in_line<decltype(&::epoll_ctl)>("epoll_ctl");
  if (operation == EPOLL_CTL_ADD && sc::test::polls_to_allow >= 0 && !is_resolver() &&
      sc::test::polls_to_allow-- == 0) {
    errno = ENOSPC;
    return -1;
  }
  return real(epoll, operation, fd, event);
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) noexcept {
  static const auto real = sc::test::next_in_line<decltype(&::pthread_create)>("pthread_create");
  if (sc::test::threads_to_allow == 0) return EAGAIN;
  if (sc::test::threads_to_allow > 0) --sc::test::threads_to_allow;
  return real(thread, attributes, run, argument);
}

extern "C" int connect(int fd, const sockaddr* address, socklen_t size) {
  static const auto real = sc::test::next_in_line<decltype(&::connect)>("connect");
  if (sc::test::binds_to_target) static_cast<void>(::bind(fd, address, size));
  return real(fd, address, size);
}
