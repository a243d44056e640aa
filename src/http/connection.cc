#include "http/connection.h"

#include <sys/socket.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <exception>
#include <utility>

#include "base/log.h"

namespace sc::http {
namespace {

// Read at once, so also the most that can wait unparsed.
constexpr std::size_t kReadSize = 16 * 1024;
// No further request is taken while this much of the answers before it waits to be sent, nor in a
// turn of the loop that has made so much: 16 KiB can hold hundreds of requests for long answers,
// and whoever takes them fast would have the thread for a second.
constexpr std::size_t kPendingAnswers = 64 * 1024;
// What a client may still send after its last answer, before it is cut off: a body somewhat above
// the limit comes to its end, so that the client reads its 413 instead of a reset. The same beside
// an answer that goes on.
constexpr std::size_t kLingerBytes = 4 * 1024 * 1024;
// Of a body that goes on, what is written in one turn goes out together; more than this at once, so
// that a large part is not taken for a slow client.
constexpr std::size_t kSendAtOnce = 64 * 1024;

// An answer up to this size is written although the memory budget is full: an error has to be.
constexpr std::size_t kSmallAnswer = 16 * 1024;
// More than this is not kept for the next answer of the same connection.
constexpr std::size_t kKeptBuffer = 64 * 1024;
constexpr const char* kNoMemory =
    "the requests and answers of the API take all the memory that they may; try again";

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(Service& service, std::uint64_t id, net::Accepted accepted, bool is_trusted)
    : service_(service),
      id_(id),
      fd_(std::move(accepted.fd)),
      peer_(accepted.peer),
      is_trusted_(is_trusted),
      parser_(service.limits, true),
      moved_at_(service.loop.now()),
      timer_(service.loop, [this] { on_due(); }),
      poll_(service.loop, fd_.get(), [this](loop::Ready ready) { on_ready(ready); }) {
  if (peer_.is_unix()) {
    if (auto credentials = net::peer_credentials(fd_.get())) credentials_ = *credentials;
  } else {
    net::set_nodelay(fd_.get());  // a listener that systemd made does not pass it on
  }
  update();
}

Connection::~Connection() {
  service_.memory.change(is_trusted_, memory_, 0);
  const auto exchange = std::move(exchange_);
  if (exchange == nullptr) return;
  exchange->connection = nullptr;
  if (exchange->events.on_closed) exchange->events.on_closed();
}

void Connection::on_ready(loop::Ready ready) {
  if (ready.write && (is_sending() || has_more())) {
    advance();
  } else if (ready.read && phase_ == Phase::handling) {
    if (net::peer_end(fd_.get()) == net::PeerEnd::gone) {
      close();
      return;
    }
    // The client has sent more, or sends no more and waits for its answer: looked at once this
    // request is answered.
    reading_ = false;
    poll_.watch(reading_, is_sending());
  } else if (ready.read) {
    receive();
  }
}

void Connection::on_due() {
  const Wait due = std::exchange(wait_, Wait::nothing);
  if (due == Wait::request) {
    refuse(408, "the request did not come to its end in time");
    advance();
    return;
  }
  if (due == Wait::write && phase_ == Phase::streaming) service_.on_slow_reader(peer_);
  // What it did not take is dropped: the kernel would keep it for as long as it is not
  // acknowledged.
  if (due == Wait::write || due == Wait::drop) net::reset_on_close(fd_.get());
  close();
}

void Connection::receive() {
  std::array<char, kReadSize> buffer;
  const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (got == 0 && is_receiving() && parser_.state() != Parser::State::idle) {
    refuse(400, "the connection ended before the request did");
    advance();
    return;
  }
  if (got <= 0) {
    close();
    return;
  }
  const auto size = static_cast<std::size_t>(got);
  if (phase_ == Phase::lingering || phase_ == Phase::streaming) {
    discarded_ += size;
    if (discarded_ > kLingerBytes) close();
    return;
  }
  in_.assign(buffer.data(), size);
  parsed_ = 0;
  advance();
}

// Takes requests from what was read and sends what was answered, several pipelined answers in one
// system call.
void Connection::advance() {
  take_requests();
  const bool was_sending = is_sending();
  if (!flush()) {
    close();
    return;
  }
  if (service_.leaving && is_idle()) {
    close();
    return;
  }
  if (last_answer_ && !is_sending() && phase_ == Phase::receiving) start_lingering();
  update();
  if (phase_ != Phase::streaming || !was_sending || is_sending()) return;
  const auto exchange = exchange_;  // it may end the body, and this
  if (exchange->events.on_sent) exchange->events.on_sent();
}

void Connection::take_requests() {
  while (is_receiving() && !last_answer_ && out_.size() - sent_ < kPendingAnswers &&
         parsed_ < in_.size()) {
    if (parser_.state() == Parser::State::idle) moved_at_ = service_.loop.now();
    parsed_ += parser_.feed(std::string_view(in_).substr(parsed_));
    if (parser_.state() == Parser::State::failed) {
      refuse(parser_.error().status, parser_.error().detail);
    } else if (parser_.state() == Parser::State::complete && phase_ == Phase::body) {
      finish_body();
    } else if (parser_.state() == Parser::State::complete ||
               parser_.state() == Parser::State::stopped) {
      dispatch();
    } else if (phase_ == Phase::body && !grow_body()) {
      refuse(503, kNoMemory);
    }
  }
  if (parsed_ == in_.size()) {
    in_.clear();
    parsed_ = 0;
  }
}

void Connection::dispatch() {
  is_head_ = parser_.is_head_request();
  unread_body_ = parser_.state() == Parser::State::stopped;
  Request request = unread_body_ ? parser_.take_head() : parser_.take();
  request.id = service_.ids.of(request.headers);
  request.peer = peer_;
  request.credentials = credentials_;
  request_id_ = request.id;
  keep_alive_ = request.keep_alive;
  minor_version_ = request.minor_version;
  exchange_ = std::make_shared<Exchange>(Exchange{this});
  call_handler([&] { service_.handler(std::move(request), Responder(exchange_)); });
}

void Connection::call_handler(const std::function<void()>& call) {
  phase_ = Phase::handling;
  wait_ = Wait::nothing;  // whatever is waited for next is waited for anew
  dispatching_ = true;
  try {
    call();
  } catch (const std::exception& error) {  // its Responder has answered 500 by now
    base::log::error("a request's handler failed", {{"why", error.what()}});
  }
  dispatching_ = false;
}

// Reserves the memory of the whole body, so that a body that was begun can be finished. A chunked
// body is counted as it grows.
void Connection::read_body(base::Callback<void(std::string)> on_body) {
  assert(phase_ == Phase::handling && unread_body_);
  const std::size_t length = parser_.body_length().value_or(0);
  if (!has_room(length)) return answer_error(503, kNoMemory);
  unread_body_ = false;
  body_memory_ = length;
  update_memory();
  exchange_->on_body = std::move(on_body);
  phase_ = Phase::body;
  if (parser_.take_continue() && parsed_ == in_.size()) out_ += kContinue;
  if (!dispatching_) advance();
}

bool Connection::grow_body() {
  const std::size_t now = parser_.body_memory();
  if (now <= body_memory_) return true;
  if (!has_room(now - body_memory_)) return false;
  body_memory_ = now;
  update_memory();
  return true;
}

void Connection::finish_body() {
  auto on_body = std::move(exchange_->on_body);
  call_handler([&] { on_body(parser_.take().body); });
  body_memory_ = 0;
  update_memory();
}

// For an answer that came before the body was asked for. A body that has arrived is skipped. Before
// any other, the connection ends: the client may send it or not (RFC 9110 section 10.1.1).
void Connection::skip_body() {
  if (!std::exchange(unread_body_, false)) return;
  if (!parser_.wants_continue()) {
    parsed_ += parser_.feed(std::string_view(in_).substr(parsed_));
    if (parser_.state() == Parser::State::complete) {
      parser_.take();
      return;
    }
  }
  last_answer_ = true;
}

void Connection::answer(const Response& response) {
  assert(phase_ == Phase::handling);
  skip_body();
  append(response);
  std::exchange(exchange_, nullptr)->connection = nullptr;
  phase_ = Phase::receiving;
  if (!dispatching_) advance();
}

void Connection::answer_error(int status, std::string detail) {
  answer(service_.error_body(status, std::move(detail)));
}

void Connection::append(const Response& response, Framing framing) {
  if (response.body.size() > kSmallAnswer && !is_head_ && !has_room(response.body.size()))
    return append(service_.error_body(503, kNoMemory), framing);
  service_.answers.count(exchange_ ? exchange_->route : RouteName{}, response.status);
  if (exchange_ != nullptr && exchange_->on_answer)
    std::exchange(exchange_->on_answer, {})(response);
  last_answer_ = last_answer_ || !keep_alive_ || response.close || service_.leaving;
  moved_at_ = service_.loop.now();
  if (!is_sending()) holds_since_ = moved_at_;
  append_answer(
      out_, response,
      {service_.date.now(), request_id_, minor_version_, last_answer_, is_head_, framing});
  update_memory();
}

// The client's last answer: nobody knows how long a request behind it would have to wait.
void Connection::start_body(const Response& head) {
  assert(phase_ == Phase::handling);
  framing_ = minor_version_ == 0 ? Framing::until_close : Framing::chunked;
  last_answer_ = true;
  unread_body_ = false;
  append(head, framing_);
  discarded_ = in_.size() - parsed_;
  in_.clear();
  parsed_ = 0;
  phase_ = Phase::streaming;
  if (!peer_.is_unix()) net::set_user_timeout(fd_.get(), service_.timeouts.unacknowledged);
  if (is_head_ || service_.leaving) return end_body();
  if (!dispatching_) update();
}

bool Connection::write_body(std::string_view part) {
  assert(phase_ == Phase::streaming);
  const auto send_much = [this] { return waiting() <= kSendAtOnce || flush(); };
  const bool is_there = send_much();
  const bool is_slow = is_there && (waiting() > BodyWriter::kMostWaiting ||
                                    (is_sending() && !has_room(part.size())));
  if (is_there && !is_slow) {
    if (!is_sending()) holds_since_ = moved_at_ = service_.loop.now();
    out_.erase(0, std::exchange(sent_, 0));  // of somebody who never takes all it would pile up
    append_part(out_, part, framing_);
    update_memory();
    if (send_much()) {
      if (!dispatching_) update();
      return true;
    }
  }
  drop(is_slow);
  return false;
}

// Later, as the one who writes may be going through all those that it writes to.
void Connection::drop(bool is_slow) {
  if (is_slow) service_.on_slow_reader(peer_);
  if (exchange_ != nullptr) exchange_->connection = nullptr;
  phase_ = Phase::dropped;
  poll_.watch(false, false);
  wait_ = Wait::drop;
  timer_.start(std::chrono::milliseconds{0});
}

void Connection::end_body() {
  assert(phase_ == Phase::streaming);
  std::exchange(exchange_, nullptr)->connection = nullptr;
  if (!is_head_) append_last_part(out_, framing_);
  phase_ = Phase::receiving;
  if (!dispatching_) advance();
}

// Answers what never became a request, and ends.
void Connection::refuse(int status, std::string detail) {
  last_answer_ = true;
  if (phase_ != Phase::body) {  // else all of it is known of the head
    request_id_ = service_.ids.of(parser_.headers());
    minor_version_ = 1;
    is_head_ = parser_.is_head_request();
  }
  append(service_.error_body(status, std::move(detail)));
  if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->connection = nullptr;
  phase_ = Phase::receiving;
  body_memory_ = 0;
  update_memory();
}

// False when the client cannot be written to any more.
bool Connection::flush() {
  while (is_sending()) {
    const std::size_t size = out_.size() - sent_;
    const ssize_t sent = ::send(fd_.get(), out_.data() + sent_, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (sent < 0) return false;
    sent_ += static_cast<std::size_t>(sent);
    moved_at_ = service_.loop.now();
    if (is_sending())
      wait_ = Wait::nothing;  // it does take something: the write's time starts anew
  }
  out_.clear();
  if (out_.capacity() > kKeptBuffer) std::string().swap(out_);  // an assignment keeps the memory
  sent_ = 0;
  update_memory();
  return true;
}

void Connection::update_memory() {
  const std::size_t now = out_.size() + body_memory_;
  service_.memory.change(is_trusted_, std::exchange(memory_, now), now);
}

bool Connection::has_room(std::size_t more) const {
  return service_.memory.has_room(is_trusted_, more) || service_.make_room(*this, more);
}

// RFC 9112 section 9.6: closing with bytes unread would reset the connection, and the reset may
// overtake the answer.
void Connection::start_lingering() {
  phase_ = Phase::lingering;
  in_.clear();
  parsed_ = 0;
  ::shutdown(fd_.get(), SHUT_WR);
}

// The one place that decides what is waited for, and for how long.
void Connection::update() {
  if (phase_ == Phase::dropped) return;
  // Who has more goes on as soon as it is writable: in the next turn, behind the others.
  const bool writing = is_sending() || has_more();
  // While a request is handled the read watch stays as it was: most answers come before the client
  // sends more, and each change costs two system calls.
  if (phase_ == Phase::streaming) {
    reading_ = true;  // its end is to be seen at once
  } else if (writing || phase_ != Phase::handling) {
    reading_ = !writing;
  }
  poll_.watch(reading_, writing);

  Wait wait = Wait::nothing;
  std::chrono::milliseconds delay{};
  if (writing) {
    wait = Wait::write;
    delay = service_.timeouts.write;
  } else if (phase_ == Phase::lingering) {
    wait = Wait::linger;
    delay = service_.timeouts.linger;
  } else if (is_receiving() && parser_.state() != Parser::State::idle) {
    wait = Wait::request;
    delay = service_.timeouts.request;
  } else if (phase_ == Phase::receiving) {
    wait = Wait::idle;
    delay = service_.timeouts.idle;
  }
  if (wait == Wait::nothing) {
    timer_.stop();
  } else if (wait != wait_) {
    timer_.start(delay);
  }
  wait_ = wait;
}

bool Connection::is_idle() const {
  return phase_ == Phase::receiving && !last_answer_ && in_.empty() && !is_sending() &&
         parser_.state() == Parser::State::idle;
}

void Connection::leave() {
  if (phase_ == Phase::streaming) {
    const auto exchange = exchange_;
    end_body();
    if (exchange->events.on_closed) exchange->events.on_closed();
    return;
  }
  if (!is_idle()) return;
  // A request that lies in the socket already is answered, as the client's last one.
  std::array<char, 1> peeked;
  if (::recv(fd_.get(), peeked.data(), peeked.size(), MSG_PEEK) > 0) {
    receive();
  } else {
    close();
  }
}

std::optional<std::chrono::milliseconds> Connection::waits_since() const {
  if (phase_ == Phase::dropped) return std::nullopt;
  // A client that has ended its side may have gone. It gets its answer unless its place is needed.
  if (phase_ == Phase::handling && net::peer_end(fd_.get()) == net::PeerEnd::none)
    return std::nullopt;
  const bool writing = is_sending() || has_more();
  if (phase_ == Phase::streaming && !writing) return std::nullopt;
  if (writing && service_.loop.now() - moved_at_ < kStalled) return std::nullopt;
  return moved_at_;
}

void Connection::evict() {
  if (is_receiving() && !last_answer_ && !is_sending() && parser_.state() != Parser::State::idle) {
    refuse(408, "others waited for a place while the request did not come to its end");
    flush();
  }
  if (phase_ == Phase::streaming) net::reset_on_close(fd_.get());
  close();
}

std::optional<std::chrono::milliseconds> Connection::holds_answer_since() const {
  if (dispatching_ || phase_ == Phase::dropped || !is_sending() || out_.size() < kSmallAnswer)
    return std::nullopt;
  return holds_since_;
}

void Connection::give_up_answer() {
  net::reset_on_close(fd_.get());
  std::string().swap(out_);
  sent_ = 0;
  body_memory_ = 0;
  update_memory();
  drop(true);
}

void Connection::close() { service_.on_closed(id_); }

}  // namespace sc::http
