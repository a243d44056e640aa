#include "net/port_owner.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>

#include "base/text.h"

namespace sc::net {
namespace {

namespace fs = std::filesystem;

// proc_pid_net(5): sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode.
void add_inodes(const char* table, std::uint16_t port, std::set<std::string>& inodes) {
  std::array<char, 5> hex{};
  std::snprintf(hex.data(), hex.size(), "%04X", static_cast<unsigned>(port));
  std::ifstream file(table);
  std::string line;
  while (std::getline(file, line)) {
    constexpr std::string_view kListening = " 0A ";
    if (line.find(kListening) == std::string::npos) continue;  // most lines are sessions
    std::istringstream fields(line);
    std::string slot;
    std::string local;
    std::string skipped;
    std::string state;
    std::string inode;
    fields >> slot >> local >> skipped >> state;
    constexpr std::string_view kListen = "0A";
    if (state != kListen || !local.ends_with(":" + std::string(hex.data()))) continue;
    for (int i = 0; i < 5; ++i) fields >> skipped;
    if (fields >> inode) inodes.insert("socket:[" + inode + "]");
  }
}

bool has_one_of(const fs::path& process, const std::set<std::string>& sockets) {
  std::error_code ignored;
  fs::directory_iterator each(process / "fd", ignored);
  for (; !ignored && each != fs::directory_iterator(); each.increment(ignored)) {
    std::error_code unreadable;
    if (sockets.contains(fs::read_symlink(each->path(), unreadable).string())) return true;
  }
  return false;
}

}  // namespace

std::string describe_listener(std::uint16_t port) {
  std::set<std::string> sockets;
  add_inodes("/proc/net/tcp", port, sockets);
  add_inodes("/proc/net/tcp6", port, sockets);
  if (sockets.empty()) return {};
  std::error_code ignored;
  fs::directory_iterator each("/proc", ignored);
  for (; !ignored && each != fs::directory_iterator(); each.increment(ignored)) {
    const std::string pid = each->path().filename().string();
    if (!base::parse_unsigned(pid, 1, UINT32_MAX) || !has_one_of(each->path(), sockets)) continue;
    std::ifstream file(each->path() / "comm");
    std::string name;
    std::getline(file, name);
    for (char& c : name)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    return name.append(" (pid ").append(pid).append(")");
  }
  return {};
}

}  // namespace sc::net
