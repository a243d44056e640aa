#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "handoff/copy_place.h"
#include "relay/pipe_pool.h"

namespace sc::relay {

// One direction of a relay: moves what arrives at one socket to the other, and knows no loop. The
// sockets belong to the relay, the buffer and the pipes to the worker. One thread.
//
// Copies through the worker's buffer while messages are small (one recv and one send), splices
// through a pipe once a read fills the buffer, and copies again when a read is short. Between two
// steps no byte is in user space: what the sink did not take waits in a pipe or, when no pipe is to
// be had, still in the source's socket.
//
// Of a session that is kept for the next process no byte is in user space where a kill would lose
// it: it splices, through pipes that are kept and say whose bytes they hold; and once it has had
// some small messages in a row it copies as well, through memory that is kept (see CopyPlace).
class Pump {
 public:
  enum class State : std::uint8_t {
    flowing,   // the source may have more, or the sink has not taken all of it yet
    finished,  // the source has ended, everything is with the sink, which has been told the end
    failed,    // see fault()
  };
  enum class Fault : std::uint8_t { none, source, sink };

  struct Resources {
    std::span<std::byte> buffer;  // kBuffer bytes, shared by all pumps of the worker
    PipePool* pipes = nullptr;
    handoff::CopyPlace* copies = nullptr;  // of kept sessions; without it they splice alone
  };

  // A message up to this size is copied. Not more than a spare pipe takes, for what is left of it.
  static constexpr std::size_t kBuffer = PipePool::kSpareCapacity;
  // One session's share of a turn, so that a fast one does not starve the others.
  static constexpr std::size_t kBytesPerStep = 1024 * 1024;
  // A kept session copies after so many small messages in a row: before, the kernel has to be asked
  // how far both sockets have got (6 calls), which a session that is soon over shall not pay for.
  static constexpr unsigned kSmallRun = 8;

  explicit Pump(const Resources& resources) : resources_(resources) {}
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;
  ~Pump();  // what still waits in a pipe is lost, or is left to the next process

  // Moves up to about kBytesPerStep between the two non-blocking sockets; answers how many bytes
  // the sink took. `ended`: the source's end is there, which may come behind bytes.
  std::size_t step(int from, int to, bool ended = false);

  // The session is kept: `owner` is for its pipes, and into `slot` goes what the next process has
  // to know of this direction. False: it cannot be, as bytes wait in a pipe that is not.
  bool keep(std::uint64_t owner, handoff::SessionSlot& slot);
  // It is not any more.
  void let_go();
  // It is kept, and there is no kept pipe to be had: it has to be let go to move on.
  bool lacks_pipe() const { return lacks_pipe_; }

  // Goes on where a former process was: with what it had read and the sink has not taken. `told`:
  // whether the source was told the end of the other direction.
  void resume(std::optional<handoff::KeptPipe> waiting, const handoff::Shared<std::uint8_t>& told);

  // When the source ends, do not tell the sink: it has broken for writing, or is about to be
  // closed.
  void withhold_end() { withhold_end_ = true; }

  bool wants_read() const { return state_ == State::flowing && !waits_for_sink(); }
  bool wants_write() const { return !is_over() && waits_for_sink(); }
  bool is_over() const { return state_ == State::finished || state_ == State::failed; }
  State state() const { return state_; }
  // The sink was told the end.
  bool has_told_end() const { return has_told_end_; }
  Fault fault() const { return fault_; }
  int error() const { return error_; }  // the errno behind fault()

 private:
  bool waits_for_sink() const { return pipe_.has_value() || left_in_source_; }

  // Each is one read and what follows from it; false: there is nothing more to do in this step.
  bool copy(int from, int to);
  bool copy_without_pipe(int from, int to);
  bool copy_kept(int from, int to);
  bool splice_in(int from, int to);
  bool splice_nothing(ssize_t result, int from, int to);
  bool look_for_end(int from, int to);
  bool read_urgent(int from, int to);
  bool drain_pipe(int to);

  void note_small(int from, int to);
  bool learn_positions(int from, int to);
  bool on_no_read(ssize_t result, int from, int to);
  bool on_no_write(int error);
  void end(int to);
  void fail(Fault fault, int error);

  Resources resources_;
  std::optional<Pipe> pipe_;  // held only while it has bytes
  std::size_t buffered_ = 0;  // bytes in pipe_
  std::size_t taken_ = 0;     // by the sink, in this step
  State state_ = State::flowing;
  Fault fault_ = Fault::none;
  bool bulk_ = false;            // splice instead of copy
  bool left_in_source_ = false;  // the sink is full and there was no pipe for the rest
  bool withhold_end_ = false;
  bool has_told_end_ = false;
  bool lacks_pipe_ = false;
  int error_ = 0;
  bool knows_positions_ = false;  // the next two
  std::uint8_t small_run_ = 0;
  std::uint64_t read_ = 0;                          // of the source, see net/tcp_position
  std::uint64_t written_ = 0;                       // of the sink
  std::uint64_t owner_ = 0;                         // of the session, if it is kept
  handoff::Shared<std::uint8_t>* ended_ = nullptr;  // likewise, as the next one
  handoff::Shared<std::uint8_t>* broken_ = nullptr;
  const handoff::Shared<std::uint8_t>* source_told_ = nullptr;  // after resume()
};

}  // namespace sc::relay
