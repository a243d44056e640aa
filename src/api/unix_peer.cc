#include "api/unix_peer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/fd.h"

namespace sc::api {
namespace {

// proc(5): TASK_COMM_LEN is 16; a thread of the kernel may have more.
std::string read_process_name(pid_t pid) {
  const std::string file = "/proc/" + std::to_string(pid) + "/comm";
  const base::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return "";
  std::array<char, 64> text{};
  const ssize_t got = ::read(fd.get(), text.data(), text.size());
  if (got <= 0) return "";
  std::string_view name(text.data(), static_cast<std::size_t>(got));
  if (name.ends_with('\n')) name.remove_suffix(1);
  return sanitized_process_name(name);
}

bool is_admin(const net::PeerCredentials& peer, const AuthOptions& options) {
  if (!options.admin_group || peer.uid == 0 || peer.uid == options.own_uid) return true;
  return peer.gid == *options.admin_group || std::find(peer.groups.begin(), peer.groups.end(),
                                                       *options.admin_group) != peer.groups.end();
}

}  // namespace

std::string sanitized_process_name(std::string_view comm) {
  std::string out(comm);
  for (char& c : out)
    if (c < 0x20 || c >= 0x7f || c == '(' || c == ')') c = '?';
  return out;
}

core::Caller judge_unix_peer(const net::PeerCredentials& peer, const AuthOptions& options) {
  core::Caller caller{"uid " + std::to_string(peer.uid),
                      is_admin(peer, options) ? core::Role::admin : core::Role::viewer,
                      std::nullopt};
  if (const std::string name = read_process_name(peer.pid); !name.empty())
    caller.name += " (" + name + ")";
  return caller;
}

}  // namespace sc::api
