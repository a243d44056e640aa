#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/callback.h"
#include "base/fd.h"
#include "http/answer_counts.h"
#include "http/date_cache.h"
#include "http/memory_budget.h"
#include "http/message.h"
#include "http/parser.h"
#include "http/request_id.h"
#include "http/responder.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "net/socket.h"

namespace sc::http {

using Handler = std::function<void(Request, Responder)>;

class Connection;

struct ConnectionTimeouts {
  std::chrono::milliseconds request{10'000};  // from a request's first byte to its last -> 408
  std::chrono::milliseconds idle{60'000};     // between requests; closed without a word
  std::chrono::milliseconds write{10'000};    // for a client that takes nothing of its answer
  std::chrono::milliseconds linger{2'000};    // for a client to end after its last answer
  // For a client to read its answer, even when the memory budget is full.
  std::chrono::milliseconds give_way{1'000};
  // For the other host to say that it has what a body that goes on brought: else it is dead.
  std::chrono::milliseconds unacknowledged{30'000};
};

// What a server's connections share; outlives them.
struct Service {
  loop::Loop& loop;
  ParserLimits limits;
  ConnectionTimeouts timeouts;
  Handler handler;
  ErrorBody error_body;
  DateCache date;
  RequestIds ids;
  AnswerCounts answers;
  MemoryBudget memory;
  // Frees memory that other clients' answers hold, for `more` bytes of this one. False: those that
  // hold it have not had the time yet to read their answers.
  std::function<bool(const Connection& asker, std::size_t more)> make_room;
  base::Callback<void(std::uint64_t id)> on_closed;  // destroys the connection
  // Who reads too slowly of a body that goes on is about to be dropped.
  base::Callback<void(const net::Address& peer)> on_slow_reader;
  bool leaving = false;  // every answer is its client's last one
};

// One client: reads its requests, gives them to the handler one at a time, writes the answers in
// order. The handler gets the head of a request, and asks for the body. Reads nothing while a
// request is handled or an answer is not taken, so what it holds is bounded; what comes while a
// body goes on is thrown away. The loop's thread only.
class Connection {
 public:
  Connection(Service& service, std::uint64_t id, net::Accepted accepted, bool is_trusted);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  bool is_trusted() const { return is_trusted_; }

  // With Service::leaving set: ends now unless a request has begun; a body that goes on ends in
  // good order. May destroy this.
  void leave();

  // Since when the server has waited for this client, in the loop's time: for a request, the rest
  // of one, its end, or for it to take its answer. Only a whole request counts, not a byte of one
  // now and then. Nothing while a request is handled whose client has not ended its side, while a
  // body that goes on has nothing to say, or where an answer has moved within kStalled.
  std::optional<std::chrono::milliseconds> waits_since() const;
  // Makes its place free: without a word if no request has begun, else with 408 if the kernel takes
  // it at once. Destroys this.
  void evict();
  // Since when the client has not read all that was answered, in the loop's time. nullopt: it holds
  // no memory of answers that could be freed now.
  std::optional<std::chrono::milliseconds> holds_answer_since() const;
  // Frees that memory; the connection is reset in the next turn.
  void give_up_answer();

  static constexpr std::chrono::milliseconds kStalled{5000};

 private:
  friend class Responder;
  friend class BodyWriter;

  enum class Phase : unsigned char {
    receiving,  // waits for a request, or for the rest of one
    handling,   // the handler has it
    body,       // the handler waits for the rest of it
    streaming,  // a body goes on
    dropped,    // nobody takes that body any more; closed in the next turn
    lingering,  // the last answer is out; waits for the client to end
  };
  // What timer_ is for.
  enum class Wait : unsigned char { nothing, idle, request, write, linger, drop };

  // Each of these may destroy this.
  void on_ready(loop::Ready ready);
  void on_due();
  void receive();
  void advance();
  void read_body(base::Callback<void(std::string)> on_body);
  void answer(const Response& response);
  void answer_error(int status, std::string detail);
  void end_body();
  void close();

  void start_body(const Response& head);
  // False: the client does not take it, and is dropped in the next turn.
  bool write_body(std::string_view part);
  void drop(bool is_slow);
  std::size_t waiting() const { return out_.size() - sent_; }

  void take_requests();
  void dispatch();
  void call_handler(const std::function<void()>& call);
  bool grow_body();
  void finish_body();
  void skip_body();
  void append(const Response& response, Framing framing = Framing::length);
  void refuse(int status, std::string detail);
  bool flush();
  void start_lingering();
  void update();
  void update_memory();
  bool has_room(std::size_t more) const;
  bool is_sending() const { return sent_ < out_.size(); }
  bool is_receiving() const { return phase_ == Phase::receiving || phase_ == Phase::body; }
  // What was read and left for later turns.
  bool has_more() const { return is_receiving() && !last_answer_ && !in_.empty(); }
  bool is_idle() const;

  Service& service_;
  const std::uint64_t id_;
  base::Fd fd_;
  const net::Address peer_;
  const bool is_trusted_;
  std::optional<net::PeerCredentials> credentials_;

  Phase phase_ = Phase::receiving;
  bool last_answer_ = false;  // nothing is read as a request any more
  bool dispatching_ = false;  // inside the handler: answers wait for advance()
  Parser parser_;
  std::string in_;  // read, not parsed from parsed_ on; at most kReadSize
  std::size_t parsed_ = 0;
  std::string out_;  // answers, not sent from sent_ on
  std::size_t sent_ = 0;
  std::chrono::milliseconds holds_since_{};  // when out_ began to hold what was not sent at once
  std::size_t body_memory_ = 0;              // reserved for the body that is read
  std::size_t memory_ = 0;                   // of the budget: that, and out_
  std::size_t discarded_ = 0;                // bytes read while lingering or streaming
  std::chrono::milliseconds
      moved_at_;  // when it came, its request began, or its answer was made or went out

  // Of the request that is handled.
  std::shared_ptr<Exchange> exchange_;
  std::string request_id_;
  bool unread_body_ = false;  // it has a body that nobody has asked for yet
  bool keep_alive_ = true;
  bool is_head_ = false;
  int minor_version_ = 1;
  Framing framing_ = Framing::length;  // of a body that goes on

  Wait wait_ = Wait::nothing;
  bool reading_ = false;  // poll_'s mask
  loop::Timer timer_;
  loop::Poll poll_;
};

}  // namespace sc::http
