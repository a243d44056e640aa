#include "relay/pump.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "base/direct_call.h"
#include "base/kill_point.h"
#include "net/socket.h"
#include "net/tcp_position.h"

namespace sc::relay {
namespace {

// Repeats a call that a signal interrupted: splice(2) answers EINTR even on non-blocking sockets.
template <class Call>
ssize_t retried(Call call) {
  while (true) {
    const auto result = static_cast<ssize_t>(call());
    if (result >= 0 || errno != EINTR) return result;
  }
}

ssize_t splice_some(int from, int to, std::size_t size) {
  assert(size > 0 && "splice of length 0 answers 0, which reads as the end");
  return retried([&] {
    return base::direct::splice(from, nullptr, to, nullptr, size,
                                SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  });
}

bool is_again(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Pump::~Pump() {
  if (pipe_) resources_.pipes->discard(std::move(*pipe_));
}

bool Pump::keep(std::uint64_t owner, handoff::SessionSlot& slot) {
  if (pipe_ && !pipe_->is_kept()) return false;
  if (left_in_source_) return false;
  if (pipe_) pipe_->claim(owner);
  owner_ = owner;
  ended_ = handoff::PipeOwner::direction(owner) == handoff::Direction::up ? &slot.up_ended
                                                                          : &slot.down_ended;
  broken_ = &slot.broken;
  if (state_ == State::finished) *ended_ = 1;
  if (state_ == State::failed) *broken_ = 1;
  return true;
}

void Pump::let_go() {
  if (pipe_) pipe_->claim(0);
  owner_ = 0;
  ended_ = broken_ = nullptr;
  source_told_ = nullptr;
  lacks_pipe_ = false;
  knows_positions_ = false;
  small_run_ = 0;
}

void Pump::resume(std::optional<handoff::KeptPipe> waiting,
                  const handoff::Shared<std::uint8_t>& told) {
  source_told_ = &told;
  if (!waiting) return;
  buffered_ = waiting->bytes;
  pipe_ = resources_.pipes->adopt(std::move(*waiting));
}

std::size_t Pump::step(int from, int to, bool ended) {
  taken_ = 0;
  left_in_source_ = false;
  bool more = !ended || owner_ == 0 || pipe_ || look_for_end(from, to);
  while (more && !is_over() && taken_ < kBytesPerStep) {
    if (pipe_) {
      more = drain_pipe(to);
    } else if (bulk_ || (owner_ != 0 && !knows_positions_)) {
      more = splice_in(from, to);
    } else if (owner_ != 0) {
      more = copy_kept(from, to);
    } else {
      more = copy(from, to);
    }
  }
  return taken_;
}

// A message that fits the buffer is the whole of what the source has: after it, wait for poll
// rather than ask once more for EAGAIN.
bool Pump::copy(int from, int to) {
  if (!resources_.pipes->has_spare()) return copy_without_pipe(from, to);
  const std::span<std::byte> buffer = resources_.buffer.first(kBuffer);
  const ssize_t got =
      retried([&] { return base::direct::recv(from, buffer.data(), buffer.size(), 0); });
  if (got <= 0) return on_no_read(got, from, to);
  const auto size = static_cast<std::size_t>(got);
  const ssize_t sent =
      retried([&] { return base::direct::send(to, buffer.data(), size, MSG_NOSIGNAL); });
  if (sent < 0 && !is_again(errno)) return on_no_write(errno);
  const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  taken_ += taken;
  bulk_ = size == kBuffer;
  if (taken == size) return bulk_;
  // The rest goes into the empty pipe that has_spare() promised; page for page it fits.
  pipe_ = resources_.pipes->take();
  pipe_->claim(owner_);
  const std::span<std::byte> rest = buffer.subspan(taken, size - taken);
  const ssize_t kept = retried([&] { return ::write(pipe_->fd.get(), rest.data(), rest.size()); });
  if (kept != static_cast<ssize_t>(rest.size())) {
    fail(Fault::sink, kept < 0 ? errno : ENOBUFS);  // bytes would be lost: better an open break
    return false;
  }
  buffered_ = rest.size();
  return false;  // the sink is full: wait until it takes more
}

// The host gives us no pipe: look at the bytes without taking them, and take from the source just
// what the sink took (recv(2): MSG_PEEK; tcp(7): MSG_TRUNC discards).
bool Pump::copy_without_pipe(int from, int to) {
  const std::span<std::byte> buffer = resources_.buffer.first(kBuffer);
  const ssize_t got =
      retried([&] { return base::direct::recv(from, buffer.data(), buffer.size(), MSG_PEEK); });
  if (got <= 0) return on_no_read(got, from, to);
  const auto size = static_cast<std::size_t>(got);
  const ssize_t sent =
      retried([&] { return base::direct::send(to, buffer.data(), size, MSG_NOSIGNAL); });
  if (sent < 0 && !is_again(errno)) return on_no_write(errno);
  if (sent > 0) {
    taken_ += static_cast<std::size_t>(sent);
    const auto take = static_cast<std::size_t>(sent);
    if (retried([&] { return base::direct::recv(from, nullptr, take, MSG_TRUNC); }) != sent) {
      fail(Fault::source, EIO);  // the kernel showed these bytes a moment ago
      return false;
    }
  }
  left_in_source_ = sent < got;
  return !left_in_source_ && size == kBuffer;
}

// As copy(), with what is in user space where the next process finds it. The pipe for the rest is
// there before anything is read, and no more is read than it takes.
bool Pump::copy_kept(int from, int to) {
  auto pipe = resources_.pipes->take_kept();
  if (!pipe) {
    lacks_pipe_ = true;
    return false;
  }
  static_assert(kBuffer <= sizeof(handoff::CopySlot::bytes));
  handoff::CopyPlace& place = *resources_.copies;
  const std::span<std::byte> bytes = place.bytes().first(std::min(kBuffer, pipe->capacity));
  place.begin(owner_, read_, written_);
  SC_KILL_POINT("copy_begun");
  const ssize_t got =
      retried([&] { return base::direct::recv(from, bytes.data(), bytes.size(), 0); });
  SC_KILL_POINT("copied_in");
  if (got <= 0) {
    const int error = errno;
    place.end();
    resources_.pipes->give_back(std::move(*pipe));
    errno = error;
    return on_no_read(got, from, to);
  }
  const auto size = static_cast<std::size_t>(got);
  place.note_read(size);
  SC_KILL_POINT("copy_noted");
  const ssize_t sent =
      retried([&] { return base::direct::send(to, bytes.data(), size, MSG_NOSIGNAL); });
  SC_KILL_POINT("copied_out");
  const int error = errno;
  const bool has_failed = sent < 0 && !is_again(error);
  const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  taken_ += taken;
  read_ += size;
  written_ += taken;
  bulk_ = size == bytes.size();
  if (has_failed || taken == size) {
    if (has_failed) fail(Fault::sink, error);  // before the end: what is missing is told there
    place.end();
    resources_.pipes->give_back(std::move(*pipe));
    return bulk_ && !has_failed;
  }
  const std::span<const std::byte> rest = bytes.subspan(taken, size - taken);
  pipe->claim(owner_);
  SC_KILL_POINT("rest_claimed");
  const ssize_t kept = retried([&] { return ::write(pipe->fd.get(), rest.data(), rest.size()); });
  SC_KILL_POINT("rest_written");
  pipe_ = std::move(pipe);
  if (kept != static_cast<ssize_t>(rest.size())) {
    fail(Fault::sink, kept < 0 ? errno : ENOBUFS);  // as in copy()
  } else {
    buffered_ = rest.size();
  }
  place.end();
  SC_KILL_POINT("copy_over");
  return false;
}

void Pump::note_small(int from, int to) {
  if (knows_positions_ || ++small_run_ < kSmallRun) return;
  small_run_ = 0;
  learn_positions(from, to);
}

// False: it cannot copy, as there is no place for it, or the kernel does not tell.
bool Pump::learn_positions(int from, int to) {
  if (knows_positions_ || resources_.copies == nullptr) return knows_positions_;
  const auto read = net::bytes_read(from);
  const auto written = net::bytes_written(to);
  if (!read || !written) return false;
  read_ = *read;
  written_ = *written;
  knows_positions_ = true;
  return true;
}

bool Pump::splice_in(int from, int to) {
  assert(!pipe_ && buffered_ == 0);
  auto pipe = owner_ != 0 ? resources_.pipes->take_kept() : resources_.pipes->take();
  if (owner_ != 0 && !pipe) {
    lacks_pipe_ = true;
    return false;
  }
  if (!pipe) {
    bulk_ = false;  // copying does without
    return true;
  }
  pipe->claim(owner_);
  SC_KILL_POINT("claimed");
  const ssize_t got = splice_some(from, pipe->fd.get(), pipe->capacity);
  SC_KILL_POINT("spliced_in");
  if (got <= 0) {
    const int error = errno;
    resources_.pipes->give_back(std::move(*pipe));
    errno = error;
    bulk_ = false;
    return got == 0 || is_again(error) ? splice_nothing(got, from, to) : on_no_read(got, from, to);
  }
  buffered_ = static_cast<std::size_t>(got);
  read_ += buffered_;
  // Small segments fill the pipe's slots long before its bytes: that is no reason to grow it.
  if (buffered_ >= pipe->capacity / 4 * 3) resources_.pipes->grow(*pipe);
  bulk_ = buffered_ >= kBuffer;
  const bool was_bulk = bulk_;
  pipe_ = std::move(pipe);
  if (!drain_pipe(to)) return false;
  if (was_bulk) {
    small_run_ = 0;
  } else if (owner_ != 0) {
    note_small(from, to);
  }
  return was_bulk;
}

// Nothing now or the end, or an urgent byte, which splice does not pass (tcp_read_sock): in front
// of it it answers as if there were nothing. Copying passes it.
bool Pump::splice_nothing(ssize_t result, int from, int to) {
  if (owner_ == 0) return result == 0 || on_no_read(result, from, to);
  const int error = errno;
  if (::sockatmark(from) == 1)
    return learn_positions(from, to) ? copy_kept(from, to) : read_urgent(from, to);
  errno = error;
  return on_no_read(result, from, to);
}

// Where nothing comes before the end, to look is all that it takes: splicing would be followed by a
// look. False: it was the end.
bool Pump::look_for_end(int from, int to) {
  std::byte next{};
  const ssize_t got = retried([&] { return base::direct::recv(from, &next, 1, MSG_PEEK); });
  return got > 0 || on_no_read(got, from, to);
}

// Without a place for it: the one byte of a kept session that a kill may lose.
bool Pump::read_urgent(int from, int to) {
  auto pipe = resources_.pipes->take_kept();
  if (!pipe) {
    lacks_pipe_ = true;
    return false;
  }
  pipe->claim(owner_);
  std::byte urgent{};
  const ssize_t got = retried([&] { return base::direct::recv(from, &urgent, 1, 0); });
  if (got <= 0) {
    const int error = errno;
    resources_.pipes->give_back(std::move(*pipe));
    errno = error;
    return on_no_read(got, from, to);
  }
  pipe_ = std::move(pipe);
  if (retried([&] { return ::write(pipe_->fd.get(), &urgent, 1); }) != 1) {
    fail(Fault::source, EIO);  // an empty pipe takes a byte
    return false;
  }
  buffered_ = 1;
  return drain_pipe(to);
}

// False when the sink is full or has failed.
bool Pump::drain_pipe(int to) {
  while (buffered_ > 0) {
    const ssize_t sent = splice_some(pipe_->fd.get(), to, buffered_);
    SC_KILL_POINT("spliced_out");
    if (sent < 0) return on_no_write(errno);
    if (sent == 0) return on_no_write(EPIPE);  // a pipe that holds bytes has no end to report
    buffered_ -= static_cast<std::size_t>(sent);
    taken_ += static_cast<std::size_t>(sent);
    written_ += static_cast<std::uint64_t>(sent);
  }
  resources_.pipes->give_back(std::move(*pipe_));
  pipe_.reset();
  return true;
}

// The source gave nothing: its end, nothing now, or an error.
bool Pump::on_no_read(ssize_t result, int from, int to) {
  if (result == 0) {
    // A former process may have been the one whom a reset was told: to us it looks like an end. In
    // order a connection is closed only when both sides have ended.
    if (source_told_ != nullptr && *source_told_ == 0 && net::is_closed(from)) {
      fail(Fault::source, ECONNRESET);
    } else {
      end(to);
    }
    return false;
  }
  if (!is_again(errno)) fail(Fault::source, errno);
  return false;
}

bool Pump::on_no_write(int error) {
  if (!is_again(error)) fail(Fault::sink, error);
  return false;
}

// The source has ended. Nothing waits in a pipe, as only an empty one lets us read.
void Pump::end(int to) {
  assert(!pipe_);
  state_ = State::finished;
  // To one that is closed no end is told, see on_no_read().
  if (ended_ != nullptr && !(source_told_ != nullptr && net::is_closed(to))) *ended_ = 1;
  SC_KILL_POINT("ended");
  // ENOTCONN: the sink was reset meanwhile, which the other direction finds out.
  if (withhold_end_) return;
  ::shutdown(to, SHUT_WR);
  has_told_end_ = true;
  SC_KILL_POINT("end_told");
}

void Pump::fail(Fault fault, int error) {
  // What comes next may be half done when the process is killed.
  if (broken_ != nullptr) *broken_ = 1;
  state_ = State::failed;
  fault_ = fault;
  error_ = error;
  buffered_ = 0;
  SC_KILL_POINT("failed");
  if (!pipe_) return;
  resources_.pipes->discard(std::move(*pipe_));
  pipe_.reset();
}

}  // namespace sc::relay
