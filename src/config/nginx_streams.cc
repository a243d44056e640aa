#include "config/nginx_streams.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "base/text.h"
#include "config/nginx_syntax.h"
#include "config/nginx_time.h"

namespace sc::config {
namespace {

using base::Errc;
using base::Error;
using base::Result;

// To leave one of these out would let in who was kept out, or change the bytes.
constexpr std::array<std::string_view, 7> kDecisive{
    "allow", "deny", "proxy_ssl", "proxy_protocol", "ssl_verify_client", "js_access", "js_filter"};

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

struct ListenPlace {
  std::uint16_t port = 0;
  std::string address;  // empty: all addresses
  bool operator==(const ListenPlace&) const = default;
};

// Why a stream cannot listen there, or where it listens.
Result<ListenPlace> parse_listen(const NginxDirective& listen) {
  static constexpr std::array<std::string_view, 4> kAnyAddress{"", "*", "0.0.0.0", "[::]"};
  static constexpr std::array<std::string_view, 3> kDecisiveWords{"udp", "ssl", "proxy_protocol"};
  if (listen.words.size() < 2) return Error{Errc::invalid, "the port is missing"};
  const std::string_view where = listen.words[1];
  if (where.substr(0, 5) == "unix:")
    return Error{Errc::invalid, "streams listen on TCP ports, not on unix sockets"};
  for (std::size_t i = 2; i < listen.words.size(); ++i)
    if (is_one_of(listen.words[i], kDecisiveWords))
      return Error{Errc::invalid, "streams carry plain TCP, without " + listen.words[i]};
  const std::size_t colon = where.rfind(':');
  const bool has_address = colon != std::string_view::npos;
  std::string_view address = has_address ? where.substr(0, colon) : std::string_view();
  if (is_one_of(address, kAnyAddress)) {
    address = {};
  } else if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  if (!address.empty() && !base::is_ip_literal(address))
    return Error{Errc::invalid, "a stream listens on an IPv4 or IPv6 address, not on " +
                                    base::quoted(address) + "; write its address"};
  const std::string_view port = has_address ? where.substr(colon + 1) : where;
  const auto number = base::parse_port(port);
  if (!number)
    return Error{Errc::invalid, base::quoted(port) + " is not a port: a number from 1 to 65535"};
  return ListenPlace{*number, std::string(address)};
}

Result<core::Backend> parse_target(std::string_view target) {
  if (target.substr(0, 5) == "unix:")
    return Error{Errc::invalid, "streams lead to TCP ports, not to unix sockets"};
  return base::parse_host_port(target);
}

// The timeouts of a block; a server inherits those that it does not set (nginx merges them so).
struct Timeouts {
  const NginxDirective* idle = nullptr;
  const NginxDirective* connect = nullptr;
};

// Sets the timeout that the directive names. Returns false for any other directive.
bool take_timeout(const NginxDirective& directive, Timeouts& into) {
  if (directive.is_block) return false;
  const std::string& name = directive.words.front();
  const NginxDirective*& place = name == "proxy_timeout" ? into.idle : into.connect;
  if (name != "proxy_timeout" && name != "proxy_connect_timeout") return false;
  place = &directive;
  return true;
}

// Collects what the files say: the upstreams of all first, then the servers of each. Lives for one
// call of parse_nginx_streams(), as long as the directives.
class Collector {
 public:
  void find_upstreams(const std::string& file, const std::vector<NginxDirective>& directives) {
    file_ = file;
    for (const NginxDirective& directive : directives) {
      if (directive.is_block && directive.words.front() == "stream")
        find_upstreams(file, directive.body);
      if (!is_upstream(directive)) continue;
      const auto [first, is_new] = upstreams_.try_emplace(
          base::to_lower(directive.words[1]), Upstream{.block = &directive, .file = file_});
      if (!is_new)
        reject(directive, "an upstream of that name stands " +
                              place_of(first->second.file, first->second.block->line));
    }
  }

  void take(const std::string& file, const NginxFile& parsed) {
    file_ = file;
    take_block(parsed.directives, {});
    if (parsed.fault) reject(parsed.fault->at, parsed.fault->why);
  }

  ImportedStreams finish() {
    for (const auto& [name, upstream] : upstreams_) {
      file_ = upstream.file;
      if (!upstream.is_used)
        out_.ignored.push_back(remark(*upstream.block, "no server of these files forwards to it"));
    }
    return std::move(out_);
  }

 private:
  struct Server {
    std::vector<const NginxDirective*> listens;
    const NginxDirective* pass = nullptr;
    Timeouts timeouts;
    std::vector<ImportRemark> ignored;
  };
  struct Upstream {
    const NginxDirective* block = nullptr;
    std::string file;
    bool is_used = false;
  };

