#include "net/dialer.h"

#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <optional>
#include <utility>

#include "net/lost_way.h"
#include "net/source_ports.h"

namespace sc::net {
namespace {

DialFailure to_failure(const NameAnswer& answer) {
  if (answer.failure == NameAnswer::Failure::no_way) return DialFailure::host;
  return answer.failure == NameAnswer::Failure::exhausted ? DialFailure::exhausted
                                                          : DialFailure::unresolved;
}

// May the kernel pick this port as a source? Read once: net.ipv4.ip_local_port_range is set at
// boot, if ever. Without an answer: yes, which costs a getsockname(2) and no more.
bool is_ephemeral(std::uint16_t port) {
  static const SourcePorts range = source_ports().value_or(SourcePorts{0, 65535});
  return port >= range.first && port <= range.last;
}

DialFailure to_failure(ErrorStep step, int error, const Address& address) {
  switch (blame_of(step, error)) {
    case Blame::peer:
      return DialFailure::refused;
    case Blame::way:
      return DialFailure::host;
    case Blame::lack:
      // The kernel has one errno for two causes.
      return error != EADDRNOTAVAIL || has_source_address(address) ? DialFailure::exhausted
                                                                   : DialFailure::host;
    case Blame::service:
      break;
  }
  return DialFailure::internal;
}

// Which failure counts when the addresses of a backend failed in different ways.
int weight_of(DialFailure failure) {
  switch (failure) {
    case DialFailure::internal:
    case DialFailure::exhausted:
      return 3;  // it says nothing of the backend
    case DialFailure::loop:
    case DialFailure::denied:
      return 2;
    case DialFailure::refused:
    case DialFailure::timeout:
    case DialFailure::unresolved:
      return 1;  // the backend is there, and nobody listens
    case DialFailure::host:
      break;  // a host without IPv6 has no way to a name's IPv6 addresses
  }
  return 0;
}

}  // namespace

struct Dialer::Attempt {
  // By the dialer's own socket, or by one that it was given.
  Attempt(loop::Loop& loop, base::Fd own, int given, OwnPaths::Announced announced, Use budgeted,
          const Address& to, base::Instant start,
          base::Callback<void(Attempt&, loop::Ready)> on_writable)
      : address(to),
        use(std::move(budgeted)),
        fd(std::move(own)),
        path(std::move(announced)),
        socket(fd ? fd.get() : given),
        started(start),
        poll(std::make_unique<loop::Poll>(
            loop, socket, [this, done = std::move(on_writable)](loop::Ready ready) mutable {
              done(*this, ready);
            })) {
    poll->watch(false, true);
  }

  Address address;
  Use use;  // dies after the descriptor
  base::Fd fd;
  OwnPaths::Announced path;  // dies before the descriptor
  int socket;
  base::Instant started;
  std::unique_ptr<loop::Poll> poll;
};

std::vector<Address> interleave_families(const std::vector<Address>& addresses) {
  if (addresses.empty()) return {};
  std::vector<Address> first;
  std::vector<Address> second;
  for (const Address& address : addresses)
    (address.family() == addresses.front().family() ? first : second).push_back(address);
  std::vector<Address> out;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) out.push_back(first[i]);
    if (i < second.size()) out.push_back(second[i]);
  }
  return out;
}

Dialer::Dialer(loop::Loop& loop, base::HostPort target, DialOptions options, OnDone on_done,
               base::Fd socket)
    : loop_(loop),
      target_(std::move(target)),
      options_(std::move(options)),
      on_done_(std::move(on_done)),
      given_(std::move(socket)),
      attempt_due_(loop, [this] { on_attempt_due(); }),
      deadline_(loop, [this] { on_deadline(); }) {
  if (base::is_ip_literal(target_.host)) {
    start_with_literal();
  } else {
    assert(!given_ && options_.resolver != nullptr);
    start_lookup();
  }
}

