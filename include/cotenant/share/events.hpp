// EventLog: the last things that happened to tensors, each with its time, thread and bytes, and a callback that hears of them.
#ifndef COTENANT_SHARE_EVENTS_HPP
#define COTENANT_SHARE_EVENTS_HPP
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cotenant {

enum class EventKind {
  registered,  // a name came
  forgotten,   // a name went for good
  lease,
  release,
  evict,   // its memory was given back; it returns with the next lease
  spill,   // its bytes were written to the spill target first
  reload,  // its bytes came back
  dedup,   // it was found to equal another tensor and lies on that one's bytes
  derive,  // an artefact was made from it
  write,   // a write lease ended: there is a new version
};
inline constexpr std::size_t event_kinds = 10;

constexpr const char* to_string(EventKind kind) {
  constexpr const char* names[event_kinds] = {"registered", "forgotten", "lease", "release", "evict", "spill", "reload", "dedup", "derive", "write"};
  return static_cast<std::size_t>(kind) < event_kinds ? names[static_cast<std::size_t>(kind)] : "unknown";
}

struct Event {
  double seconds = 0;   // since the manager was made
  double duration = 0;  // seconds, of what takes time: spill, reload, dedup, derive, write
  EventKind kind = EventKind::registered;
  std::string tensor;
  std::string model;  // empty where none is concerned
  std::size_t bytes = 0;
  std::size_t thread = 0;  // the process's threads, numbered as they first appear here
};

struct EventCounts {
  std::array<std::size_t, event_kinds> events{};
  std::array<std::size_t, event_kinds> bytes{};
  std::size_t operator[](EventKind kind) const { return events[static_cast<std::size_t>(kind)]; }
};

namespace detail {

// Safe from any number of threads; record() is a leaf that calls nothing outside.
class EventLog {
 public:
  using Clock = std::chrono::steady_clock;

  EventLog(std::size_t capacity, std::function<void(const Event&)> callback) : capacity_(std::max<std::size_t>(capacity, 1)), callback_(std::move(callback)) {}

  void record(EventKind kind, std::string_view tensor, std::string_view model, std::size_t bytes, Clock::duration duration = {}) {
    const Clock::time_point now = Clock::now();
    const std::size_t thread = thread_number();
    const std::lock_guard lock(mutex_);
    ++counts_.events[static_cast<std::size_t>(kind)];
    counts_.bytes[static_cast<std::size_t>(kind)] += bytes;
    if (ring_.size() < capacity_) ring_.emplace_back();
    Event& event = ring_[next_];  // the strings of the oldest are used again
    next_ = (next_ + 1) % capacity_;
    event.duration = std::chrono::duration<double>(duration).count();
    event.seconds = std::chrono::duration<double>(now - duration - start_).count();
    event.kind = kind;
    event.tensor = tensor;
    event.model = model;
    event.bytes = bytes;
    event.thread = thread;
    if (callback_) pending_.push_back(event);
  }

  bool has_callback() const { return static_cast<bool>(callback_); }
  // Calls the callback with what was recorded since, in order, one at a time. Not under any lock.
  void deliver() {
    std::unique_lock lock(mutex_);
    if (delivering_) return;  // whoever delivers will find these too
    delivering_ = true;
    while (!pending_.empty()) {
      const Event event = std::move(pending_.front());
      pending_.pop_front();
      lock.unlock();
      callback_(event);
      lock.lock();
    }
    delivering_ = false;
  }

  // Oldest first.
  std::vector<Event> events() const {
    const std::lock_guard lock(mutex_);
    std::vector<Event> result;
    result.reserve(ring_.size());
    for (std::size_t i = 0; i < ring_.size(); ++i) result.push_back(ring_[(ring_.size() < capacity_ ? i : next_ + i) % ring_.size()]);
    return result;
  }
  // Since the beginning, those that the ring has lost included.
  EventCounts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  static std::size_t thread_number() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t number = next.fetch_add(1, std::memory_order_relaxed);
    return number;
  }

  const std::size_t capacity_;
  const std::function<void(const Event&)> callback_;
  const Clock::time_point start_ = Clock::now();
  mutable std::mutex mutex_;
  std::vector<Event> ring_;
  std::size_t next_ = 0;
  EventCounts counts_;
  std::deque<Event> pending_;
  bool delivering_ = false;
};

}  // namespace detail
}  // namespace cotenant

#endif
