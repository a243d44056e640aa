#include "bench/bulk.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/reactor.h"
#include "bench/sockets.h"
#include "bench/wire.h"

namespace sc::bench {
namespace {

constexpr std::uint64_t kChunk = 4U << 20;  // bytes that one number announces or asks for
// What is asked for ahead: more than the socket buffers on the way hold, so that the source never
// waits for a number.
constexpr std::uint64_t kAhead = 4 * kChunk;
constexpr auto kPatience = std::chrono::seconds(10);

// What all sessions of a run share.
struct Run {
  BulkOptions options;
  Pattern pattern{};
  Reactor reactor{};
  Report report{};
  std::uint64_t received = 0;
  unsigned open = 0;
  bool time_over = false;
};

class BulkSession : public Handler {
 public:
  BulkSession(Run& run, base::Fd socket, std::uint32_t events)
      : run_(run), socket_(std::move(socket)) {
    run_.reactor.add(socket_.get(), events, *this);
    ++run_.open;
  }
  ~BulkSession() override {
    if (socket_) close();
  }
  bool is_open() const { return bool(socket_); }

 protected:
  Run& run() { return run_; }
  int fd() const { return socket_.get(); }
  void watch(std::uint32_t events) { run_.reactor.change(fd(), events, *this); }

  // How many bytes the next number is for, when `so_far` were announced or asked for.
  std::uint64_t next_chunk(std::uint64_t so_far) const {
    if (run_.options.bytes > 0) return std::min(kChunk, run_.options.bytes - so_far);
    return run_.time_over ? 0 : kChunk;
  }

  void close() {
    run_.reactor.remove(fd(), *this);
    socket_.reset();
    --run_.open;
  }
  void fail(std::string sentence) {
    run_.report.fail(std::move(sentence));
    close();
  }
  // After a system call on the socket; closes it unless it only has to be waited for.
  bool may_go_on(std::int64_t count) {
    if (count > 0 || (count < 0 && errno == EAGAIN)) return true;
    fail(count == 0 ? "the session ended early" : base::describe_errno("a session", errno));
    return false;
  }

 private:
  Run& run_;
  base::Fd socket_;
};

class UpSession final : public BulkSession {
 public:
  UpSession(Run& run, base::Fd socket) : BulkSession(run, std::move(socket), EPOLLOUT) {
    announce();
  }

  void on_ready(std::uint32_t events) override {
    if (all_sent_ || (events & (EPOLLHUP | EPOLLERR)) != 0) return read_verdict();
    if (!number_.complete()) return send_number();
    const auto count = run().pattern.send(fd(), sent_, left_, run().options.send);
    if (!may_go_on(count) || count < 0) return;
    sent_ += static_cast<std::uint64_t>(count);
    left_ -= static_cast<std::uint64_t>(count);
    if (left_ == 0) announce();
  }

 private:
  void announce() {
    left_ = next_chunk(sent_);
    number_.set(left_);
  }

  void send_number() {
    const auto rest = number_.rest();
    const int flags = MSG_NOSIGNAL | (left_ > 0 ? MSG_MORE : 0);
    const auto count = ::send(fd(), rest.data(), rest.size(), flags);
    if (!may_go_on(count) || count < 0) return;
    number_.advance(static_cast<std::size_t>(count));
    if (!number_.complete() || left_ > 0) return;
    all_sent_ = true;
    watch(EPOLLIN);
  }

  void read_verdict() {
    const auto room = verdict_.rest();
    const auto count = ::recv(fd(), room.data(), room.size(), 0);
    if (!may_go_on(count) || count < 0) return;
    verdict_.advance(static_cast<std::size_t>(count));
    if (!verdict_.complete()) return;
    const Verdict found = verdict_.value();
    if (found.wrong_at != kAllRight)
      return fail("wrong byte at position " + std::to_string(found.wrong_at));
    if (found.received != sent_)
      return fail(std::to_string(sent_) + " bytes were sent, " + std::to_string(found.received) +
                  " arrived");
    run().received += found.received;
    close();
  }

  std::uint64_t sent_ = 0;
  std::uint64_t left_ = 0;  // of the chunk
  bool all_sent_ = false;
  Piecewise<std::uint64_t> number_;
  Piecewise<Verdict> verdict_;
};

class DownSession final : public BulkSession {
 public:
  DownSession(Run& run, base::Fd socket) : BulkSession(run, std::move(socket), EPOLLIN) { ask(); }

  void on_ready(std::uint32_t /*events*/) override {
    const auto owed = asked_ - received_;
    std::int64_t count = 0;
    if (run().options.verify) {
      const auto room = scratch().first(std::min<std::uint64_t>(owed, scratch().size()));
      count = ::recv(fd(), room.data(), room.size(), 0);
      if (count > 0) {
        const auto wrong =
            run().pattern.find_wrong(received_, room.first(static_cast<std::size_t>(count)));
        if (wrong) return fail("wrong byte at position " + std::to_string(*wrong));
      }
    } else {
      count = discard(fd(), owed);
    }
    if (!may_go_on(count) || count < 0) return;
    received_ += static_cast<std::uint64_t>(count);
    run().received += static_cast<std::uint64_t>(count);
    ask();
  }

 private:
  void ask() {
    while (asked_ - received_ < kAhead) {
      const std::uint64_t chunk = next_chunk(asked_);
      if (chunk == 0) break;
      // So little is under way in this direction that the buffer always has room for it.
      if (::send(fd(), &chunk, sizeof chunk, MSG_NOSIGNAL) != std::int64_t{sizeof chunk})
        return fail(base::describe_errno("a session's request", errno));
      asked_ += chunk;
    }
    if (asked_ == received_) close();
  }

  std::uint64_t asked_ = 0;
  std::uint64_t received_ = 0;
};

std::unique_ptr<BulkSession> make_session(Run& run, base::Fd socket) {
  if (run.options.up) return std::make_unique<UpSession>(run, std::move(socket));
  return std::make_unique<DownSession>(run, std::move(socket));
}

}  // namespace

Report run_bulk(const BulkOptions& options) {
  Run run{.options = options};
  std::optional<InputEnd> input;
  if (options.until_input_ends) input.emplace(run.reactor);
  std::vector<base::Fd> sockets;
  for (unsigned number = 0; number < options.sessions; ++number) {
    auto socket = connect_to(options.target, source_address(number), kPatience);
    if (!socket) {
      run.report.fail(socket.error().message);
      return run.report;
    }
    sockets.push_back(*std::move(socket));
  }
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(options.seconds));
  std::vector<std::unique_ptr<BulkSession>> sessions;
  for (base::Fd& socket : sockets) sessions.push_back(make_session(run, std::move(socket)));
  while (run.open > 0 && Clock::now() < end + kPatience) {
    run.time_over = run.time_over || Clock::now() >= end || (input && input->reached());
    run.reactor.turn(run.time_over ? end + kPatience : end);
  }
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  for (const auto& session : sessions)
    if (session->is_open()) run.report.fail("a session did not end in time");
  run.report.add("sessions", std::uint64_t{options.sessions});
  run.report.add("bytes", run.received);
  run.report.add("seconds", elapsed.count());
  run.report.add("bytes_per_second", static_cast<double>(run.received) / elapsed.count());
  return run.report;
}

}  // namespace sc::bench