Dialer::~Dialer() {
  attempts_.clear();  // whose polls go before their descriptors
  if (given_) end_connection(given_.get());
}

// A zone that is no interface of this host now (RFC 4007 section 11) is all that can be wrong.
void Dialer::start_with_literal() {
  deadline_.start(options_.timeout);
  if (auto literal = Address::parse_ip(target_.host, target_.port)) {
    addresses_.push_back(*literal);
    start_next();
    return;
  }
  note_failure(DialFailure::host,
               "this host has no interface " + target_.host.substr(target_.host.find('%') + 1),
               ENODEV);
  attempt_due_.start(std::chrono::milliseconds{0});  // reported a turn later
}

void Dialer::start_lookup() {
  if (!options_.name) options_.name = options_.resolver->resolver().name(target_.host);
  trace_.is_resolving = true;
  if (const auto answer = options_.resolver->find(*options_.name)) {
    if (answer->failure == NameAnswer::Failure::none) return on_answer(*answer);
    trace_.resolved_at = std::chrono::steady_clock::now();
    note_failure(to_failure(*answer), answer->message, answer->error);
    attempt_due_.start(std::chrono::milliseconds{0});  // reported a turn later
    return;
  }
  // The resolver keeps to its limit by itself, unless its thread stands still.
  deadline_.start(options_.resolver->resolver().options().timeout + kResolverSlack);
  lookup_.emplace(*options_.resolver, options_.name,
                  [this](const std::shared_ptr<const NameAnswer>& answer) { on_answer(*answer); });
}

void Dialer::on_answer(const NameAnswer& answer) {
  trace_.resolved_at = std::chrono::steady_clock::now();
  if (answer.failure != NameAnswer::Failure::none)
    return fail(to_failure(answer), answer.message, answer.error);
  addresses_ = interleave_families(answer.addresses);
  for (Address& address : addresses_) address.set_port(target_.port);
  trace_.is_resolving = false;
  deadline_.start(options_.timeout);
  start_next();
}

void Dialer::on_deadline() {
  if (trace_.is_resolving) {
    // A pause of the whole process stops the resolver's thread too. It answers soon after.
    if (!std::exchange(is_overdue_, true)) return deadline_.start(kResolverGrace);
    fail(DialFailure::internal, "the resolver's thread does not answer", 0);
    return;
  }
  if (note_lost_ways()) return fail(*kind_, why_, error_);
  fail(DialFailure::timeout,
       "no answer within " + base::format_duration(options_.timeout) +
           (last_failure_.empty() ? "" : "; " + last_failure_),
       0);
}

// Whether no attempt under way can be answered, as this host has no way to its address any more.
bool Dialer::note_lost_ways() {
  std::vector<LostWay> lost;
  for (const auto& attempt : attempts_) {
    auto way = lost_way(local_address(attempt->socket), attempt->address);
    if (!way) return false;
    lost.push_back(std::move(*way));
  }
  if (lost.empty()) return false;
  for (std::size_t i = 0; i < lost.size(); ++i) {
    note_ring(*attempts_[i]);
    note_failure(DialFailure::host, std::move(lost[i].why), lost[i].error);
    note(attempts_[i]->address, DialTry::Result::failed, lost[i].error, attempts_[i]->started);
  }
  attempts_.clear();
  return true;
}

