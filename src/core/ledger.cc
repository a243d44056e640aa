#include "core/ledger.h"

#include <random>
#include <utility>

#include "base/log.h"

namespace sc::core {

namespace {

// When the store did not take a removal.
constexpr std::chrono::seconds kExpireAgain{10};

// A clock that is only slewed moves by less (adjtimex(2): 0.5 ms a second at most).
constexpr std::chrono::seconds kClockStep{2};

// What the host's clock will show at that moment, unless it is set.
base::WallTime as_date(const base::Moment& now, base::Instant at) {
  return now.wall + std::chrono::ceil<std::chrono::milliseconds>(at - now.steady);
}

std::uint64_t random_number() {
  std::random_device random;
  return std::uint64_t{random()} << 32U | random();
}

}  // namespace

Actor service_actor() { return {"service", {}}; }

void log_change(std::string_view what, const Stream& stream, const Actor& actor) {
  const std::string port = std::to_string(stream.spec.port);
  const std::string backend = base::to_string(stream.spec.backend);
  if (actor.request_id.empty()) {
    base::log::info(what, {{"port", port}, {"backend", backend}, {"actor", actor.name}});
  } else {
    base::log::info(what, {{"port", port},
                           {"backend", backend},
                           {"actor", actor.name},
                           {"request_id", actor.request_id}});
  }
}

base::Error with_prefix(std::string prefix, base::Error error) {
  error.message = std::move(prefix) + error.message;
  return error;
}

bool Ledger::is_over(const StreamSpec& spec) const {
  if (spec.ends_after.at) return *spec.ends_after.at <= clock.steady();
  return spec.expires_at && *spec.expires_at <= clock.wall();
}

std::chrono::milliseconds Ledger::clock_ahead() const {
  const base::Moment now = clock.now();
  return now.wall.time_since_epoch() -
         std::chrono::floor<std::chrono::milliseconds>(now.steady.time_since_epoch());
}

std::optional<base::WallTime> Ledger::moved_end(const StreamSpec& spec) const {
  if (!spec.ends_after.at || !spec.expires_at || is_over(spec)) return std::nullopt;
  const base::WallTime at = as_date(clock.now(), *spec.ends_after.at);
  return std::chrono::abs(at - *spec.expires_at) > kClockStep ? std::optional(at) : std::nullopt;
}

std::vector<std::uint16_t> Ledger::take_moved() {
  const std::chrono::milliseconds ahead = clock_ahead();
  if (clock_ahead_ && std::chrono::abs(ahead - *clock_ahead_) <= kClockStep) return {};
  clock_ahead_ = ahead;
  std::vector<std::uint16_t> moved;
  for (const auto& [port, stream] : streams_)
    if (moved_end(stream.spec)) moved.push_back(port);
  return moved;
}

Ledger::Ledger(ConductorOptions given_options, StreamStore& given_store, DataPlane& given_plane,
               const base::Clock& given_clock)
    : options(std::move(given_options)),
      store(given_store),
      plane(given_plane),
      clock(given_clock),
      process_(random_number()) {}

const Stream* Ledger::find(std::uint16_t port) const {
  const auto known = streams_.find(port);
  return known == streams_.end() ? nullptr : &known->second;
}

void Ledger::keep(Stream stream) {
  const std::uint16_t port = stream.spec.port;
  const std::optional<base::WallTime> date = stream.spec.expires_at;
  SteadyEnd& ends = stream.spec.ends_after;
  // A change of other fields, or a row that was read again, knows the date alone.
  const Stream* before = find(port);
  if (!ends.at && before != nullptr && before->spec.expires_at == date)
    ends = before->spec.ends_after;
  if (!date) ends.at.reset();
  expiries_.set(port, ends.at ? std::nullopt : date);
  ttls_.set(port, ends.at);
  if (leaving_.erase(port) > 0 || before == nullptr || *before != stream) ++changes_;
  if (stream.state != StreamState::failed) {
    retries_.forget(port);
  } else if (!retries_.has(port)) {
    retries_.failed(port, clock.steady());
  }
  streams_.insert_or_assign(port, std::move(stream));
}

void Ledger::let_go(std::uint16_t port) {
  const auto known = streams_.find(port);
  if (known == streams_.end()) return;
  Stream gone = std::move(known->second);
  streams_.erase(known);
  expiries_.set(port, std::nullopt);
  ttls_.set(port, std::nullopt);
  retries_.forget(port);
  unreadable.erase(port);  // its row has gone with it
  plane.forget(port);
  gone.state = StreamState::draining;
  gone.reason.clear();
  leaving_.insert_or_assign(port, std::move(gone));
  ++changes_;
}

base::Error Ledger::ending() const {
  return {base::Errc::unavailable,
          draining ? "the service is draining: it takes no changes until it is started again"
                   : "the service is stopping"};
}

std::optional<StreamView> Ledger::view(std::uint16_t port) {
  const Traffic traffic = plane.traffic(port);
  if (const Stream* stream = find(port)) {
    StreamView view{*stream, traffic};
    view.stream.state = shown_state(*stream, traffic.sessions_active);
    return view;
  }
  const auto known = leaving_.find(port);
  if (known == leaving_.end()) return std::nullopt;
  // While a use case is at the port, its listener may be closing still.
  if (traffic.sessions_active > 0 || queue.is_busy(port)) return StreamView{known->second, traffic};
  leaving_.erase(known);
  ++changes_;
  return std::nullopt;
}

StreamState Ledger::shown_state(const Stream& stream, std::uint64_t sessions_active) const {
  const bool is_closed = (stream.state == StreamState::disabled && sessions_active > 0) ||
                         (stream.state == StreamState::listening && draining);
  return is_closed ? StreamState::draining : stream.state;
}

// Removed streams whose last session has ended are no longer shown.
void Ledger::forget_ended() {
  for (auto each = leaving_.begin(); each != leaving_.end();) view((each++)->first);
}

StreamSummary Ledger::summary() {
  StreamSummary summary;
  for (const auto& [port, stream] : streams_) {
    // Only a disabled stream looks otherwise because of its sessions.
    const bool counts = stream.state == StreamState::disabled;
    const StreamState state = shown_state(stream, counts ? plane.traffic(port).sessions_active : 0);
    ++summary.counts[state];
    if (state != StreamState::failed && stream.reason.empty()) continue;
    summary.degraded.push_back(stream);
    summary.degraded.back().state = state;
  }
  forget_ended();
  summary.counts[StreamState::draining] += leaving_.size();
  return summary;
}

std::string Ledger::version() {
  forget_ended();
  return std::to_string(process_) + (draining ? " draining " : " ") + std::to_string(changes_);
}

std::vector<StreamView> Ledger::views_from(std::uint16_t port, std::size_t most) {
  std::vector<StreamView> out;
  auto stream = streams_.lower_bound(port);
  auto leaving = leaving_.lower_bound(port);
  while (out.size() < most && (stream != streams_.end() || leaving != leaving_.end())) {
    const bool is_leaving =
        stream == streams_.end() || (leaving != leaving_.end() && leaving->first < stream->first);
    const std::uint16_t next = is_leaving ? (leaving++)->first : (stream++)->first;
    if (auto shown = view(next)) out.push_back(std::move(*shown));  // may forget one that leaves
  }
  return out;
}

void Ledger::open(Stream& stream) {
  const bool was_failed = stream.state == StreamState::failed;
  if (auto listener = plane.prepare(stream.spec)) {
    plane.activate(std::move(*listener), stream);
    stream.state = StreamState::listening;
    stream.reason.clear();
    retries_.forget(stream.spec.port);
  } else {
    if (!was_failed || stream.reason != listener.error().message)
      base::log::warning("stream cannot open, will be tried again",
                         {{"port", std::to_string(stream.spec.port)},
                          {"backend", base::to_string(stream.spec.backend)},
                          {"reason", listener.error().message}});
    stream.state = StreamState::failed;
    stream.reason = listener.error().message;
    retries_.failed(stream.spec.port, clock.steady());
  }
  if (was_failed != (stream.state == StreamState::failed)) stream.updated_at = clock.wall();
}

void Ledger::record(std::uint16_t port, std::vector<StoreWrite> writes) {
  store.record(std::move(writes));
  queue.leave(port);
}

// What existed before and after: `changed` sets both itself.
AppendEvent Ledger::event(EventAction action, const Stream& stream, const Actor& actor) const {
  Event event;
  event.at = clock.wall();
  event.action = action;
  event.port = stream.spec.port;
  event.actor = actor;
  if (action != EventAction::created) event.backend_before = base::to_string(stream.spec.backend);
  if (!is_end(action)) {
    event.backend_after = base::to_string(stream.spec.backend);
    event.spec = stream.spec;
    event.revision = stream.revision;
  }
  if (action == EventAction::failed) event.detail = stream.reason;
  return {std::move(event)};
}

void Ledger::set_on_retry_at(OnRetryAt on_retry_at) {
  on_retry_at_ = std::move(on_retry_at);
  tell_retry_at();
}

void Ledger::tell_retry_at() {
  if (on_retry_at_) on_retry_at_(retries_.next());
}

void Ledger::set_on_expiry_at(OnExpiryAt on_expiry_at) {
  on_expiry_at_ = std::move(on_expiry_at);
  expiry_told_.reset();
  tell_expiry_at();
}

std::vector<std::uint16_t> Ledger::take_expired() {
  std::vector<std::uint16_t> ports = expiries_.due(clock.wall());
  const std::vector<std::uint16_t> passed = ttls_.due(clock.steady());
  ports.insert(ports.end(), passed.begin(), passed.end());
  for (const std::uint16_t port : ports) {
    expiries_.set(port, std::nullopt);
    ttls_.set(port, std::nullopt);
  }
  expiry_told_.reset();  // whoever waited has come
  return ports;
}

void Ledger::expire_later(std::uint16_t port) {
  ttls_.set(port, clock.steady() + kExpireAgain);
  tell_expiry_at();
}

void Ledger::tell_expiry_at() {
  std::optional<base::WallTime> next = expiries_.next();
  if (const auto passed = ttls_.next()) {
    const base::WallTime at = as_date(clock.now(), *passed);
    if (!next || at < *next) next = at;
  }
  if (!on_expiry_at_ || (expiry_told_ && next == *expiry_told_)) return;
  expiry_told_ = next;
  on_expiry_at_(next);
}

}  // namespace sc::core
