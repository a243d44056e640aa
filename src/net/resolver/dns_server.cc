#include "net/resolver/dns_server.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "base/log.h"
#include "base/result.h"
#include "net/socket.h"

namespace sc::net {
namespace {

constexpr int kClassIn = 1;  // RFC 1035 section 3.2.4
constexpr int kTypeA = 1;
constexpr int kTypeAaaa = 28;  // RFC 3596
// c-ares looks at its time-outs this often while queries are under way: they only bound how long it
// remembers a query.
constexpr std::chrono::milliseconds kTick{100};
constexpr int kEdnsSize = 1232;  // DNS Flag Day 2020: passes every path without fragments

void init_library() {
  static std::once_flag once;
  std::call_once(once, [] { ::ares_library_init(ARES_LIB_INIT_ALL); });
}

// ares_ttl is an int. RFC 2181 section 8: a TTL with its highest bit set means 0.
std::chrono::seconds to_ttl(int ttl) { return std::chrono::seconds(ttl < 0 ? 0 : ttl); }

DnsReply fault(DnsReply::Kind kind, std::string message) {
  DnsReply reply;
  reply.kind = kind;
  reply.message = std::move(message);
  return reply;
}

void add(DnsReply& reply, const in_addr& ip, int ttl) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr = ip;
  reply.addresses.emplace_back(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  reply.ttl = reply.addresses.size() == 1 ? to_ttl(ttl) : std::min(reply.ttl, to_ttl(ttl));
}

void add(DnsReply& reply, const ares_in6_addr& ip, int ttl) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  static_assert(sizeof ip == sizeof address.sin6_addr);
  std::memcpy(&address.sin6_addr, &ip, sizeof ip);
  reply.addresses.emplace_back(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  reply.ttl = reply.addresses.size() == 1 ? to_ttl(ttl) : std::min(reply.ttl, to_ttl(ttl));
}

DnsReply parse(RecordType type, const unsigned char* message, int size) {
  DnsReply reply;
  reply.kind = DnsReply::Kind::found;
  int count = DnsReply::kMostAddresses;
  int status = ARES_SUCCESS;
  if (type == RecordType::a) {
    std::array<ares_addrttl, DnsReply::kMostAddresses> found{};
    status = ::ares_parse_a_reply(message, size, nullptr, found.data(), &count);
    for (int i = 0; status == ARES_SUCCESS && i < count; ++i)
      add(reply, found.at(static_cast<std::size_t>(i)).ipaddr,
          found.at(static_cast<std::size_t>(i)).ttl);
  } else {
    std::array<ares_addr6ttl, DnsReply::kMostAddresses> found{};
    status = ::ares_parse_aaaa_reply(message, size, nullptr, found.data(), &count);
    for (int i = 0; status == ARES_SUCCESS && i < count; ++i)
      add(reply, found.at(static_cast<std::size_t>(i)).ip6addr,
          found.at(static_cast<std::size_t>(i)).ttl);
  }
  if (!reply.addresses.empty()) return reply;
  if (status == ARES_SUCCESS || status == ARES_ENODATA)
    return fault(DnsReply::Kind::no_data, "the name has no address");
  return fault(DnsReply::Kind::server_failure, "sent a malformed reply");
}

DnsReply to_reply(int status, RecordType type, const unsigned char* message, int size) {
  switch (status) {
    case ARES_SUCCESS:
      return parse(type, message, size);
    case ARES_ENODATA:
      return fault(DnsReply::Kind::no_data, "the name has no address");
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
      return fault(DnsReply::Kind::not_found, "host not found");
    case ARES_ESERVFAIL:
      return fault(DnsReply::Kind::server_failure, "answered SERVFAIL");
    case ARES_EREFUSED:
      return fault(DnsReply::Kind::server_failure, "answered REFUSED");
    case ARES_EFORMERR:
      return fault(DnsReply::Kind::server_failure, "answered FORMERR");
    case ARES_ENOTIMP:
      return fault(DnsReply::Kind::server_failure, "answered NOTIMP");
    case ARES_ETIMEOUT:
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return fault(DnsReply::Kind::silent, "did not answer");
    case ARES_ENOMEM:
      return fault(DnsReply::Kind::exhausted, "this host has no memory left");
    case ARES_ECONNREFUSED:
    case ARES_EOF:
      return fault(DnsReply::Kind::unreachable, "cannot be reached");
    default:
      return fault(DnsReply::Kind::server_failure, "sent a malformed reply");
  }
}

}  // namespace

// Belongs to c-ares until its answer, then to `answered_` until it is delivered.
struct DnsServer::Query::Pending {
  DnsServer& server;
  Query* query = nullptr;  // null: the query was destroyed
  RecordType type = RecordType::a;
  OnReply on_reply;
  DnsReply reply;
};

DnsServer::Query::~Query() {
  if (pending_ != nullptr) pending_->query = nullptr;
}

// c-ares opens and uses its sockets through these functions. They notice when the host has no
// descriptor left. They connect to the whole address, of which c-ares would lose the scope id.
struct DnsServer::Sockets {
  static DnsServer& server(void* self) { return *static_cast<DnsServer*>(self); }