// Starts attempts until one is under way; one that fails at once (no route to that family, say)
// makes room for the next. When none is left and none is under way, the failure is told a turn
// later: never from inside the constructor.
void Dialer::start_next() {
  while (next_ < addresses_.size()) {
    Use use;
    if (!attempts_.empty() && options_.budget != nullptr) {
      if (!options_.budget->take_attempt()) return attempt_due_.start(kAttemptDelay);
      use.reset(options_.budget);
    }
    const Address& address = addresses_[next_++];
    const base::Instant start = std::chrono::steady_clock::now();
    if (is_denied(address)) {
      note_failure(DialFailure::denied,
                   address.to_string() + ": this is where the service itself is controlled", 0);
      note(address, DialTry::Result::denied, 0, start);
      continue;
    }
    if (options_.paths != nullptr) {
      if (auto ring = options_.paths->ring(options_.origin, address)) {
        note_failure(DialFailure::loop, std::move(*ring), 0);
        note(address, DialTry::Result::loop, 0, start);
        continue;
      }
    }
    base::Fd own;
    OwnPaths::Announced announced;
    if (const auto refused = connect(address, own, announced)) {
      note_error(refused->step, refused->number, address, start);
      continue;
    }
    try {
      attempts_.push_back(std::make_unique<Attempt>(
          loop_, std::move(own), given_.get(), std::move(announced), std::move(use), address, start,
          [this](Attempt& attempt, loop::Ready ready) { on_writable(attempt, ready); }));
    } catch (const loop::PollError& failure) {
      note_error(ErrorStep::poll, failure.number, address, start);
      continue;
    }
    if (next_ < addresses_.size()) attempt_due_.start(kAttemptDelay);
    return;
  }
  if (attempts_.empty()) attempt_due_.start(std::chrono::milliseconds{0});
}

std::optional<ConnectError> Dialer::connect(const Address& address, base::Fd& own,
                                            OwnPaths::Announced& announced) {
  std::optional<OwnPaths::Dialing> dialing;
  if (options_.paths != nullptr && options_.paths->may_be_own(address))
    dialing.emplace(*options_.paths, address);
  if (given_) {
    if (auto refused = start_connect(given_.get(), address)) return refused;
  } else {
    auto started = start_connect(address, options_.shares_port);
    if (!started) return started.error();
    own = std::move(*started);
  }
  if (dialing) announced = dialing->announce(options_.origin, given_ ? given_.get() : own.get());
  return std::nullopt;
}

bool Dialer::is_denied(const Address& address) const {
  const auto& ports = options_.denied_ports;
  if (std::find(ports.begin(), ports.end(), address.port()) == ports.end()) return false;
  if (options_.paths != nullptr) return options_.paths->is_local(address);
  return address.is_loopback() || address.is_wildcard();
}

void Dialer::on_attempt_due() {
  if (attempts_.empty() && next_ >= addresses_.size()) {
    fail(kind_.value_or(DialFailure::refused), why_, error_);
  } else {
    start_next();
  }
}

void Dialer::on_writable(Attempt& attempt, loop::Ready ready) {
  // A connect that failed is told as an error (tcp_poll in the kernel), so only then is it asked
  // for.
  int error = ready.broken ? take_error(attempt.socket) : 0;
  // On loopback the kernel may pick as source the very port it dials, if that is in
  // ip_local_port_range and nobody listens there. The socket is then connected to itself (RFC 9293
  // section 3.5, simultaneous open): the client would get its own bytes back, and the backend could
  // not bind its port.
  if (error == 0 && is_ephemeral(attempt.address.port()) &&
      local_address(attempt.socket) == attempt.address)
    error = ECONNREFUSED;
  if (error == 0) {
    attempt.poll->set_on_ready({});  // the next owner's to set
    if (options_.traces_all || !trace_.tried.empty() || attempts_.size() > 1)
      note(attempt.address, DialTry::Result::connected, 0, attempt.started);
    const bool by_given = !attempt.fd;
    Dialed dialed{std::move(by_given ? given_ : attempt.fd), attempt.address,
                  std::move(attempt.poll), by_given, std::move(attempt.path)};
    std::erase_if(attempts_, [&](const auto& held) { return held.get() == &attempt; });
    finish({std::move(dialed), {}, {}});
    return;
  }
  note_ring(attempt);
  auto lost = may_be_lost_way(error) ? lost_way({}, attempt.address) : std::nullopt;
  if (lost) {
    note_failure(DialFailure::host, std::move(lost->why), lost->error);
    note(attempt.address, DialTry::Result::failed, lost->error, attempt.started);
  } else {
    note_error(ErrorStep::answer, error, attempt.address, attempt.started);
  }
  std::erase_if(attempts_, [&](const auto& held) { return held.get() == &attempt; });
  if (next_ < addresses_.size()) {
    start_next();
  } else if (attempts_.empty()) {
    fail(kind_.value_or(DialFailure::refused), why_, error_);
  }
}

