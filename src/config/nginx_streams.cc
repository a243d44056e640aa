#include "config/nginx_streams.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "config/nginx_syntax.h"

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

// Why it cannot be a port of a stream, or the port.
Result<std::uint16_t> parse_listen(const NginxDirective& listen) {
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
  const std::string_view address = has_address ? where.substr(0, colon) : std::string_view();
  if (!is_one_of(address, kAnyAddress))
    return Error{Errc::invalid, "a stream does not choose its address, " + base::quoted(address) +
                                    "; the setting stream_address is for all"};
  const std::string_view port = has_address ? where.substr(colon + 1) : where;
  const auto number = base::parse_port(port);
  if (!number)
    return Error{Errc::invalid, base::quoted(port) + " is not a port: a number from 1 to 65535"};
  return *number;
}

Result<core::Backend> parse_proxy_pass(const NginxDirective& pass) {
  if (pass.words.size() != 2) return Error{Errc::invalid, "proxy_pass has one argument"};
  const std::string_view target = pass.words[1];
  if (target.substr(0, 5) == "unix:")
    return Error{Errc::invalid, "streams lead to TCP ports, not to unix sockets"};
  return base::parse_host_port(target);
}

// Collects what one file says. Lives for one call of parse_nginx_streams().
class Collector {
 public:
  explicit Collector(std::string_view file) : file_(file) {}

  void take(const std::vector<NginxDirective>& directives) {
    for (const NginxDirective& directive : directives) {
      const std::string& name = directive.words.front();
      if (name == "server" && directive.is_block) {
        take_server(directive);
      } else if (name == "stream" && directive.is_block) {
        take(directive.body);
      } else if (directive.is_block) {
        reject(directive, "only server blocks can become streams");
      } else {
        out_.ignored.push_back(remark(directive, "has no effect here"));
      }
    }
  }

  void reject(const NginxDirective& directive, std::string why) {
    out_.rejected.push_back(remark(directive, std::move(why)));
  }

  ImportedStreams finish() { return std::move(out_); }

 private:
  struct Server {
    std::vector<const NginxDirective*> listens;
    const NginxDirective* pass = nullptr;
    std::vector<ImportRemark> ignored;
  };

  ImportRemark remark(const NginxDirective& directive, std::string why) const {
    return {file_, directive.line, to_string(directive), std::move(why)};
  }

  // Nothing when a directive forbids to take the server; it has been rejected then.
  std::optional<Server> sort_out(const NginxDirective& server) {
    Server out;
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
      } else {
        out.ignored.push_back(remark(directive, "has no effect here"));
      }
    }
    return out;
  }

  void take_server(const NginxDirective& server) {
    auto parts = sort_out(server);
    if (!parts) return;
    if (parts->listens.empty()) return reject(server, "the server has no listen");
    if (!parts->pass) return reject(server, "the server has no proxy_pass");
    const auto backend = parse_proxy_pass(*parts->pass);
    if (!backend) return reject(*parts->pass, backend.error().message);
    std::vector<std::uint16_t> own;
    for (const NginxDirective* listen : parts->listens) {
      const auto port = parse_listen(*listen);
      if (!port) {
        reject(*listen, port.error().message);
        continue;
      }
      // `listen 9000; listen [::]:9000;` is how nginx says dual-stack: one stream.
      if (std::find(own.begin(), own.end(), *port) != own.end()) continue;
      if (!add(*listen, {*port, *backend})) continue;
      own.push_back(*port);
      for (std::size_t i = 2; i < listen->words.size(); ++i)
        out_.ignored.push_back(remark(*listen, listen->words[i] + " has no effect here"));
    }
    if (own.empty()) return;
    out_.ignored.insert(out_.ignored.end(), parts->ignored.begin(), parts->ignored.end());
  }

  bool add(const NginxDirective& listen, core::StreamSpec spec) {
    const auto before =
        std::find_if(out_.streams.begin(), out_.streams.end(),
                     [&](const ImportedStream& stream) { return stream.spec.port == spec.port; });
    if (before != out_.streams.end()) {
      reject(listen, "port " + std::to_string(spec.port) + " was taken already in line " +
                         std::to_string(before->line));
      return false;
    }
    out_.streams.push_back({std::move(spec), file_, listen.line});
    return true;
  }

  std::string file_;
  ImportedStreams out_;
};

}  // namespace

ImportedStreams parse_nginx_streams(std::string_view text, std::string_view file_name) {
  const NginxFile file = parse_nginx_file(text);
  Collector collector(file_name);
  collector.take(file.directives);
  if (file.fault) collector.reject(file.fault->at, file.fault->why);
  return collector.finish();
}

}  // namespace sc::config
