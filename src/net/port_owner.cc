#include "net/port_owner.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "net/address.h"

namespace sc::net {
namespace {

namespace fs = std::filesystem;

// Of include/net/tcp_states.h, as /proc/net/tcp prints them.
constexpr std::string_view kTimeWait = "06";
constexpr std::string_view kListen = "0A";

struct Row {
  std::string state;
  std::string inode;
  Address local;
  std::string remote;  // `0100007F:0050`
};

// The kernel prints each 32 bits of an address as a number of the host's byte order.
Address to_address(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon != 8 && colon != 32) return {};
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < colon / 8; ++i)
    words.at(i) = static_cast<std::uint32_t>(std::stoul(text.substr(i * 8, 8), nullptr, 16));
  const auto port = static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1), nullptr, 16));
  if (colon == 8) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, words.data(), sizeof v4.sin_addr);
    return Address(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, words.data(), sizeof v6.sin6_addr);
  return Address(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

// proc_pid_net(5): sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode.
void add_rows(const char* table, std::uint16_t port, std::vector<Row>& rows) {
  std::array<char, 7> hex{};
  std::snprintf(hex.data(), hex.size(), ":%04X ", static_cast<unsigned>(port));
  std::ifstream file(table);
  std::string line;
  while (std::getline(file, line)) {
    if (line.find(hex.data()) == std::string::npos) continue;  // most lines are of other ports
    std::istringstream fields(line);
    std::string slot;
    std::string local;
    std::string skipped;
    Row row;
    fields >> slot >> local >> row.remote >> row.state;
    if (!local.ends_with(std::string_view(hex.data()).substr(0, 5))) continue;
    for (int i = 0; i < 5; ++i) fields >> skipped;
    row.local = to_address(local);
    if (fields >> row.inode) rows.push_back(std::move(row));
  }
}

bool has_socket(const fs::path& process, const std::string& socket) {
  std::error_code ignored;
  fs::directory_iterator each(process / "fd", ignored);
  for (; !ignored && each != fs::directory_iterator(); each.increment(ignored)) {
    std::error_code unreadable;
    if (fs::read_symlink(each->path(), unreadable).string() == socket) return true;
  }
  return false;
}

// `nginx (pid 812)`, `this service`; nullopt: /proc does not show it.
std::optional<std::string> process_with(const std::string& inode) {
  const std::string socket = "socket:[" + inode + "]";
  if (has_socket("/proc/self", socket)) return "this service";
  std::error_code ignored;
  fs::directory_iterator each("/proc", ignored);
  for (; !ignored && each != fs::directory_iterator(); each.increment(ignored)) {
    const std::string pid = each->path().filename().string();
    if (!base::parse_unsigned(pid, 1, UINT32_MAX) || !has_socket(each->path(), socket)) continue;
    std::ifstream file(each->path() / "comm");
    std::string name;
    std::getline(file, name);
    for (char& c : name)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    return name.append(" (pid ").append(pid).append(")");
  }
  return std::nullopt;
}

std::string describe(const Row& row) {
  if (row.state == kTimeWait)
    return "a connection from it to " + to_address(row.remote).to_string() +
           " has ended and holds it for up to 60 s (TIME_WAIT)";
  if (row.inode == "0")
    return "a connection from it to " + to_address(row.remote).to_string() + " is still ending";
  const std::string process =
      process_with(row.inode).value_or("a process that this service cannot see");
  if (row.state == kListen) return process + " listens there";
  return process + " has a connection from it to " + to_address(row.remote).to_string();
}

// Whether a socket with that local address keeps a listener from `listen`. An IPv6 wildcard socket
// may take IPv4 too.
bool is_in_the_way(const Address& local, const Address& listen) {
  if (local.ip() == listen.ip()) return true;
  const auto covers = [](const Address& wildcard, const Address& other) {
    return wildcard.is_wildcard() &&
           (wildcard.family() == AF_INET6 || other.ip().find(':') == std::string::npos);
  };
  return covers(local, listen) || covers(listen, local);
}

std::set<std::string> own_sockets() {
  std::set<std::string> sockets;
  std::error_code ignored;
  fs::directory_iterator each("/proc/self/fd", ignored);
  for (; !ignored && each != fs::directory_iterator(); each.increment(ignored)) {
    std::error_code unreadable;
    sockets.insert(fs::read_symlink(each->path(), unreadable).string());
  }
  return sockets;
}

// The lower, the likelier it is what the caller asks for. Connections of this service share their
// port with its listeners, so they come last.
int rank_of(const Row& row, const std::set<std::string>& own) {
  if (row.state == kListen) return 0;
  if (row.state == kTimeWait) return 3;
  if (row.inode == "0") return 2;
  return own.contains("socket:[" + row.inode + "]") ? 4 : 1;
}

}  // namespace

std::string describe_occupant(const Address& listen) {
  std::vector<Row> rows;
  add_rows("/proc/net/tcp", listen.port(), rows);
  add_rows("/proc/net/tcp6", listen.port(), rows);
  std::erase_if(rows, [&](const Row& row) { return !is_in_the_way(row.local, listen); });
  if (rows.empty()) return {};
  const std::set<std::string> own = own_sockets();
  return describe(*std::min_element(
      rows.begin(), rows.end(),
      [&](const Row& one, const Row& other) { return rank_of(one, own) < rank_of(other, own); }));
}

}  // namespace sc::net
