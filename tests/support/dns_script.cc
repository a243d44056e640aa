#include "support/dns_script.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace sc::test {
namespace {

using std::chrono::milliseconds;

std::string be16(unsigned value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
}
std::string be32(std::uint32_t value) { return be16(value >> 16U) + be16(value & 0xffffU); }

std::string to_wire(const std::string& name) {
  std::string out;
  std::size_t start = 0;
  while (start < name.size()) {
    const std::size_t dot = std::min(name.find('.', start), name.size());
    out += static_cast<char>(dot - start);
    out += name.substr(start, dot - start);
    start = dot + 1;
  }
  return out + '\0';
}

std::string record(const std::string& owner, unsigned type, std::uint32_t ttl,
                   const std::string& data) {
  return to_wire(owner) + be16(type) + be16(1) + be32(ttl) +
         be16(static_cast<unsigned>(data.size())) + data;
}

std::string packed(const std::string& ip, unsigned type) {
  std::array<char, 16> out{};
  const int family = type == 1 ? AF_INET : AF_INET6;
  if (::inet_pton(family, ip.c_str(), out.data()) != 1) throw std::logic_error("no IP: " + ip);
  return {out.data(), type == 1 ? 4U : 16U};
}

// The name in a query's question section, which is never compressed; and where it ends.
std::string name_of(const std::string& query, std::size_t& at) {
  std::string name;
  while (at < query.size() && query[at] != 0) {
    const auto length = static_cast<unsigned char>(query[at]);
    name += (name.empty() ? "" : ".") + query.substr(at + 1, length);
    at += length + 1U;
  }
  ++at;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

base::Fd bound(int type, sockaddr_in& address) {
  base::Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return {};
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return fd;
}

}  // namespace

DnsScriptServer::DnsScriptServer(const std::string& ip, std::uint16_t port)
    : stop_(::eventfd(0, EFD_CLOEXEC)) {
  for (int tries = 0; tries < 100 && !tcp_; ++tries) {  // of a port that only UDP has free
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
    udp_ = bound(SOCK_DGRAM, address);
    if (udp_) tcp_ = bound(SOCK_STREAM, address);
    port_ = ntohs(address.sin_port);
  }
  if (!tcp_ || ::listen(tcp_.get(), 16) != 0) throw std::runtime_error("no port for a DNS server");
  thread_ = std::thread([this] { run(); });
}

DnsScriptServer::~DnsScriptServer() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void DnsScriptServer::set(const std::string& name, Type type, DnsScript script) {
  const std::lock_guard lock(mutex_);
  scripts_.insert_or_assign({name, static_cast<std::uint16_t>(type)}, std::move(script));
}

void DnsScriptServer::set(const std::string& name, const DnsScript& script) {
  set(name, Type::a, script);
  set(name, Type::aaaa, script);
}

int DnsScriptServer::asked(const std::string& name, Type type) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find({name, static_cast<std::uint16_t>(type)});
  return found == asked_.end() ? 0 : found->second;
}

int DnsScriptServer::asked() const {
  const std::lock_guard lock(mutex_);
  int sum = 0;
  for (const auto& [question, count] : asked_) sum += count;
  return sum;
}

int DnsScriptServer::asked_by_tcp() const {
  const std::lock_guard lock(mutex_);
  return by_tcp_;
}

void DnsScriptServer::run() {
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    int wait = -1;
    for (auto each = due_.begin(); each != due_.end();) {
      if (each->at <= now) {
        ::sendto(udp_.get(), each->message.data(), each->message.size(), 0,
                 reinterpret_cast<const sockaddr*>(each->to.data()),
                 static_cast<socklen_t>(each->to.size()));
        each = due_.erase(each);
        continue;
      }
      const auto left = static_cast<int>(std::chrono::ceil<milliseconds>(each->at - now).count());
      wait = wait < 0 ? left : std::min(wait, left);
      ++each;
    }
    std::array<pollfd, 3> polled{
        {{stop_.get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), wait);
    if (polled[0].revents != 0) return;
    if (polled[1].revents != 0) on_datagram();
    if (polled[2].revents != 0) on_stream();
  }
}

void DnsScriptServer::on_datagram() {
  std::array<char, 1500> buffer{};
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t count = ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
  if (count < 12) return;
  milliseconds delay{0};
  std::string reply = reply_to({buffer.data(), static_cast<std::size_t>(count)}, false, delay);
  if (reply.empty()) return;
  due_.push_back({std::chrono::steady_clock::now() + delay, std::move(reply),
                  std::string(reinterpret_cast<const char*>(&from), size)});
}

// One query a connection, which comes in one segment.
void DnsScriptServer::on_stream() {
  const base::Fd client(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::array<char, 1500> buffer{};
  const ssize_t count = ::recv(client.get(), buffer.data(), buffer.size(), 0);
  if (count < 14) return;
  milliseconds delay{0};
  const std::string reply =
      reply_to({buffer.data() + 2, static_cast<std::size_t>(count) - 2}, true, delay);
  const std::string framed = be16(static_cast<unsigned>(reply.size())) + reply;
  ::send(client.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
}

std::string DnsScriptServer::reply_to(const std::string& query, bool is_tcp, milliseconds& delay) {
  std::size_t at = 12;
  const std::string name = name_of(query, at);
  if (at + 4 > query.size()) return {};
  const auto type = static_cast<std::uint16_t>(static_cast<unsigned char>(query[at]) << 8U |
                                               static_cast<unsigned char>(query[at + 1]));
  const std::string question = query.substr(12, at + 4 - 12);
  DnsScript script;
  {
    const std::lock_guard lock(mutex_);
    ++asked_[{name, type}];
    if (is_tcp) ++by_tcp_;
    if (const auto found = scripts_.find({name, type}); found != scripts_.end())
      script = found->second;
  }
  delay = script.delay;
  std::string id = query.substr(0, 2);
  if (script.how == DnsScript::How::is_silent) return {};
  if (script.how == DnsScript::How::sends_garbage)
    return id + be16(0x8180) + be16(1) + be16(1) + be16(0) + be16(0) + question + "\xc0";
  if (script.how == DnsScript::How::has_wrong_id) id[0] = static_cast<char>(id[0] ^ 0x55);
  const bool is_cut = script.how == DnsScript::How::truncates && !is_tcp;
  std::string records;
  std::string owner = name;
  std::size_t count = 0;
  for (const std::string& alias : script.aliases) {
    records += record(owner, 5, script.ttl, to_wire(alias));
    owner = alias;
    ++count;
  }
  for (const std::string& ip : script.addresses) {
    records += record(owner, type, script.ttl, packed(ip, type));
    ++count;
  }
  if (is_cut) count = 0;
  return id + be16((is_cut ? 0x8380U : 0x8180U) | static_cast<unsigned>(script.rcode)) + be16(1) +
         be16(static_cast<unsigned>(count)) + be16(0) + be16(0) + question +
         (is_cut ? "" : records);
}

}  // namespace sc::test