  static int open(int family, int type, int protocol, void* self) {
    const int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd >= 0 && type == SOCK_STREAM) share_port(fd);
    server(self).note_error(ErrorStep::socket, fd < 0 ? errno : 0);
    return fd;
  }
  static int close(int fd, void* self) {
    server(self).polls_.erase(fd);
    return ::close(fd);
  }
  static int connect(int fd, const sockaddr* /*address*/, ares_socklen_t /*size*/, void* self) {
    const Address& to = server(self).address_;
    const int result = ::connect(fd, to.raw(), to.size());
    server(self).note_error(ErrorStep::connect, result != 0 && errno != EINPROGRESS ? errno : 0);
    // No source port is left for UDP. c-ares would take EAGAIN for a connect that is under way.
    if (result != 0 && errno == EAGAIN) errno = ENOBUFS;
    return result;
  }
  static ares_ssize_t receive(int fd, void* buffer, size_t size, int flags, sockaddr* from,
                              ares_socklen_t* from_size, void* /*self*/) {
    return ::recvfrom(fd, buffer, size, flags, from, from_size);
  }
  // A firewall of this host forbids a packet here, and not at the connect.
  static ares_ssize_t send(int fd, const iovec* parts, int count, void* self) {
    const ares_ssize_t sent = ::writev(fd, parts, count);
    if (sent < 0 && errno != EAGAIN) server(self).note_error(ErrorStep::relay, errno);
    return sent;
  }
};

// Keeps errno, which c-ares reads.
void DnsServer::note_error(ErrorStep step, int error) {
  const Blame blame = error == 0 ? Blame::peer : blame_of(step, error);
  host_error_ = blame == Blame::way ? error : 0;
  lack_.clear();
  lack_error_ = error;
  if (blame != Blame::lack) return;
  lack_ = base::describe_errno("DNS server " + address_.to_string(), error);
  if (const std::string remedy = remedy_of(step, error, address_); !remedy.empty())
    lack_ += "; " + remedy;
  errno = error;
}

DnsServer::DnsServer(loop::Loop& loop, const Address& address, const Options& options)
    : loop_(loop),
      address_(address),
      options_(options),
      tick_(loop, [this] { on_tick(); }),
      deliver_due_(loop, [this] { deliver(); }) {}

DnsServer::~DnsServer() {
  if (channel_ != nullptr) ::ares_destroy(channel_);  // answers what is under way
  for (Query::Pending* pending : answered_) {
    if (pending->query != nullptr) pending->query->pending_ = nullptr;
    delete pending;
  }
}

bool DnsServer::open_channel() {
  static const ares_socket_functions kSockets{&Sockets::open, &Sockets::close, &Sockets::connect,
                                              &Sockets::receive, &Sockets::send};
  init_library();
  ares_options options{};
  options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  if (options_.use_tcp) options.flags |= ARES_FLAG_USEVC;
  if (options_.use_edns) options.flags |= ARES_FLAG_EDNS;
  options.timeout = static_cast<int>(options_.timeout.count());
  options.tries = 1;
  options.ednspsz = kEdnsSize;
  options.sock_state_cb = &DnsServer::on_socket_state;
  options.sock_state_cb_data = this;
  // No resolv.conf is read twice: servers and domains are set here.
  std::string none = "/dev/null";
  options.resolvconf_path = none.data();
  if (::ares_init_options(&channel_, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
                              ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF) != ARES_SUCCESS) {
    channel_ = nullptr;
    return false;
  }
  ::ares_set_socket_functions(channel_, &kSockets, this);
  ares_addr_port_node node{};
  node.family = address_.family();
  node.udp_port = node.tcp_port = address_.port();
  if (node.family == AF_INET6) {
    std::memcpy(&node.addr.addr6, &reinterpret_cast<const sockaddr_in6*>(address_.raw())->sin6_addr,
                sizeof node.addr.addr6);
  } else {
    node.addr.addr4 = reinterpret_cast<const sockaddr_in*>(address_.raw())->sin_addr;
  }
  return ::ares_set_servers_ports(channel_, &node) == ARES_SUCCESS;
}

