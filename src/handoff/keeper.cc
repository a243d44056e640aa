#include "handoff/keeper.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <thread>
#include <utility>

#include "base/kill_point.h"

namespace sc::handoff {

struct Capsule {
  std::string name;
  base::Fd inner;         // of a sealed one: closed
  std::size_t total = 0;  // records in it
  std::size_t moved = 0;  // of these, those that were in another one before
  std::size_t ended = 0;  // of what was in it
  std::vector<Kept*> living;
  bool is_strange = false;  // by its name it is another keeper's: there were more or fewer of them
};

namespace {

// What moves on may be a quarter of what a capsule takes: else the same few would move again and
// again, for hardly anybody who ends beside them.
constexpr std::size_t kMovedPart = 4;

// Between two tries of a stop that waits for the manager.
constexpr std::chrono::milliseconds kManagerStep{2};

Trouble to_trouble(int error) {
  if (error == ETOOMANYREFS) return Trouble::in_flight;
  if (error == EPIPE) return Trouble::store_refused;
  return Trouble::host;
}

}  // namespace

Kept::Kept(Keeper& keeper, const Record& record, std::span<const int> fds)
    : keeper_(keeper), record_(record), fd_count_(fds.size()) {
  std::copy(fds.begin(), fds.end(), fds_.begin());
}

Kept::~Kept() {
  if (capsule_ != nullptr) keeper_.forget(*this);
}

Keeper::Keeper(const StoreLink& link, Table& table, KeepCounters& counters, std::string group,
               bool eager)
    : link_(link), table_(table), counters_(counters), group_(std::move(group)), eager_(eager) {}

Keeper::~Keeper() = default;

void Keeper::prepare() {
  if (calls_to_skip_ > 0) return;
  if (current_ != nullptr && is_full(*current_)) seal_current();
  if (current_ == nullptr) open_capsule();
}

std::unique_ptr<Kept> Keeper::keep(const Record& record, std::span<const int> fds) {
  std::unique_ptr<Kept> kept(new Kept(*this, record, fds));
  if (!push(*kept, record, fds)) return nullptr;
  return kept;
}

bool Keeper::replace(Kept& kept, const Record& record, std::span<const int> fds) {
  Capsule* former = nullptr;
  if (!push(kept, record, fds, &former)) return false;
  kept.record_ = record;
  kept.fd_count_ = fds.size();
  std::copy(fds.begin(), fds.end(), kept.fds_.begin());
  SC_KILL_POINT("replaced");
  if (former != nullptr) settle(*former);
  return true;
}

// It leaves its former capsule only when it is in the new one, and not before room was made for it,
// which may give up the former one.
bool Keeper::push(Kept& kept, const Record& record, std::span<const int> fds, Capsule** former) {
  if (calls_to_skip_ > 0) {
    --calls_to_skip_;
    return false;
  }
  // A client that was accepted this moment is lost by a kill until it is kept, and has no time for
  // another capsule: the message about it wakes the manager, which may take this core for a while.
  const bool has_time = record.kind != RecordKind::client && record.kind != RecordKind::dialing;
  // Twice: the first capsule may be full.
  for (int i = 0; i < 2; ++i) {
    if (current_ != nullptr && (has_time ? is_full(*current_) : current_->total >= kMostRecords))
      seal_current();
    Capsule* capsule = current_ != nullptr ? current_ : open_capsule();
    if (capsule == nullptr) break;
    SC_KILL_POINT("push");
    const int error = send_record(capsule->inner.get(), record, fds);
    SC_KILL_POINT("pushed");
    if (error == 0) {
      ++capsule->total;
      if (former != nullptr) *former = kept.capsule_;
      if (kept.capsule_ != nullptr) take_out(kept);
      put_into(*capsule, kept);
      trouble_ = Trouble::none;
      return true;
    }
    trouble_ = to_trouble(error);
    if (error == EAGAIN) {
      seal_current();
    } else if (error == EPIPE) {
      on_refused(*capsule);
      break;
    } else {
      break;
    }
  }
  return false;
}

bool Keeper::is_full(const Capsule& capsule) const {
  if (capsule.total >= kMostRecords) return true;
  if (eager_ || capsule.ended < kManyEnded || capsule.moved * kMovedPart > capsule.total)
    return false;
  return 2 * capsule.living.size() >= capsule.ended;
}

void Keeper::set_patience(std::chrono::milliseconds patience) {
  patience_ = patience;
  calls_to_skip_ = 0;
}

// True: the manager may take a message.
bool Keeper::wait_for_manager() {
  while (link_.is_busy()) {
    if (patience_ < kManagerStep) return false;
    patience_ -= kManagerStep;
    std::this_thread::sleep_for(kManagerStep);
  }
  return true;
}

Capsule* Keeper::open_capsule() {
  if (!wait_for_manager()) {
    trouble_ = Trouble::no_store;
    has_missed_ = true;
    return nullptr;
  }
  auto ends = make_capsule();
  if (!ends) {
    trouble_ = Trouble::host;
    return nullptr;
  }
  auto capsule = std::make_unique<Capsule>();
  capsule->name =
      kCapsulePrefix + group_ + "-" + std::to_string(table_.header().next_capsule.fetch_add(1));
  capsule->inner = std::move(ends->inner);
  // Our own copy of the outer end goes with `ends`: if the manager does not keep it, the inner end
  // hangs up, which tells us.
  while (!link_.put(capsule->name, ends->outer.get())) {
    if (link_.is_busy() && wait_for_manager()) continue;
    trouble_ = Trouble::no_store;
    // A busy manager is asked again after its back-off, which costs no system call.
    const bool is_busy = link_.is_busy();
    has_missed_ |= is_busy;
    if (!is_busy) calls_to_skip_ = kRefusedCalls;
    return nullptr;
  }
  SC_KILL_POINT("capsule");
  capsules_.push_back(std::move(capsule));
  current_ = capsules_.back().get();
  return current_;
}

void Keeper::put_into(Capsule& capsule, Kept& kept) {
  kept.capsule_ = &capsule;
  kept.place_ = capsule.living.size();
  capsule.living.push_back(&kept);
}

std::vector<std::unique_ptr<Kept>> Keeper::adopt(const std::string& name, std::size_t total,
                                                 const std::vector<Found>& living) {
  capsules_.push_back(std::make_unique<Capsule>());
  Capsule& capsule = *capsules_.back();
  capsule.name = name;
  capsule.total = total;
  capsule.is_strange = !name.starts_with(kCapsulePrefix + group_ + "-");
  std::vector<std::unique_ptr<Kept>> adopted;
  for (const Found& each : living) {
    adopted.emplace_back(new Kept(*this, each.record, {each.fds.data(), each.fd_count}));
    put_into(capsule, *adopted.back());
  }
  return adopted;
}

void Keeper::take_out(Kept& kept) {
  Capsule& capsule = *std::exchange(kept.capsule_, nullptr);
  capsule.living[kept.place_] = capsule.living.back();
  capsule.living[kept.place_]->place_ = kept.place_;
  capsule.living.pop_back();
}

void Keeper::forget(Kept& kept) {
  Capsule& capsule = *kept.capsule_;
  take_out(kept);
  ++capsule.ended;
  if (!is_leaving_ && !is_adopting_ && !eager_) settle(capsule);
}

// Most of what lives in one that has just become full is young and soon gone by itself: it rests
// until the next one is full.
void Keeper::seal_current() {
  Capsule& full = *std::exchange(current_, nullptr);
  full.inner.reset();
  SC_KILL_POINT("sealed");
  if (eager_) return settle(full);
  Capsule* former = std::exchange(resting_, &full);
  settle(full);
  if (former != nullptr) settle(*former);
}

// The current one is left alone as long as it takes records: it is given up when it is full.
void Keeper::settle(Capsule& capsule, bool was_adopting) {
  if (&capsule == current_ && !(eager_ && capsule.living.size() < capsule.total)) return;
  if (&capsule == resting_ && !capsule.living.empty()) return;
  const std::size_t living = capsule.living.size();
  // By the name of a strange one the next process would look for a session with one worker, and for
  // its pipes, which we make, with another. Of each process that went before there is one that was
  // not full: else they would add up.
  const bool is_to_go =
      living == 0 || capsule.is_strange || (eager_ && living < capsule.total) ||
      (living < kFewLiving && (was_adopting || (!eager_ && living < capsule.total)));
  if (!is_to_go) return;
  if (&capsule == current_) current_ = nullptr;
  if (move_on(capsule)) remove(capsule);
}

// What lives goes into the current capsule. While it is in both, the next process finds it twice
// and takes it once.
bool Keeper::move_on(Capsule& capsule) {
  while (!capsule.living.empty()) {
    Kept& kept = *capsule.living.back();
    if (!push(kept, kept.record_, kept.fds())) return false;  // it stays where it is
    ++kept.capsule_->moved;
    SC_KILL_POINT("moving");
  }
  SC_KILL_POINT("moved");
  return true;
}

void Keeper::remove(Capsule& capsule) {
  link_.remove(capsule.name);
  SC_KILL_POINT("removed");
  if (&capsule == resting_) resting_ = nullptr;
  std::erase_if(capsules_, [&](const auto& each) { return each.get() == &capsule; });
}

// Nothing in it is kept, as we have only found out.
void Keeper::on_refused(Capsule& capsule) {
  for (Kept* kept : capsule.living) {
    kept->capsule_ = nullptr;
    if (!is_of_session(kept->record_.kind)) continue;
    counters_.sessions.fetch_sub(1, std::memory_order_relaxed);
    if (kept->is_counted()) continue;
    kept->set_counted();
    counters_.not_kept[static_cast<std::size_t>(Trouble::store_refused)].fetch_add(
        1, std::memory_order_relaxed);
  }
  calls_to_skip_ = kRefusedCalls;
  if (&capsule == current_) current_ = nullptr;
  if (&capsule == resting_) resting_ = nullptr;
  std::erase_if(capsules_, [&](const auto& each) { return each.get() == &capsule; });
}

void Keeper::flush() {
  const bool was_adopting = std::exchange(is_adopting_, false);
  if (is_leaving_) return;  // their descriptors may be closed by now
  std::vector<Capsule*> all;
  for (const auto& each : capsules_) all.push_back(each.get());
  // Settling one may remove another.
  for (Capsule* each : all)
    if (std::any_of(capsules_.begin(), capsules_.end(),
                    [each](const auto& present) { return present.get() == each; }))
      settle(*each, was_adopting);
}

}  // namespace sc::handoff