  // What holds for the whole block is read first, wherever it stands in the block.
  void take_block(const std::vector<NginxDirective>& directives, Timeouts timeouts) {
    for (const NginxDirective& directive : directives) take_timeout(directive, timeouts);
    for (const NginxDirective& directive : directives) {
      const std::string& name = directive.words.front();
      if (name == "server" && directive.is_block) {
        take_server(directive, timeouts);
      } else if (name == "stream" && directive.is_block) {
        take_block(directive.body, timeouts);
      } else if (is_upstream(directive)) {
        continue;
      } else if (directive.is_block) {
        reject(directive, "only server and upstream blocks can become streams");
      } else if (!take_timeout(directive, timeouts)) {
        out_.ignored.push_back(remark(directive, "has no effect here"));
      }
    }
  }

  static bool is_upstream(const NginxDirective& directive) {
    return directive.is_block && directive.words.size() == 2 &&
           directive.words.front() == "upstream";
  }

  ImportRemark remark(const NginxDirective& directive, std::string why) const {
    return {file_, directive.line, to_string(directive), std::move(why)};
  }

  void reject(const NginxDirective& directive, std::string why) {
    out_.rejected.push_back(remark(directive, std::move(why)));
  }

  std::string place_of(const std::string& file, unsigned line) const {
    return "in " + (file == file_ ? "" : file + ", ") + "line " + std::to_string(line);
  }

  // Returns nullopt if a directive makes the server unusable; the directive is rejected then.
  std::optional<Server> sort_out(const NginxDirective& server, const Timeouts& inherited) {
    Server out;
    out.timeouts = inherited;
    for (const NginxDirective& directive : server.body) {
      const std::string& name = directive.words.front();
      const bool off = directive.words.size() == 2 && directive.words[1] == "off";
      if (name == "listen") {
        out.listens.push_back(&directive);
      } else if (name == "proxy_pass") {
        if (out.pass) {
          reject(directive, "a second proxy_pass in the same server");
          return std::nullopt;
        }
        out.pass = &directive;
      } else if (is_one_of(name, kDecisive) && !off) {
        reject(directive,
               "streams do not know this yet, and without it they would not be the same");
        return std::nullopt;
      } else if (!take_timeout(directive, out.timeouts)) {
        out.ignored.push_back(remark(directive, "has no effect here"));
      }
    }
    return out;
  }

  // The backend of a proxy_pass: itself, or the only server of the upstream that it names. Adds
  // what has no effect in the upstream to `ignored`.
  Result<core::Backend> find_backend(const NginxDirective& pass,
                                     std::vector<ImportRemark>& ignored) {
    if (pass.words.size() != 2) return Error{Errc::invalid, "proxy_pass has one argument"};
    const std::string& target = pass.words[1];
    if (target.find('$') != std::string::npos)
      return Error{Errc::invalid, "variables are not supported: write host:port"};
    const auto named = upstreams_.find(base::to_lower(target));
    if (named == upstreams_.end()) {
      auto backend = parse_target(target);
      if (!backend && target.find(':') == std::string::npos)
        return Error{Errc::invalid,
                     backend.error().message + "; these files have no upstream of that name"};
      return backend;
    }
    named->second.is_used = true;
    return find_only_server(named->second, "the upstream " + base::quoted(target), ignored);
  }

  // The only server of the upstream that is not down.
  static Result<core::Backend> find_only_server(const Upstream& upstream, const std::string& lead,
                                                std::vector<ImportRemark>& ignored) {
    const auto ignore = [&](const NginxDirective& directive, std::string why) {
      ignored.push_back({upstream.file, directive.line, to_string(directive), std::move(why)});
    };
    const NginxDirective* only = nullptr;
    bool has_down = false;
    for (const NginxDirective& directive : upstream.block->body) {
      if (directive.words.front() != "server" || directive.is_block) {
        ignore(directive, "has no effect here");
        continue;
      }
      if (std::find(directive.words.begin(), directive.words.end(), "down") !=
          directive.words.end()) {
        has_down = true;
        ignore(directive, "is down, so it is left out");
        continue;
      }
      if (only != nullptr)
        return Error{Errc::invalid, lead + " has several servers; a stream forwards to one"};
      only = &directive;
    }
    if (only == nullptr && has_down)
      return Error{Errc::invalid, lead + " has no server that is not down"};
    if (only == nullptr || only->words.size() < 2)
      return Error{Errc::invalid, lead + " has no server"};
    for (std::size_t i = 2; i < only->words.size(); ++i)
      ignore(*only, only->words[i] + " has no effect here");
    return parse_target(only->words[1]);
  }

  // The duration that the directive sets, between the limits of a stream's field; nullopt: none.
  Result<std::optional<std::chrono::milliseconds>> read_timeout(
      const NginxDirective* directive, std::chrono::milliseconds least,
      std::chrono::milliseconds most, std::vector<ImportRemark>& ignored) const {
    if (directive == nullptr) return std::optional<std::chrono::milliseconds>();
    if (directive->words.size() != 2)
      return Error{Errc::invalid, "needs one time such as 90s or 1h30m"};
    const auto asked = parse_nginx_time(directive->words[1]);
    if (!asked)
      return Error{Errc::invalid, base::quoted(directive->words[1]) +
                                      " is not a time of nginx such as 90s or 1h30m"};
    const auto taken = std::clamp(*asked, least, most);
    if (taken != *asked)
      ignored.push_back(remark(*directive, "streams take " + base::format_duration(least) + " to " +
                                               base::format_duration(most) + ": it becomes " +
                                               base::format_duration(taken)));
    return std::optional(taken);
  }