std::unique_ptr<DnsServer::Query> DnsServer::ask(const std::string& name, RecordType type,
                                                 OnReply on_reply) {
  auto* pending = new Query::Pending{*this, nullptr, type, std::move(on_reply), {}};
  std::unique_ptr<Query> query(new Query(pending));
  pending->query = query.get();
  ++outstanding_;
  if (channel_ == nullptr && !open_channel()) {
    on_answer(pending, ARES_ENOMEM, 0, nullptr, 0);
  } else {
    ::ares_query(channel_, name.c_str(), kClassIn, type == RecordType::a ? kTypeA : kTypeAaaa,
                 &DnsServer::on_answer, pending);
  }
  // c-ares may have answered already; on_reply is called later even so.
  if (!answered_.empty() && !deliver_due_.is_active())
    deliver_due_.start(std::chrono::milliseconds{0});
  if (outstanding_ > 0 && !tick_.is_active()) tick_.start(kTick);
  return query;
}

void DnsServer::on_answer(void* argument, int status, int /*timeouts*/, unsigned char* reply,
                          int size) noexcept {
  auto* pending = static_cast<Query::Pending*>(argument);
  DnsServer& server = pending->server;
  --server.outstanding_;
  if (status == ARES_ECONNREFUSED && !server.lack_.empty()) {
    pending->reply = fault(DnsReply::Kind::exhausted, server.lack_);
    pending->reply.host_error = server.lack_error_;
  } else if (status == ARES_ECANCELLED && server.is_unreachable_) {
    pending->reply = to_reply(ARES_ECONNREFUSED, pending->type, nullptr, 0);
  } else {
    pending->reply = to_reply(status, pending->type, reply, size);
    if (status == ARES_ECONNREFUSED) pending->reply.host_error = server.host_error_;
    server.is_unreachable_ |= status == ARES_ECONNREFUSED;
  }
  server.answered_.push_back(pending);
}

void DnsServer::on_socket_state(void* self, int fd, int readable, int writable) noexcept {
  auto& server = *static_cast<DnsServer*>(self);
  if (readable == 0 && writable == 0) {
    server.polls_.erase(fd);
    return;
  }
  try {
    auto& poll = server.polls_[fd];
    if (!poll)
      poll = std::make_unique<loop::Poll>(
          server.loop_, fd, [&server, fd](loop::Ready ready) { server.on_ready(fd, ready); });
    poll->watch(readable != 0, writable != 0);
  } catch (const std::runtime_error& failure) {  // its queries time out
    server.polls_.erase(fd);
    base::log::warning("a name server's socket cannot be watched", {{"reason", failure.what()}});
  }
}

void DnsServer::on_ready(int fd, loop::Ready ready) {
  ::ares_process_fd(channel_, ready.read ? fd : ARES_SOCKET_BAD,
                    ready.write ? fd : ARES_SOCKET_BAD);
  deliver();
}

void DnsServer::on_tick() {
  ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  if (outstanding_ > 0) tick_.start(kTick);
  deliver();
}

void DnsServer::deliver() {
  // The kernel reports an ICMP error once for a socket, to whichever query asks next.
  if (is_unreachable_) ::ares_cancel(channel_);
  is_unreachable_ = false;
  // A callback may ask again, which may add to answered_.
  for (Query::Pending* each : std::exchange(answered_, {})) {
    const std::unique_ptr<Query::Pending> pending(each);
    if (pending->query == nullptr) continue;
    pending->query->pending_ = nullptr;
    pending->on_reply(std::move(pending->reply));
  }
  if (!answered_.empty() && !deliver_due_.is_active())
    deliver_due_.start(std::chrono::milliseconds{0});
}

}  // namespace sc::net
