#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "handoff/layout.h"

namespace sc::handoff {

// The memory file in which is written what is kept. It outlives the process, as the service manager
// holds a copy; whatever was stored before a SIGKILL is there after it. Slots may be taken and
// given back by any thread; a slot's own fields belong to whoever took it.
class Table {
 public:
  static constexpr std::uint32_t kMostSessions = 1U << 18;
  static constexpr std::uint32_t kCopySlots = 256;  // one for each worker, as many as there can be

  // A new one. Memory is used only for slots that are. unavailable: the host gives none.
  static base::Result<std::unique_ptr<Table>> make(std::uint32_t sessions);
  // A former process's. invalid: it is none, is damaged, cannot be sealed against truncation, or is
  // of a version that this one does not know; nothing was written to it then.
  static base::Result<std::unique_ptr<Table>> adopt(base::Fd file);

  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table();

  int fd() const { return file_.get(); }
  TableHeader& header() { return *header_; }

  // None when all are taken. The slot's generation is 0 until its taker sets it, at last.
  std::optional<std::uint32_t> take_session();
  void give_session(std::uint32_t slot);
  std::optional<std::uint32_t> take_pipe();
  void give_pipe(std::uint32_t slot);

  SessionSlot& session(std::uint32_t slot) { return *session_at(slot); }
  PipeSlot& pipe(std::uint32_t slot) { return *pipe_at(slot); }
  std::uint32_t session_slots() const { return header_->session_slots; }
  std::uint32_t pipe_slots() const { return header_->pipe_slots; }
  // For the worker of that number, and nobody else. Null: there is none, see copy_slots.
  CopySlot* take_copy(std::size_t worker);
  CopySlot& copy(std::uint32_t slot) { return *copy_at(slot); }
  std::uint32_t copy_slots() const { return header_->copy_slots; }

  // Never 0, and another one each time, in all processes.
  std::uint64_t new_generation() { return header_->next_generation.fetch_add(1); }

  // After what the records of a former process named was found: all other slots are free.
  void free_all_but(const std::vector<bool>& sessions, const std::vector<bool>& pipes);

 private:
  Table(base::Fd file, void* memory, std::size_t size);

  SessionSlot* session_at(std::uint32_t slot) const;
  PipeSlot* pipe_at(std::uint32_t slot) const;
  CopySlot* copy_at(std::uint32_t slot) const;
  static std::optional<std::uint32_t> take(std::vector<std::uint32_t>& free,
                                           Shared<std::uint32_t>& used, std::uint32_t slots);

  base::Fd file_;
  TableHeader* header_;
  std::size_t size_;
  std::mutex mutex_;
  std::vector<std::uint32_t> free_sessions_;  // guarded by mutex_, as the next one
  std::vector<std::uint32_t> free_pipes_;
};

}  // namespace sc::handoff
