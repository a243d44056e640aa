#include "store/log_index.h"

#include <sqlite3.h>

namespace sc::store {
namespace {

constexpr int kRegionBytes = 32 * 1024;  // of a -shm, mapped as one
// Places of 32-bit words in the host's byte order.
constexpr std::size_t kCommits = 2;
constexpr std::size_t kPageSize = 3;  // the upper half, after two flags of a byte each
constexpr std::size_t kFrames = 4;
constexpr std::size_t kPages = 5;
constexpr std::size_t kSalt = 8;
constexpr std::size_t kSecondCopy = 12;  // of all words before it; equal unless one is written
constexpr std::size_t kCopied = 24;
constexpr std::size_t kToBeCopied = 32;
constexpr std::uint64_t kLogHeader = 32;
constexpr std::uint64_t kFrameHeader = 24;
constexpr std::uint32_t kLargestPage = 65536;  // stored as 1

std::uint32_t page_size_of(const volatile std::uint32_t* words) {
  const volatile auto* halves = reinterpret_cast<const volatile std::uint16_t*>(words + kPageSize);
  const std::uint32_t size = halves[1];
  return size == 1 ? kLargestPage : size;
}

}  // namespace

std::uint64_t LogState::bytes() const {
  return frames == 0 ? 0 : kLogHeader + std::uint64_t{frames} * (kFrameHeader + page_size);
}

std::optional<LogIndex> LogIndex::of(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2)
    return std::nullopt;
  volatile void* region = nullptr;
  if (file->pMethods->xShmMap(file, 0, kRegionBytes, 0, &region) != SQLITE_OK || region == nullptr)
    return std::nullopt;
  return LogIndex(static_cast<const volatile std::uint32_t*>(region));
}

LogState LogIndex::read() const {
  LogState state;
  state.page_size = page_size_of(words_);
  state.commits = words_[kCommits];
  state.frames = words_[kFrames];
  state.pages = words_[kPages];
  state.copied = words_[kCopied];
  state.to_be_copied = words_[kToBeCopied];
  state.salt = {words_[kSalt], words_[kSalt + 1]};
  for (std::size_t i = 0; i < kSecondCopy; ++i)
    if (words_[i] != words_[kSecondCopy + i]) state.is_being_written = true;
  return state;
}

}  // namespace sc::store
