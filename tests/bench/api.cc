#include "bench/api.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "bench/reactor.h"
#include "bench/sockets.h"

namespace sc::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
constexpr std::size_t kMostReply = 16U << 20;

// The body of a reply that is all there.
std::optional<std::string_view> whole_body(std::string_view text) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string head = base::to_lower(text.substr(0, end + 2));
  constexpr std::string_view kField = "\r\ncontent-length: ";
  const auto field = head.find(kField);
  if (field == std::string::npos) return std::nullopt;
  const auto start = field + kField.size();
  const auto digits = std::string_view(head).substr(start, head.find('\r', start) - start);
  const auto length = base::parse_unsigned(digits, 0, kMostReply);
  const auto body = text.substr(end + 4);
  if (!length || body.size() != *length) return std::nullopt;
  return body;
}

// Requests that are sent one after the other, over whichever connection is free.
struct Phase {
  std::vector<std::string> paths;
  std::function<bool(std::string_view body)> is_right;
  std::size_t next = 0;
  std::size_t done = 0;
  Histogram latencies{};
};

class ApiConnection final : public Handler {
 public:
  ApiConnection(Reactor& reactor, Report& report, base::Fd socket)
      : reactor_(reactor), report_(report), socket_(std::move(socket)) {
    reactor_.add(socket_.get(), EPOLLIN, *this);
  }
  ~ApiConnection() override {
    if (socket_) reactor_.remove(socket_.get(), *this);
  }

  // The phase's next request, if there is one left.
  void begin(Phase& phase) {
    if (!socket_ || phase.next == phase.paths.size()) return;
    phase_ = &phase;
    path_ = phase.paths[phase.next++];
    const std::string request = "GET " + path_ + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    reply_.clear();
    begun_ = Clock::now();
    const auto count = ::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL);
    // A request of some hundred bytes fits into a buffer that is empty.
    if (count != static_cast<std::int64_t>(request.size())) fail("it was not sent");
  }

  void on_ready(std::uint32_t /*events*/) override {
    std::array<char, 65536> room;
    const auto count = ::recv(socket_.get(), room.data(), room.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 || phase_ == nullptr) return fail("the connection ended");
    reply_.append(room.data(), static_cast<std::size_t>(count));
    if (reply_.size() > kMostReply) return fail("the reply has no end");
    const auto body = whole_body(reply_);
    if (!body) return;
    Phase& phase = *std::exchange(phase_, nullptr);
    phase.latencies.add(Clock::now() - begun_);
    ++phase.done;
    if (reply_.rfind("HTTP/1.1 200 ", 0) != 0 || !phase.is_right(*body))
      report_.fail(path_ + ": " + base::quoted(reply_));
    begin(phase);
  }

 private:
  void fail(const char* why) {
    report_.fail(path_ + ": " + why);
    if (phase_ != nullptr) ++std::exchange(phase_, nullptr)->done;
    reactor_.remove(socket_.get(), *this);
    socket_.reset();
  }

  Reactor& reactor_;
  Report& report_;
  base::Fd socket_;
  Phase* phase_ = nullptr;  // whose request is under way
  std::string path_;
  std::string reply_;
  Clock::time_point begun_;
};

using Connections = std::span<const std::unique_ptr<ApiConnection>>;

// Seconds until all replies are there.
double run_phase(Reactor& reactor, Report& report, Connections connections, Phase& phase) {
  const auto start = Clock::now();
  for (const auto& connection : connections) connection->begin(phase);
  const auto limit = start + kPatience;
  while (phase.done < phase.next && Clock::now() < limit) reactor.turn(limit);
  if (phase.done < phase.paths.size()) report.fail("not every request was answered in time");
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t occurrences(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1))
    ++count;
  return count;
}

bool says_ok(std::string_view body) {
  return body.find(R"("result":"ok")") != std::string_view::npos;
}

}  // namespace

Report run_api(const ApiOptions& options) {
  Report report;
  Reactor reactor;
  std::vector<std::unique_ptr<ApiConnection>> connections;
  for (unsigned number = 0; number < options.concurrency; ++number) {
    auto socket = connect_to(options.target, source_address(number), kPatience);
    if (!socket) {
      report.fail(socket.error().message);
      return report;
    }
    connections.push_back(std::make_unique<ApiConnection>(reactor, report, *std::move(socket)));
  }
  Phase create{.paths = {}, .is_right = says_ok};
  Phase remove{.paths = {}, .is_right = says_ok};
  for (unsigned number = 0; number < options.count; ++number) {
    const std::string port = std::to_string(options.first_port + number);
    if (options.create) create.paths.push_back("/createstream/" + port + "/" + options.backend);
    if (options.remove) remove.paths.push_back("/removestream/" + port);
  }
  Phase list{.paths = std::vector<std::string>(options.lists, "/getstreams"),
             .is_right = [&options](std::string_view body) {
               return occurrences(body, R"("listen":)") >= options.count;
             }};
  const double creating = run_phase(reactor, report, connections, create);
  run_phase(reactor, report, std::span(connections).first(1), list);
  const double removing = run_phase(reactor, report, connections, remove);

  report.add("concurrency", std::uint64_t{options.concurrency});
  report.add("streams", std::uint64_t{options.count});
  report.add("creates_per_second", static_cast<double>(create.latencies.count()) / creating);
  report.add("create_", create.latencies);
  report.add("removes_per_second", static_cast<double>(remove.latencies.count()) / removing);
  report.add("remove_", remove.latencies);
  report.add("list_", list.latencies);
  return report;
}

}  // namespace sc::bench
