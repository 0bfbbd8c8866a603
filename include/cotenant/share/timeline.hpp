// Timeline: the last changes of who holds what, bounded, and the memory over time that follows from them.
#ifndef COTENANT_SHARE_TIMELINE_HPP
#define COTENANT_SHARE_TIMELINE_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <time.h>
#endif

#include "cotenant/share/byte_ranges.hpp"
#include "cotenant/share/options.hpp"

namespace cotenant {

// The state after one change.
struct TimelineSample {
  double seconds = 0;          // since the first change that is known
  std::size_t true_bytes = 0;  // blocks that the manager holds, each once
  std::map<std::string, std::size_t> model_bytes;  // what each holding model would need for itself
};

namespace detail {

class Clock {
 public:
  explicit Clock(std::function<TimePoint()> function) : function_(std::move(function)) {}
  TimePoint now() const {
    if (function_) return function_();
#if defined(__linux__) && defined(CLOCK_MONOTONIC_COARSE)
    // The tick of the scheduler (1 to 10 ms) is fine enough for a grace period and saves about 15 ns per release.
    ::timespec time{};
    if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &time) == 0)
      return TimePoint(std::chrono::duration_cast<TimePoint::duration>(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
#endif
    return std::chrono::steady_clock::now();
  }

 private:
  std::function<TimePoint()> function_;
};

// Safe from any number of threads; a leaf lock that calls nothing outside.
class Timeline {
 public:
  explicit Timeline(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {}

  // A block came (or went): the true bytes changed.
  void blocks_changed(TimePoint time, std::size_t true_bytes) { push({time, true_bytes, true, {}, {}, {}, false}); }
  // A model's first lease of a tensor began, or its last one ended.
  void holding_changed(TimePoint time, const std::string& model, const std::string& tensor, const std::shared_ptr<const ByteRanges>& ranges, bool held) {
    push({time, 0, false, model, tensor, ranges, held});
  }

  // One sample per change, oldest first, and one for `now` where that is later; changes older than the capacity are in the
  // first sample.
  std::vector<TimelineSample> samples(TimePoint now) const {
    const std::lock_guard lock(mutex_);
    State state = baseline_;
    std::vector<TimelineSample> result;
    if (events_.empty()) return result;
    TimePoint previous = events_.front().time;
    const TimePoint start = forgotten_ ? previous : std::min(previous, start_);
    if (forgotten_) result.push_back({0, state.sample.true_bytes, state.sample.model_bytes});
    for (const Event& event : events_) {
      state.apply(event);
      previous = std::max(previous, event.time);  // two threads may arrive here in the other order
      state.sample.seconds = std::chrono::duration<double>(previous - start).count();
      result.push_back(state.sample);
    }
    if (now > previous) {
      state.sample.seconds = std::chrono::duration<double>(now - start).count();
      result.push_back(std::move(state.sample));
    }
    return result;
  }

 private:
  struct Event {
    TimePoint time;
    std::size_t true_bytes;
    bool is_block_event;
    std::string model, tensor;
    std::shared_ptr<const ByteRanges> ranges;
    bool held;
  };
  struct State {
    TimelineSample sample;
    std::map<std::string, std::map<std::string, std::shared_ptr<const ByteRanges>>> held;  // by model, by tensor

    void apply(const Event& event) {
      if (event.is_block_event) {
        sample.true_bytes = event.true_bytes;
        return;
      }
      auto& tensors = held[event.model];
      if (event.held) tensors[event.tensor] = event.ranges;
      else tensors.erase(event.tensor);
      ByteRanges ranges;
      for (const auto& [name, own] : tensors) ranges.insert(ranges.end(), own->begin(), own->end());
      if (tensors.empty()) {
        held.erase(event.model);
        sample.model_bytes.erase(event.model);
      } else {
        sample.model_bytes[event.model] = union_bytes(std::move(ranges));
      }
    }
  };

  void push(Event event) {
    const std::lock_guard lock(mutex_);
    if (events_.empty() && !forgotten_) start_ = event.time;
    if (events_.size() == capacity_) {
      baseline_.apply(events_.front());
      events_.pop_front();
      forgotten_ = true;
    }
    events_.push_back(std::move(event));
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<Event> events_;
  State baseline_;  // what the forgotten events added up to
  bool forgotten_ = false;
  TimePoint start_{};
};

}  // namespace detail
}  // namespace cotenant

#endif
