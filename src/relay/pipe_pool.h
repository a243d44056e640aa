#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "handoff/vault.h"

namespace sc::relay {

class Admission;
class PipePool;

// Counts a pipe for as long as it lives.
class PipeCount {
 public:
  PipeCount() = default;
  explicit PipeCount(PipePool& pool) : pool_(&pool) {}
  PipeCount(PipeCount&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
  PipeCount& operator=(PipeCount&& other) noexcept {
    std::swap(pool_, other.pool_);
    return *this;
  }
  PipeCount(const PipeCount&) = delete;
  PipeCount& operator=(const PipeCount&) = delete;
  ~PipeCount();

 private:
  PipePool* pool_ = nullptr;
};

// A kernel pipe as a place for bytes on their way between two sockets.
struct Pipe {
  base::Fd fd;               // open for both (fifo(7)), so it needs one descriptor and never ends
  std::size_t capacity = 0;  // bytes, when filled with whole pages
  PipeCount count{};
  std::unique_ptr<handoff::PipeRecord> record{};  // of a pipe that outlives the process

  bool is_kept() const { return record && record->is_held(); }
  // Whose bytes go in next; before they do.
  void claim(std::uint64_t owner) const {
    if (record) record->claim(owner);
  }
};

// The pipes of one worker: lent while there are bytes to hold, so sessions at rest have none.
// Outlives them. One thread.
//
// Without CAP_SYS_RESOURCE all pipes of a user together may have 16,384 pages (pipe(7):
// pipe-user-pages-soft); beyond that the kernel makes new ones of two pages and refuses to grow
// any. What is granted is taken, and asked for again now and then, as a shortage passes.
class PipePool {
 public:
  // A pipe of this many bytes takes whatever one copying read brings, see Pump.
  static constexpr std::size_t kSpareCapacity = 16 * 1024;
  static constexpr std::size_t kGrownCapacity = 1024 * 1024;
  // At rest in the pool; of more, the smallest are closed.
  static constexpr std::size_t kKept = 16;
  // Calls that do without the kernel after it refused; asking each time costs two system calls.
  static constexpr unsigned kRefusedCalls = 256;

  // `admission`, if any, is asked for the descriptors of pipes beyond the first kKept, for which
  // the service keeps a reserve. `keeper`, if any, keeps the pipes for the next process.
  explicit PipePool(Admission* admission = nullptr, handoff::Keeper* keeper = nullptr)
      : admission_(admission), keeper_(keeper) {}
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // The largest at rest, else a new one of the kernel's default size (64 KiB). Nothing when the
  // process or the user has no more descriptors or pages for pipes.
  std::optional<Pipe> take();
  // One that is kept for the next process.
  std::optional<Pipe> take_kept();
  // Is a pipe of kSpareCapacity at hand, or can one be made? The next take() gives it then.
  bool has_spare();
  // Must be empty: what is left in it would reach another session.
  void give_back(Pipe pipe);
  // Nobody will take what is in it.
  void discard(Pipe pipe);
  // One of a former process, with whatever is in it.
  Pipe adopt(handoff::KeptPipe pipe);
  // Up to kGrownCapacity, as far as the kernel lets us. The bytes in it stay.
  void grow(Pipe& pipe);

  // Closes what is at rest, if nothing was taken since the last call.
  void trim();

  // All that there are, lent and at rest.
  std::size_t alive() const { return alive_; }
  std::size_t at_rest() const { return at_rest_.size(); }

 private:
  friend class PipeCount;

  std::optional<Pipe> make_pipe();
  void on_closed();

  Admission* admission_;
  handoff::Keeper* keeper_;
  std::size_t alive_ = 0;      // before at_rest_, whose pipes count until they die
  bool used_ = false;          // since the last trim()
  std::vector<Pipe> at_rest_;  // by capacity, the largest last
  unsigned spare_calls_to_skip_ = 0;
  unsigned grow_calls_to_skip_ = 0;
};

}  // namespace sc::relay
