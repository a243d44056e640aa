#include "traffic/session.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/result.h"

namespace sc::traffic {
namespace {

constexpr std::size_t kBanner = 64;
constexpr std::uint64_t kBannerPosition = 12345;
constexpr std::uint64_t kMostAtOnce = 65536;  // bytes of one send(2)

std::vector<std::byte> banner_of(const bench::Pattern& pattern) {
  const auto bytes = pattern.view(kBannerPosition, kBanner);
  return {bytes.begin(), bytes.end()};
}

// The next bytes of a send: some number, so that segments and messages end anywhere.
std::uint64_t odd_size(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t value = (seed ^ position) * 0x9e3779b97f4a7c15U;
  value ^= value >> 29U;
  return 1 + value % kMostAtOnce;
}

}  // namespace

void World::turn(Clock::time_point until) {
  reactor.turn(alarms.first(until));
  alarms.ring(Clock::now());
}

Session::Session(World& world, base::Fd socket, const Plan& plan, std::function<void()> on_end)
    : world_(world),
      socket_(std::move(socket)),
      side_(Side::client),
      plan_(plan),
      on_end_(std::move(on_end)),
      begun_(Clock::now()),
      intro_out_(sizeof plan),
      send_pace_(plan.send_rate, begun_),
      receive_pace_(plan.client_receive_rate, begun_) {
  std::memcpy(intro_out_.data(), &plan, sizeof plan);
  if (plan.banner != 0) intro_in_.resize(kBanner);
  sending_.expect(true, begun_);
  watch(EPOLLOUT);
}

Session::Session(World& world, base::Fd socket, bool banner, std::function<void()> on_end)
    : world_(world),
      socket_(std::move(socket)),
      side_(Side::backend),
      on_end_(std::move(on_end)),
      begun_(Clock::now()),
      intro_in_(sizeof(Plan)),
      connected_(true) {
  if (banner) intro_out_ = banner_of(world.pattern);
  watch(banner ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

Session::~Session() {
  watch(0);
  sleep_until(std::nullopt);
}

void Session::release() {
  held_ = false;
  if (end_ == End::open) update(Clock::now());
}

void Session::on_ready(std::uint32_t events) { step(events); }

void Session::on_wake() {
  wakes_at_.reset();
  step(EPOLLIN | EPOLLOUT);
}

void Session::step(std::uint32_t events) {
  const auto now = Clock::now();
  constexpr std::uint32_t kBroken = EPOLLHUP | EPOLLERR;
  if (!connected_) {
    sending_.lap(now);  // an error comes out of the first send(2)
    connected_ = true;
  }
  if (wants_receive() && (events & (EPOLLIN | kBroken)) != 0) receive(now);
  if (end_ == End::open && wants_send()) send(now);
  if (end_ == End::open && may_end(plan_, side_, progress_) && has_plan() &&
      intro_sent_ == intro_out_.size())
    send_end();
  if (end_ == End::open && progress_.sent_end && progress_.received_end) finish(End::good);
  if (end_ == End::open) return update(now);
  if (on_end_) std::exchange(on_end_, nullptr)();  // may destroy this
}

std::uint64_t Session::send_limit() const {
  const std::uint64_t limit = may_send_to(plan_, side_, progress_);
  return held_ ? std::min(limit, plan_.message) : limit;
}

bool Session::wants_send() const {
  if (side_ == Side::client && intro_received_ < intro_in_.size()) return !connected_;
  if (intro_sent_ < intro_out_.size()) return true;
  return has_plan() && progress_.sent < send_limit();
}

void Session::receive(Clock::time_point now) {
  if (intro_received_ < intro_in_.size()) return receive_intro();
  const std::uint64_t left = bytes_to_receive(plan_, side_) - progress_.received;
  const auto room = bench::scratch();
  // Once all is there, what comes is the end, or a byte too many.
  const std::uint64_t most = left == 0 ? 1 : receive_pace_.allowed(progress_.received, now);
  if (most == 0) return;
  const auto count =
      ::recv(socket_.get(), room.data(), std::min<std::uint64_t>(most, room.size()), 0);
  if (count < 0) return errno == EAGAIN ? void() : fail_by_errno("recv");
  receiving_.lap(now);
  if (count > 0) return take(room.first(static_cast<std::size_t>(count)));
  if (left > 0) return fail(false, "the end came early");
  progress_.received_end = true;
}

void Session::receive_intro() {
  const auto rest = std::span(intro_in_).subspan(intro_received_);
  const auto count = ::recv(socket_.get(), rest.data(), rest.size(), 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    if (side_ == Side::backend && intro_received_ == 0) return finish(End::empty);
    return count < 0 ? fail_by_errno("recv") : fail(false, "the end came before the first bytes");
  }
  receiving_.lap(Clock::now());
  intro_received_ += static_cast<std::size_t>(count);
  if (intro_received_ < intro_in_.size()) return;
  if (side_ == Side::backend) return take_plan();
  if (intro_in_ != banner_of(world_.pattern)) fail(true, "wrong byte in the banner");
}

void Session::take_plan() {
  std::memcpy(&plan_, intro_in_.data(), sizeof plan_);
  if (plan_.magic != Plan::kMagic || plan_.mode > Mode::reply || plan_.message == 0) {
    plan_ = Plan{};
    return fail(true, "wrong byte in the client's plan");
  }
  const auto now = Clock::now();
  send_pace_ = Pace(plan_.send_rate, now);
  receive_pace_ = Pace(plan_.backend_receive_rate, now);
}

void Session::take(std::span<const std::byte> bytes) {
  const Side other = side_ == Side::client ? Side::backend : Side::client;
  const std::uint64_t left = bytes_to_receive(plan_, side_) - progress_.received;
  if (bytes.size() > left) return fail(true, "more came than was to come");
  const std::uint64_t first = first_position(plan_, other);
  if (const auto wrong = world_.pattern.find_wrong(first + progress_.received, bytes))
    return fail(true, "wrong byte at " + std::to_string(*wrong - first));
  progress_.received += bytes.size();
}

void Session::send(Clock::time_point now) {
  if (intro_sent_ < intro_out_.size()) return send_intro();
  const std::uint64_t most =
      std::min({send_limit() - progress_.sent, send_pace_.allowed(progress_.sent, now),
                odd_size(plan_.seed, progress_.sent)});
  if (most == 0) return;
  const auto count = world_.pattern.send(
      socket_.get(), first_position(plan_, side_) + progress_.sent, most, bench::SendMode::copy);
  if (count < 0) return errno == EAGAIN ? void() : fail_by_errno("send");
  progress_.sent += static_cast<std::uint64_t>(count);
  sending_.lap(now);
}

void Session::send_intro() {
  const auto rest = std::span(intro_out_).subspan(intro_sent_);
  const auto count = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN ? void() : fail_by_errno("send");
  intro_sent_ += static_cast<std::size_t>(count);
  sending_.lap(Clock::now());
}

void Session::send_end() {
  if (::shutdown(socket_.get(), SHUT_WR) != 0) return fail_by_errno("shutdown");
  progress_.sent_end = true;
}

void Session::fail_by_errno(const char* what) { fail(false, base::describe_errno(what, errno)); }

std::string Session::where() const {
  return std::string(side_ == Side::client ? "client" : "backend") + ", session " +
         std::to_string(plan_.seed) + ", sent " + std::to_string(progress_.sent) + " of " +
         std::to_string(bytes_to_send(plan_, side_)) + ", received " +
         std::to_string(progress_.received) + " of " +
         std::to_string(bytes_to_receive(plan_, side_)) + ": ";
}

void Session::fail(bool wrong, const std::string& why) {
  world_.outcome.add_bad({.wrong = wrong, .sentence = where() + why});
  const linger reset{.l_onoff = 1, .l_linger = 0};  // so that the other end hears of it
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  finish(End::bad);
}

void Session::finish(End end) {
  end_ = end;
  if (end == End::good) world_.outcome.add_good(plan_.up, plan_.down);
  if (end == End::empty) world_.outcome.add_empty();
  if (side_ == Side::client)
    world_.outcome.add_pause(std::max(sending_.longest(), receiving_.longest()));
  watch(0);
  sleep_until(std::nullopt);
  socket_.reset();
}

void Session::check_patience(Clock::duration patience, Clock::time_point now) {
  const auto sent = sending_.since(), received = receiving_.since();
  if (end_ != End::open || (!sent && !received)) return;
  if ((sent && now - *sent <= patience) || (received && now - *received <= patience)) return;
  const auto since = std::max(sent.value_or(begun_), received.value_or(begun_));
  const auto silence = std::chrono::duration_cast<std::chrono::seconds>(now - since);
  fail(false, "nothing moved for " + std::to_string(silence.count()) + " s");
  if (on_end_) std::exchange(on_end_, nullptr)();
}

// Derives from the state what to wait for: the socket, the pace, or nothing.
void Session::update(Clock::time_point now) {
  std::uint32_t events = 0;
  std::optional<Clock::time_point> wake;
  const bool is_intro_in = intro_received_ < intro_in_.size();
  bool receives = wants_receive();
  bool sends = wants_send();
  const bool all_received = !is_intro_in && progress_.received == bytes_to_receive(plan_, side_);
  if (receives && !is_intro_in && !all_received &&
      receive_pace_.allowed(progress_.received, now) == 0) {
    wake = receive_pace_.next(progress_.received);
    receives = false;
  }
  if (sends && intro_sent_ == intro_out_.size() && send_pace_.allowed(progress_.sent, now) == 0) {
    const auto at = send_pace_.next(progress_.sent);
    wake = wake ? std::min(*wake, at) : at;
    sends = false;
  }
  if (receives) events |= EPOLLIN;
  if (sends) events |= EPOLLOUT;
  const bool is_held = held_ && has_exchanged();
  sending_.expect(sends, now);
  receiving_.expect(receives && !is_held && (is_intro_in || is_owed(plan_, side_, progress_)), now);
  watch(events);
  sleep_until(wake);
}

// Without events it is out of epoll: a hang-up would be reported over and over.
void Session::watch(std::uint32_t events) {
  if (events == watched_) return;
  if (watched_ == 0)
    world_.reactor.add(socket_.get(), events, *this);
  else if (events == 0)
    world_.reactor.remove(socket_.get(), *this);
  else
    world_.reactor.change(socket_.get(), events, *this);
  watched_ = events;
}

void Session::sleep_until(std::optional<Clock::time_point> at) {
  if (at == wakes_at_) return;
  if (wakes_at_) world_.alarms.cancel(*wakes_at_, *this);
  wakes_at_ = at;
  if (at) world_.alarms.set(*at, *this);
}

}  // namespace sc::traffic