  // The stream without its place to listen; nullopt if a directive is rejected.
  std::optional<core::StreamSpec> read_spec(Server& parts) {
    const auto backend = find_backend(*parts.pass, parts.ignored);
    if (!backend) {
      reject(*parts.pass, backend.error().message);
      return std::nullopt;
    }
    core::StreamSpec spec;
    spec.backend = *backend;
    const auto idle = read_timeout(parts.timeouts.idle, core::kLeastIdleTimeout,
                                   core::kMostIdleTimeout, parts.ignored);
    const auto connect = read_timeout(parts.timeouts.connect, core::kLeastConnectTimeout,
                                      core::kMostConnectTimeout, parts.ignored);
    if (!idle) reject(*parts.timeouts.idle, idle.error().message);
    if (!connect) reject(*parts.timeouts.connect, connect.error().message);
    if (!idle || !connect) return std::nullopt;
    spec.idle_timeout = *idle;
    spec.connect_timeout = *connect;
    return spec;
  }

  void take_server(const NginxDirective& server, const Timeouts& inherited) {
    auto parts = sort_out(server, inherited);
    if (!parts) return;
    if (parts->listens.empty()) return reject(server, "the server has no listen");
    if (!parts->pass) return reject(server, "the server has no proxy_pass");
    auto spec = read_spec(*parts);
    if (!spec) return;
    std::vector<std::pair<const NginxDirective*, ListenPlace>> places;
    for (const NginxDirective* listen : parts->listens) {
      auto place = parse_listen(*listen);
      if (place) {
        places.emplace_back(listen, std::move(*place));
      } else {
        reject(*listen, place.error().message);
      }
    }
    std::vector<ListenPlace> own;
    for (const auto& [listen, place] : places) {
      // `listen 9000; listen [::]:9000;` is how nginx says dual-stack: one stream.
      if (std::find(own.begin(), own.end(), place) != own.end()) continue;
      if (is_covered(place, places)) {
        out_.ignored.push_back(remark(
            *listen, "the server's listen on all addresses of the port has this address too"));
        continue;
      }
      spec->port = place.port;
      spec->listen_address = place.address;
      if (!add(*listen, *spec)) continue;
      own.push_back(place);
      for (std::size_t i = 2; i < listen->words.size(); ++i)
        out_.ignored.push_back(remark(*listen, listen->words[i] + " has no effect here"));
    }
    if (own.empty()) return;
    out_.ignored.insert(out_.ignored.end(), parts->ignored.begin(), parts->ignored.end());
  }

  // Returns whether the place is one address of a port that the server has on all addresses.
  static bool is_covered(const ListenPlace& place,
                         const std::vector<std::pair<const NginxDirective*, ListenPlace>>& places) {
    return !place.address.empty() &&
           std::any_of(places.begin(), places.end(), [&](const auto& other) {
             return other.second == ListenPlace{place.port, ""};
           });
  }

  bool add(const NginxDirective& listen, core::StreamSpec spec) {
    if (auto zoned = core::check_zones(spec); !zoned) {
      reject(listen, zoned.error().message);
      return false;
    }
    if (auto reachable = core::check_groups(spec); !reachable) {
      reject(listen, reachable.error().message);
      return false;
    }
    const auto before =
        std::find_if(out_.streams.begin(), out_.streams.end(),
                     [&](const ImportedStream& stream) { return stream.spec.port == spec.port; });
    if (before != out_.streams.end()) {
      reject(listen, "port " + std::to_string(spec.port) + " was taken already " +
                         place_of(before->file, before->line));
      return false;
    }
    out_.streams.push_back({std::move(spec), file_, listen.line});
    return true;
  }

  std::string file_;                           // the one that is read now
  std::map<std::string, Upstream> upstreams_;  // of all files, by name in lower case, as in nginx
  ImportedStreams out_;
};

}  // namespace

ImportedStreams parse_nginx_streams(const std::vector<NginxText>& files) {
  std::vector<NginxFile> parsed;
  parsed.reserve(files.size());
  Collector collector;
  for (const NginxText& file : files) parsed.push_back(parse_nginx_file(file.text));
  for (std::size_t i = 0; i < files.size(); ++i)
    collector.find_upstreams(files[i].file, parsed[i].directives);
  for (std::size_t i = 0; i < files.size(); ++i) collector.take(files[i].file, parsed[i]);
  return collector.finish();
}

ImportedStreams parse_nginx_streams(std::string_view text, std::string_view file_name) {
  return parse_nginx_streams({NginxText{std::string(file_name), std::string(text)}});
}

}  // namespace sc::config
