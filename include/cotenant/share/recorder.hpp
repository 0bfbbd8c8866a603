// Recorder: the clock, the timeline and the events of a manager, which its leases need after it is gone; and a spin lock.
#ifndef COTENANT_SHARE_RECORDER_HPP
#define COTENANT_SHARE_RECORDER_HPP
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "cotenant/share/derived.hpp"
#include "cotenant/share/events.hpp"
#include "cotenant/share/refusals.hpp"
#include "cotenant/share/timeline.hpp"

namespace cotenant::detail {

// For critical sections of a few loads and stores: one exchange to take, one store to give back, where a
// std::mutex takes an atomic operation for both.
class SpinLock {
 public:
  void lock() noexcept {
    while (locked_.exchange(true, std::memory_order_acquire))
      // The holder may have lost its core: after some 100 ns of waiting let it run.
      for (int round = 0; locked_.load(std::memory_order_relaxed); ++round) if (round >= 64) std::this_thread::yield();
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

// What leases need after the manager is gone.
struct Recorder {
  explicit Recorder(Clock time, std::unique_ptr<Timeline> recorded = nullptr) : clock(std::move(time)), timeline(std::move(recorded)) {}

  Clock clock;
  std::unique_ptr<Timeline> timeline;  // null: not recorded
  std::unique_ptr<EventLog> events = nullptr;
  Refusals refusals{};  // of artefacts

  bool watched() const { return timeline || events; }
  void note(EventKind kind, std::string_view tensor, std::string_view model, std::size_t bytes, EventLog::Clock::duration duration = {}) const {
    if (events) events->record(kind, tensor, model, bytes, duration);
  }
  // Outside of every lock.
  void deliver() const {
    if (events && events->has_callback()) events->deliver();
  }
};

class Registry;
// The way to a registry for blocks, which may outlive it.
struct RegistryLink {
  mutable std::mutex mutex;      // before the registry's own
  Registry* registry = nullptr;  // null once it is gone
};

// Finds room for what kernels and models keep with a registered tensor's bytes, such as packed weights, and records it.
class DeriveNote final : public DerivedObserver {
 public:
  DeriveNote(std::shared_ptr<RegistryLink> link, std::shared_ptr<Recorder> recorder, std::string tensor)
      : DerivedObserver(actions), link_(std::move(link)), recorder_(std::move(recorder)), tensor_(std::move(tensor)) {}

 private:
  static bool promise(const DerivedObserver& self, std::size_t bytes);  // see residence.hpp
  static void unpromise(const DerivedObserver& self, std::size_t bytes);
  static void record(const DerivedObserver& self, std::size_t bytes, std::chrono::steady_clock::duration took) {
    const auto& note = static_cast<const DeriveNote&>(self);
    note.recorder_->note(EventKind::derive, note.tensor_, {}, bytes, took);
    note.recorder_->deliver();
  }
  static constexpr Actions actions = {&promise, &unpromise, &record};
  const std::shared_ptr<RegistryLink> link_;
  const std::shared_ptr<Recorder> recorder_;
  const std::string tensor_;
};

}  // namespace cotenant::detail

#endif