// Of many the winner is told in any case.
void Dialer::note(const Address& address, DialTry::Result result, int error,
                  base::Instant started) {
  if (trace_.tried.size() == DialTrace::kMost) {
    if (result != DialTry::Result::connected) return;
    trace_.tried.pop_back();
  }
  trace_.tried.push_back({PackedAddress(address), result, error, started,
                          std::chrono::duration_cast<std::chrono::microseconds>(
                              std::chrono::steady_clock::now() - started)});
}

void Dialer::note_failure(DialFailure kind, std::string why, int error) {
  last_failure_ = why;
  if (kind_ && weight_of(kind) < weight_of(*kind_)) return;
  // The message lists the further addresses after the first one that this host has no way to.
  if (kind == DialFailure::host && kind_ == kind) return;
  if (kind != kind_ || error_ != ECONNREFUSED) error_ = error;
  kind_ = kind;
  why_ = std::move(why);
}

void Dialer::note_error(ErrorStep step, int error, const Address& address, base::Instant started) {
  const std::string remedy = remedy_of(step, error, address);
  const std::string_view call = step == ErrorStep::socket ? ": socket"
                                : step == ErrorStep::poll ? ": epoll_ctl"
                                                          : "";
  std::string why = base::describe_errno(address.to_string().append(call), error);
  if (!remedy.empty()) why += "; " + remedy;
  note_failure(to_failure(step, error, address), std::move(why), error);
  note(address, DialTry::Result::failed, error, started);
}

void Dialer::note_ring(const Attempt& attempt) {
  const OwnDial* dial = attempt.path.dial();
  if (dial == nullptr) return;
  if (std::string ring = dial->ring(); !ring.empty()) ring_ = std::move(ring);
}

DialTrace Dialer::take_trace() {
  for (const auto& attempt : attempts_)
    note(attempt->address, DialTry::Result::abandoned, 0, attempt->started);
  DialTrace trace = std::exchange(trace_, {});
  std::stable_sort(
      trace.tried.begin(), trace.tried.end(),
      [](const DialTry& one, const DialTry& other) { return one.started < other.started; });
  return trace;
}

// The accepting end of a ring resets its connection, often before this loop sees the connect
// succeed. The ring is then the cause, whatever the reset or the other attempts look like.
void Dialer::fail(DialFailure failure, std::string why, int error) {
  for (const auto& attempt : attempts_) note_ring(*attempt);
  if (!ring_.empty()) {
    failure = DialFailure::loop;
    why = std::move(ring_);
    error = 0;
  }
  if (trace_.is_resolving) {
    std::string message = "cannot resolve " + target_.host + ": " + why;
    finish({std::nullopt, {failure, std::move(message), std::move(why), error}, {}});
    return;
  }
  const std::string backend = base::to_string(target_) + ": ";
  // Of an address that is no name, the cause begins with it.
  const bool is_of_host = failure == DialFailure::host || failure == DialFailure::exhausted;
  std::string message = (is_of_host ? "this host cannot dial backend " : "backend ") +
                        (why.starts_with(backend) ? why : backend + why);
  finish({std::nullopt, {failure, std::move(message), std::move(why), error}, {}});
}

void Dialer::finish(Outcome outcome) {
  auto done = std::move(on_done_);  // done may destroy this: touch nothing after
  outcome.trace = take_trace();
  attempts_.clear();
  attempt_due_.stop();
  deadline_.stop();
  lookup_.reset();
  done(std::move(outcome));
}

}  // namespace sc::net
