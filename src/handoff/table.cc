#include "handoff/table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <utility>

namespace sc::handoff {
namespace {

// Its size is part of what is trusted: who maps it must not be ended by SIGBUS.
constexpr unsigned kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr unsigned kSeals = kSizeSeals | F_SEAL_SEAL;

// Numbers that count up from 1 by one for each session or capsule. More than a quarter of all
// values is no count, and would reach 0 again, which stands for none.
constexpr std::uint64_t kMostCount = std::uint64_t{1} << 62;

std::size_t end_of_pipes(const TableHeader& header) {
  return sizeof(TableHeader) + std::size_t{header.session_slots} * header.session_stride +
         std::size_t{header.pipe_slots} * header.pipe_stride;
}

std::size_t size_of(const TableHeader& header) {
  return end_of_pipes(header) + std::size_t{header.copy_slots} * header.copy_stride;
}

base::Error failure(const char* call) {
  return {base::Errc::unavailable, base::describe_errno(call, errno)};
}

void* map(int fd, std::size_t size) {
  return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

// Returns whether no process can change the file's size any more. Seals the file if it is not
// sealed yet: a process that maps a file which another one truncates is ended by SIGBUS.
bool is_sealed(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return false;  // no memory file
  if ((static_cast<unsigned>(seals) & kSizeSeals) == kSizeSeals) return true;
  return ::fcntl(fd, F_ADD_SEALS, kSeals) == 0;
}

// Returns whether the header fits the file. A sound stride holds what this binary reads and keeps
// every slot aligned.
bool is_sound(const TableHeader& header, std::size_t size) {
  return header.session_stride >= sizeof(SessionSlot) && header.session_stride % 8 == 0 &&
         header.pipe_stride >= sizeof(PipeSlot) && header.pipe_stride % 8 == 0 &&
         header.session_slots <= Table::kMostSessions &&
         header.pipe_slots <= 2 * Table::kMostSessions &&
         header.sessions_used <= header.session_slots && header.pipes_used <= header.pipe_slots &&
         header.copies_used <= header.copy_slots && header.next_generation > 0 &&
         header.next_generation < kMostCount && header.next_capsule < kMostCount &&
         (header.copy_slots == 0 ||
          (header.copy_slots <= Table::kCopySlots && header.copy_stride >= sizeof(CopySlot) &&
           header.copy_stride % alignof(CopySlot) == 0 &&
           end_of_pipes(header) % alignof(CopySlot) == 0)) &&
         size_of(header) == size;
}

}  // namespace

base::Result<std::unique_ptr<Table>> Table::make(std::uint32_t sessions) {
  base::Fd file(::memfd_create("stream-conductor-table", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return failure("memfd_create");
  TableHeader plan{};
  plan.session_stride = sizeof(SessionSlot);
  plan.pipe_stride = sizeof(PipeSlot);
  // Even, as with two of each the slots behind these are aligned.
  plan.session_slots = (std::clamp<std::uint32_t>(sessions, 16, kMostSessions) + 1) / 2 * 2;
  plan.pipe_slots = 2 * plan.session_slots;  // of each session one a direction at most
  plan.copy_slots = kCopySlots;
  plan.copy_stride = sizeof(CopySlot);
  const std::size_t size = size_of(plan);
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) return failure("ftruncate");
  if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) return failure("F_ADD_SEALS");
  void* memory = map(file.get(), size);
  if (memory == MAP_FAILED) return failure("mmap");
  auto* header = new (memory) TableHeader{};
  header->version = kVersion;
  header->session_stride = plan.session_stride;
  header->pipe_stride = plan.pipe_stride;
  header->session_slots = plan.session_slots;
  header->pipe_slots = plan.pipe_slots;
  header->copy_slots = plan.copy_slots;
  header->copy_stride = plan.copy_stride;
  header->next_generation = 1;
  header->next_capsule = 1;
  header->starts = 1;
  header->magic = kMagic;
  return std::unique_ptr<Table>(new Table(std::move(file), memory, size));
}

base::Result<std::unique_ptr<Table>> Table::adopt(base::Fd file) {
  if (!is_sealed(file.get()))
    return base::Error{base::Errc::invalid, "it is not sealed against truncation"};
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return failure("fstat");
  const auto size = static_cast<std::size_t>(about.st_size);
  if (!S_ISREG(about.st_mode) || size < sizeof(TableHeader))
    return base::Error{base::Errc::invalid, "it is no table"};
  void* memory = map(file.get(), size);
  if (memory == MAP_FAILED) return failure("mmap");
  std::unique_ptr<Table> table(new Table(std::move(file), memory, size));
  const TableHeader& header = table->header();
  if (header.magic != kMagic) return base::Error{base::Errc::invalid, "it is no table"};
  if (header.version > kVersion || header.version == 0)
    return base::Error{base::Errc::invalid, "it is of version " + std::to_string(header.version) +
                                                ", and this binary knows " +
                                                std::to_string(kVersion) + " at most"};
  if (!is_sound(header, size)) return base::Error{base::Errc::invalid, "it is damaged"};
  table->header().version = kVersion;  // from now on with what this binary writes
  return table;
}

Table::Table(base::Fd file, void* memory, std::size_t size)
    : file_(std::move(file)), header_(static_cast<TableHeader*>(memory)), size_(size) {}

Table::~Table() { ::munmap(header_, size_); }

SessionSlot* Table::session_at(std::uint32_t slot) const {
  auto* first = reinterpret_cast<std::byte*>(header_ + 1);
  return reinterpret_cast<SessionSlot*>(first + std::size_t{slot} * header_->session_stride);
}

PipeSlot* Table::pipe_at(std::uint32_t slot) const {
  auto* first = reinterpret_cast<std::byte*>(session_at(header_->session_slots));
  return reinterpret_cast<PipeSlot*>(first + std::size_t{slot} * header_->pipe_stride);
}

CopySlot* Table::copy_at(std::uint32_t slot) const {
  auto* first = reinterpret_cast<std::byte*>(header_) + end_of_pipes(*header_);
  return reinterpret_cast<CopySlot*>(first + std::size_t{slot} * header_->copy_stride);
}

std::optional<std::uint32_t> Table::take(std::vector<std::uint32_t>& free,
                                         Shared<std::uint32_t>& used, std::uint32_t slots) {
  if (!free.empty()) {
    const std::uint32_t slot = free.back();
    free.pop_back();
    return slot;
  }
  if (used >= slots) return std::nullopt;
  return used.fetch_add(1);
}

std::optional<std::uint32_t> Table::take_session() {
  const std::lock_guard lock(mutex_);
  return take(free_sessions_, header_->sessions_used, header_->session_slots);
}

void Table::give_session(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  free_sessions_.push_back(slot);
}

std::optional<std::uint32_t> Table::take_pipe() {
  const std::lock_guard lock(mutex_);
  return take(free_pipes_, header_->pipes_used, header_->pipe_slots);
}

void Table::give_pipe(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  free_pipes_.push_back(slot);
}

CopySlot* Table::take_copy(std::size_t worker) {
  if (worker >= header_->copy_slots) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto slot = static_cast<std::uint32_t>(worker);
  if (header_->copies_used <= slot) header_->copies_used = slot + 1;
  return copy_at(slot);
}

void Table::free_all_but(const std::vector<bool>& sessions, const std::vector<bool>& pipes) {
  const std::lock_guard lock(mutex_);
  // Lower slots last, so that they are taken first and the table stays small.
  for (std::uint32_t slot = header_->sessions_used; slot-- > 0;) {
    if (sessions[slot]) continue;
    session(slot).generation = 0;
    free_sessions_.push_back(slot);
  }
  for (std::uint32_t slot = header_->pipes_used; slot-- > 0;) {
    if (pipes[slot]) continue;
    pipe(slot).generation = 0;
    free_pipes_.push_back(slot);
  }
}

}  // namespace sc::handoff
